"""Sends requests and waits for the answers. Connections are used again, and one transport serves many threads."""

import collections
import os
import select
import socket
import ssl
import sys
import time
from typing import Deque, Iterator, NamedTuple, Optional

from hub.client.message import Answer, AnswerReader, Deadline, Lost, Request
from hub.client.settings import Settings

__all__ = ["BlockingTransport"]

# Maximum idle time of a connection. It is shorter than the 30 s of the dispatcher.
MAXIMUM_IDLE_SECONDS = 15.0
# Maximum number of connections that are kept for later requests.
MAXIMUM_IDLE_CONNECTIONS = 16
# Maximum time between two parts of a stream. The dispatcher sends a comment every 15 s.
STREAM_SECONDS = 45.0
# Maximum size of the refusal of a stream in bytes.
MAXIMUM_REFUSAL_BYTES = 1024 * 1024
# Maximum number of bytes of one reading.
PART_BYTES = 256 * 1024


class _Idle(NamedTuple):
    connection: socket.socket
    since: float
    # A process that was forked must not use the connections of its parent.
    process: int


class BlockingTransport:
    """Sends requests."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        # Its operations are atomic, so there is no lock that a fork could leave locked.
        self._idle: Deque[_Idle] = collections.deque()

    def exchange(self, request: Request, within: float) -> Answer:
        """Sends a request and returns the answer. Raises Lost or BadAnswer."""
        deadline = Deadline(within)
        # A connection may be closed by the peer at the moment of its use. Only what may be repeated can take that risk.
        connection = self._take() if request.may_repeat else None
        connection = connection or self._connect(deadline)
        reader, body = AnswerReader(self._settings.maximum_answer_bytes), bytearray()
        try:
            was_sent = self._send(connection, request, deadline)
            while not reader.is_complete:
                body += _receive(connection, reader, deadline)
        except BaseException:
            # Also after KeyboardInterrupt: the rest of the answer would be taken for the next one.
            connection.close()
            raise
        if was_sent and reader.can_reuse and len(self._idle) < MAXIMUM_IDLE_CONNECTIONS:
            self._idle.append(_Idle(connection, time.monotonic(), os.getpid()))
        else:
            connection.close()
        return Answer(reader.status, reader.headers, bytes(body))

    def stream(self, request: Request, within: float) -> "Stream":
        """Sends a request whose answer is read in parts."""
        deadline = Deadline(within)
        connection = self._connect(deadline)
        # A stream has no end, so its size is not limited.
        reader = AnswerReader(sys.maxsize)
        first = b""
        try:
            self._send(connection, request, deadline)
            while not reader.has_head:
                first += _receive(connection, reader, deadline)
        except BaseException:
            connection.close()
            raise
        return Stream(connection, reader, first, within)

    def close(self) -> None:
        """Closes the connections that are not in use."""
        while self._idle:
            try:
                self._idle.pop().connection.close()
            except IndexError:
                return

    def __del__(self) -> None:
        self.close()

    def _take(self) -> Optional[socket.socket]:
        """A connection that is open as far as is known."""
        while True:
            try:
                idle = self._idle.pop()
            except IndexError:
                return None
            is_own = idle.process == os.getpid()
            if is_own and time.monotonic() - idle.since < MAXIMUM_IDLE_SECONDS and not _is_readable(idle.connection):
                return idle.connection
            idle.connection.close()

    def _connect(self, deadline: Deadline) -> socket.socket:
        address, context = self._settings.address, self._settings.context
        try:
            connection = socket.create_connection((address.host, address.port), deadline.left())
        except OSError as error:
            raise Lost(_why(error), was_sent=False, timed_out=isinstance(error, (socket.timeout, TimeoutError)))
        try:
            # Requests are written as a whole.
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if context is None:
                return connection
            connection.settimeout(deadline.left())
            return context.wrap_socket(connection, server_hostname=address.host)
        except OSError as error:
            connection.close()
            timed_out = isinstance(error, (socket.timeout, TimeoutError))
            raise Lost(_why(error), was_sent=False, timed_out=timed_out, is_permanent=isinstance(error, ssl.SSLCertVerificationError))
        except BaseException:
            connection.close()
            raise

    def _send(self, connection: socket.socket, request: Request, deadline: Deadline) -> bool:
        """Returns whether the whole request was sent."""
        data = memoryview(request.head(self._settings) + (request.body or b""))
        try:
            while data and not _is_answered_early(connection, deadline):
                connection.settimeout(deadline.left())
                sent = connection.send(data[:PART_BYTES])
                deadline.extend(sent)
                data = data[sent:]
        except (socket.timeout, TimeoutError) as error:
            raise Lost(_why(error), was_sent=True, timed_out=True)
        except OSError:
            # The dispatcher may have refused the request before its end, and the refusal can be read.
            return False
        return not data


class Stream:
    """An answer that is read in parts."""

    def __init__(self, connection: socket.socket, reader: AnswerReader, first: bytes, within: float) -> None:
        self.status = reader.status
        self.headers = reader.headers
        self._connection = connection
        self._reader = reader
        self._first = first
        self._within = within

    def parts(self) -> Iterator[bytes]:
        """The parts as they arrive. An empty part only shows that the peer is there."""
        yield self._first
        while not self._reader.is_complete:
            yield _receive(self._connection, self._reader, Deadline(STREAM_SECONDS))

    def read(self) -> bytes:
        """The rest of the answer, such as a refusal."""
        body, deadline = bytearray(self._first), Deadline(self._within)
        while not self._reader.is_complete and len(body) < MAXIMUM_REFUSAL_BYTES:
            body += _receive(self._connection, self._reader, deadline)
        return bytes(body)

    def __enter__(self) -> "Stream":
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()


def _receive(connection: socket.socket, reader: AnswerReader, deadline: Deadline) -> bytes:
    try:
        connection.settimeout(deadline.left())
        data = connection.recv(PART_BYTES)
    except (socket.timeout, TimeoutError) as error:
        raise Lost(_why(error), was_sent=True, timed_out=True)
    except OSError as error:
        raise Lost(_why(error), was_sent=True)
    deadline.extend(len(data))
    return reader.feed(data)


def _is_answered_early(connection: socket.socket, deadline: Deadline) -> bool:
    """Waits until the connection can take more of the request. Returns whether an answer has come instead, such as a refusal."""
    if isinstance(connection, ssl.SSLSocket):
        # What arrives may be a message of TLS.
        return False
    poll = select.poll()
    poll.register(connection, select.POLLIN | select.POLLOUT)
    found = poll.poll(deadline.left() * 1000)
    return any(events & select.POLLIN for _, events in found)


def _is_readable(connection: socket.socket) -> bool:
    """Whether an idle connection was closed, or has bytes that nothing has asked for."""
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    return bool(poll.poll(0))


def _why(error: BaseException) -> str:
    return str(error) or type(error).__name__
