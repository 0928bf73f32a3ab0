"""HTTP/1.1 messages: writes requests, and reads answers in parts as they arrive. No input or output."""

import time
import urllib.parse
from typing import Callable, Dict, Mapping, NamedTuple, Optional, Sequence, Tuple

from hub.client.settings import Settings

__all__ = ["Answer", "AnswerReader", "BadAnswer", "Deadline", "Lost", "Request"]

# Maximum size of the head of an answer, and of a line of a chunk, in bytes.
_MAXIMUM_HEAD_BYTES = 64 * 1024
_MAXIMUM_LINE_BYTES = 1024
# Each time that this number of bytes is transferred, the deadline moves by a second.
_BYTES_PER_SECOND = 8 * 1024


class BadAnswer(Exception):
    """The answer is not valid HTTP, or exceeds a limit."""


class Lost(Exception):
    """There is no answer.

    was_sent: whether the dispatcher may have got the request.
    timed_out: whether the time limit was exceeded.
    is_permanent: whether another attempt would fail, too, as for an untrusted certificate.
    """

    def __init__(self, why: str, was_sent: bool, timed_out: bool = False, is_permanent: bool = False) -> None:
        super().__init__(why)
        self.was_sent = was_sent
        self.timed_out = timed_out
        self.is_permanent = is_permanent


class Request(NamedTuple):
    """A request.

    may_repeat: whether the request has the same effect if it is executed twice.
    wait: the time in seconds by which the dispatcher may delay the answer.
    accepted: further status codes that are no refusal.
    """

    method: str
    path: str
    query: Sequence[Tuple[str, str]] = ()
    body: Optional[bytes] = None
    may_repeat: bool = True
    wait: float = 0.0
    accepted: Sequence[int] = ()
    headers: Sequence[Tuple[str, str]] = ()

    def head(self, settings: Settings) -> bytes:
        """The head as it is sent."""
        query = "?" + urllib.parse.urlencode(self.query) if self.query else ""
        lines = ["%s %s/api/v1/%s%s HTTP/1.1" % (self.method, settings.address.path, self.path, query)]
        headers = [*settings.headers, *self.headers]
        if self.body is not None:
            headers += [("Content-Type", "application/json"), ("Content-Length", str(len(self.body)))]
        elif self.method != "GET":
            headers.append(("Content-Length", "0"))
        lines += ["%s: %s" % header for header in headers]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii")

    def where(self, settings: Settings) -> str:
        """Names the request in messages."""
        return "%s /api/v1/%s at %s" % (self.method, self.path, settings.address.url)


class Answer(NamedTuple):
    """A complete answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Deadline:
    """The time until which something has to happen. It moves as bytes are transferred, so that slow answers end."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._at = clock() + seconds

    def left(self) -> float:
        """The time that is left in seconds. Raises TimeoutError if there is none."""
        left = self._at - self._clock()
        if left <= 0:
            raise TimeoutError("there was no answer in time")
        return left

    def extend(self, transferred: int) -> None:
        """Moves the deadline, since this number of bytes was transferred."""
        self._at += transferred / _BYTES_PER_SECOND


class AnswerReader:
    """Reads an answer from the bytes that `feed` receives."""

    def __init__(self, maximum_bytes: int) -> None:
        self.status = 0
        self.headers: Dict[str, str] = {}
        self.is_complete = False
        self._keeps_alive = False
        self._buffer = bytearray()
        self._step: Callable[[bytearray], bool] = self._read_head
        # Number of bytes of the body or the chunk that are missing.
        self._missing = 0
        self._left = maximum_bytes
        self._maximum_bytes = maximum_bytes

    @property
    def has_head(self) -> bool:
        """Whether the head has arrived."""
        return self.status >= 200

    @property
    def can_reuse(self) -> bool:
        """Whether another request can be sent on the connection."""
        return self.is_complete and self._keeps_alive and not self._buffer

    def feed(self, data: bytes) -> bytes:
        """Takes bytes of the connection, and returns those of the body in them. No bytes: the peer has closed it.

        Raises BadAnswer, and Lost if the answer ends too early.
        """
        body = bytearray()
        if not data:
            self._end()
        self._buffer += data
        while not self.is_complete and self._step(body):
            pass
        return bytes(body)

    def _end(self) -> None:
        if self._step == self._read_until_end:
            self.is_complete = True
        elif not self.is_complete:
            where = "in the middle of the answer" if self._step != self._read_head else "without an answer"
            raise Lost("the connection was closed " + where, was_sent=True)

    def _read_head(self, _: bytearray) -> bool:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0 or end > _MAXIMUM_HEAD_BYTES:
            if len(self._buffer) > _MAXIMUM_HEAD_BYTES:
                raise BadAnswer("the head of the answer is larger than %d bytes" % _MAXIMUM_HEAD_BYTES)
            if not b"HTTP/1.".startswith(bytes(self._buffer[:7])):
                raise BadAnswer("the answer is not HTTP")
            return False
        lines = self._buffer[:end].decode("latin-1").split("\r\n")
        del self._buffer[: end + 4]
        version, rest = (lines[0] + " ").split(" ", 1)
        code = rest[:3]
        if version not in ("HTTP/1.1", "HTTP/1.0") or not (len(code) == 3 and code.isascii() and code.isdigit()):
            raise BadAnswer("the answer is not HTTP")
        if code[0] == "1":
            return True
        self.status = int(code)
        for line in lines[1:]:
            name, colon, value = line.partition(":")
            if not colon or not name or name != name.strip():
                raise BadAnswer("the answer has an invalid header")
            name, value = name.lower(), value.strip()
            if name == "content-length" and self.headers.get(name, value) != value:
                raise BadAnswer("the answer has two different lengths")
            self.headers[name] = value
        self._keeps_alive = version == "HTTP/1.1" and "close" not in self.headers.get("connection", "").lower()
        self._begin_body()
        return True

    def _begin_body(self) -> None:
        if self.headers.get("content-encoding", "identity").lower() != "identity":
            raise BadAnswer("the answer is compressed, which was not asked for")
        length = self.headers.get("content-length")
        if "chunked" in self.headers.get("transfer-encoding", "").lower():
            self._step = self._read_size
        elif self.status in (204, 304):
            self.is_complete = True
        elif length is None:
            self._keeps_alive, self._step = False, self._read_until_end
        elif not (length.isascii() and length.isdigit() and len(length) < 20):
            raise BadAnswer("the answer has an invalid length")
        else:
            self._missing, self._step = int(length), self._read_length
            if self._missing > self._left:
                raise self._too_large()
            self.is_complete = self._missing == 0

    def _read_length(self, body: bytearray) -> bool:
        self._take(body)
        self.is_complete = self._missing == 0
        return False

    def _read_until_end(self, body: bytearray) -> bool:
        self._missing = len(self._buffer)
        self._take(body)
        return False

    def _read_size(self, _: bytearray) -> bool:
        line = self._line()
        if line is None:
            return False
        digits = line.partition(b";")[0].strip()
        try:
            # int() would accept signs and underscores.
            self._missing = int(digits, 16) if digits.isalnum() and len(digits) < 16 else -1
        except ValueError:
            self._missing = -1
        if self._missing < 0:
            raise BadAnswer("the answer has a chunk of invalid size")
        self._step = self._read_chunk if self._missing else self._read_trailers
        return True

    def _read_chunk(self, body: bytearray) -> bool:
        if self._missing:
            self._take(body)
        if self._missing or len(self._buffer) < 2:
            return False
        if self._buffer[:2] != b"\r\n":
            raise BadAnswer("the answer has a chunk of invalid size")
        del self._buffer[:2]
        self._step = self._read_size
        return True

    def _read_trailers(self, _: bytearray) -> bool:
        line = self._line()
        self.is_complete = line == b""
        return line is not None and not self.is_complete

    def _line(self) -> Optional[bytes]:
        end = self._buffer.find(b"\r\n")
        if end > _MAXIMUM_LINE_BYTES or (end < 0 and len(self._buffer) > _MAXIMUM_LINE_BYTES):
            raise BadAnswer("the answer has a line that is too long")
        if end < 0:
            return None
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 2]
        return line

    def _take(self, body: bytearray) -> None:
        part = self._buffer[: self._missing]
        del self._buffer[: len(part)]
        self._missing -= len(part)
        self._left -= len(part)
        if self._left < 0:
            raise self._too_large()
        body += part

    def _too_large(self) -> BadAnswer:
        advice = "ask for less (data=False, fields=…), or raise maximum_answer_bytes"
        return BadAnswer("the answer is larger than %d bytes: %s" % (self._maximum_bytes, advice))
