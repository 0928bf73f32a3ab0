"""Sends requests with the streams of asyncio.

A coroutine that is cancelled closes its connection at once, and thousands of coroutines can wait for jobs. With threads, each
would occupy a thread until its answer comes.
"""

import asyncio
import collections
import ssl
import sys
import time
from typing import Any, AsyncIterator, Awaitable, Deque, NamedTuple, Optional, Tuple, TypeVar
from weakref import WeakKeyDictionary

from hub.client.blocking_transport import (
    MAXIMUM_IDLE_CONNECTIONS, MAXIMUM_IDLE_SECONDS, MAXIMUM_REFUSAL_BYTES, PART_BYTES, STREAM_SECONDS
)
from hub.client.message import Answer, AnswerReader, Deadline, Lost, Request
from hub.client.settings import Settings

__all__ = ["AsyncioTransport"]

_T = TypeVar("_T")
_Connection = Tuple[asyncio.StreamReader, asyncio.StreamWriter]


class _Idle(NamedTuple):
    connection: _Connection
    since: float


class AsyncioTransport:
    """Sends requests. Connections are used again in the event loop that has opened them."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        # A client may outlive an event loop, as with several calls of asyncio.run().
        self._idle: "WeakKeyDictionary[asyncio.AbstractEventLoop, Deque[_Idle]]" = WeakKeyDictionary()

    async def exchange(self, request: Request, within: float) -> Answer:
        """Sends a request and returns the answer. Raises Lost or BadAnswer."""
        deadline = Deadline(within)
        connection = self._take() if request.may_repeat else None
        connection = connection or await self._connect(deadline)
        reader, body = AnswerReader(self._settings.maximum_answer_bytes), bytearray()
        try:
            await self._send(connection, request, deadline)
            while not reader.is_complete:
                body += await _receive(connection, reader, deadline)
        except BaseException:
            # Also after a cancellation: the rest of the answer would be taken for the next one.
            connection[1].transport.abort()
            raise
        self._give_back(connection, reader)
        return Answer(reader.status, reader.headers, bytes(body))

    async def stream(self, request: Request, within: float) -> "AsyncStream":
        """Sends a request whose answer is read in parts."""
        deadline = Deadline(within)
        connection = await self._connect(deadline)
        # A stream has no end, so its size is not limited.
        reader = AnswerReader(sys.maxsize)
        first = b""
        try:
            await self._send(connection, request, deadline)
            while not reader.has_head:
                first += await _receive(connection, reader, deadline)
        except BaseException:
            connection[1].transport.abort()
            raise
        return AsyncStream(connection, reader, first, within)

    async def close(self) -> None:
        """Closes the connections of this event loop that are not in use."""
        for idle in self._idle.pop(asyncio.get_running_loop(), ()):
            await _close(idle.connection)

    def _take(self) -> Optional[_Connection]:
        own = self._idle.get(asyncio.get_running_loop())
        while own:
            idle = own.pop()
            reader, writer = idle.connection
            if time.monotonic() - idle.since < MAXIMUM_IDLE_SECONDS and not (reader.at_eof() or writer.is_closing()):
                return idle.connection
            writer.close()
        return None

    def _give_back(self, connection: _Connection, reader: AnswerReader) -> None:
        own = self._idle.setdefault(asyncio.get_running_loop(), collections.deque())
        if reader.can_reuse and len(own) < MAXIMUM_IDLE_CONNECTIONS:
            own.append(_Idle(connection, time.monotonic()))
        else:
            connection[1].close()

    async def _connect(self, deadline: Deadline) -> _Connection:
        address, context = self._settings.address, self._settings.context
        host = address.host if context is not None else None
        opening = asyncio.open_connection(
            address.host, address.port, ssl=context, server_hostname=host, limit=PART_BYTES
        )
        try:
            return await _within(opening, deadline)
        except TimeoutError as error:
            raise Lost(_why(error), was_sent=False, timed_out=True)
        except OSError as error:
            raise Lost(_why(error), was_sent=False, is_permanent=isinstance(error, ssl.SSLCertVerificationError))

    async def _send(self, connection: _Connection, request: Request, deadline: Deadline) -> None:
        data = request.head(self._settings) + (request.body or b"")
        try:
            for at in range(0, len(data), PART_BYTES):
                part = data[at : at + PART_BYTES]
                connection[1].write(part)
                await _within(connection[1].drain(), deadline)
                deadline.extend(len(part))
        except TimeoutError as error:
            raise Lost(_why(error), was_sent=True, timed_out=True)
        except OSError:
            # The dispatcher may have refused the request before its end, and the refusal can be read.
            pass


class AsyncStream:
    """An answer that is read in parts."""

    def __init__(self, connection: _Connection, reader: AnswerReader, first: bytes, within: float) -> None:
        self.status = reader.status
        self.headers = reader.headers
        self._connection = connection
        self._reader = reader
        self._first = first
        self._within = within

    async def parts(self) -> AsyncIterator[bytes]:
        """The parts as they arrive. An empty part only shows that the peer is there."""
        yield self._first
        while not self._reader.is_complete:
            yield await _receive(self._connection, self._reader, Deadline(STREAM_SECONDS))

    async def read(self) -> bytes:
        """The rest of the answer, such as a refusal."""
        body, deadline = bytearray(self._first), Deadline(self._within)
        while not self._reader.is_complete and len(body) < MAXIMUM_REFUSAL_BYTES:
            body += await _receive(self._connection, self._reader, deadline)
        return bytes(body)

    async def __aenter__(self) -> "AsyncStream":
        return self

    async def __aexit__(self, *_: object) -> None:
        self._connection[1].transport.abort()


async def _receive(connection: _Connection, reader: AnswerReader, deadline: Deadline) -> bytes:
    try:
        data = await _within(connection[0].read(PART_BYTES), deadline)
    except TimeoutError as error:
        raise Lost(_why(error), was_sent=True, timed_out=True)
    except OSError as error:
        raise Lost(_why(error), was_sent=True)
    deadline.extend(len(data))
    return reader.feed(data)


async def _within(awaited: Awaitable[_T], deadline: Deadline) -> _T:
    """The result, if it comes before the deadline.

    Before Python 3.12, asyncio.wait_for() ignores a cancellation that arrives at the same time as the result.
    """
    task = asyncio.ensure_future(awaited)
    try:
        await asyncio.wait({task}, timeout=deadline.left())
    except BaseException:
        _give_up(task)
        raise
    if task.done():
        return task.result()
    _give_up(task)
    raise TimeoutError("there was no answer in time")


def _give_up(task: "asyncio.Future[Any]") -> None:
    task.add_done_callback(_discard)
    task.cancel()


def _discard(task: "asyncio.Future[Any]") -> None:
    """Takes the outcome that is no longer needed. A new connection is closed."""
    if task.cancelled() or task.exception() is not None:
        return
    result = task.result()
    if isinstance(result, tuple):
        result[1].close()


async def _close(connection: _Connection) -> None:
    connection[1].close()
    try:
        await connection[1].wait_closed()
    except OSError:
        pass


def _why(error: BaseException) -> str:
    return str(error) or "there was no answer in time"
