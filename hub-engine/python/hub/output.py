"""Where what a task prints goes: into its own log, never into the protocol.

A process that runs one task at a time has all of it written to a file at once, what subprocesses and libraries write
past Python included: so it is there even if the process dies. In a process of many coroutines each has its own log in
memory.
"""

import contextvars
import io
import os
import sys

from hub.failure import clean

_log = contextvars.ContextVar("hub_task_log", default=None)

DROPPED = "[earlier output was dropped]\n"
# The file may grow to so many times what is kept of it before it is cut, and to so many bytes in any case.
SLACK = 4
LEAST = 1 << 20
SETTINGS = {"encoding": "utf-8", "errors": "backslashreplace", "line_buffering": True}


class Log:
    """The end of what one task printed."""

    __slots__ = ("limit", "parts", "size", "dropped")

    def __init__(self, limit):
        self.limit = limit
        self.parts = []
        self.size = 0
        self.dropped = False

    def write(self, text):
        self.parts.append(text)
        self.size += len(text)
        if self.size > 2 * self.limit:
            self._shorten()

    def _shorten(self):
        text = "".join(self.parts)
        if len(text) > self.limit:
            text = text[-self.limit:]
            self.dropped = True
        self.parts = [text]
        self.size = len(text)

    def text(self):
        if self.size > self.limit:
            self._shorten()
        text = clean("".join(self.parts))
        return DROPPED + text if self.dropped else text


class Capture:
    """The file behind standard output and standard error."""

    def __init__(self, path, limit, stream):
        self.limit = limit
        self.stream = stream
        self.written = 0
        self.dropped = False
        self.file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_TRUNC, 0o600)
        info = os.fstat(self.file)
        self.inode, self.device = info.st_ino, info.st_dev
        self._take_descriptors()
        self._open_input()
        self._open()
        # A fork must not print once more what this process has not printed yet.
        os.register_at_fork(before=self._flush)

    def _take_descriptors(self):
        nothing = os.open(os.devnull, os.O_RDWR)
        os.dup2(nothing, 0)
        os.close(nothing)
        os.dup2(self.file, 1)
        os.dup2(self.file, 2)

    def _open_input(self):
        # Closing it must not free the descriptor: the next file to be opened would become everybody's input.
        self.stdin = sys.stdin = sys.__stdin__ = open(0, encoding="utf-8", closefd=False)

    def _open(self):
        self.stdout = sys.stdout = sys.__stdout__ = self.stream(Buffer(Raw(self, 1, "<stdout>")), **SETTINGS)
        self.stderr = sys.stderr = sys.__stderr__ = self.stream(Buffer(Raw(self, 2, "<stderr>")), **SETTINGS)

    def restore(self):
        """Puts the streams back where a task has exchanged, closed or changed them."""
        if sys.stdin is not self.stdin or self.stdin.closed:
            self._open_input()
        out, err = self.stdout, self.stderr
        if sys.stdout is not out or sys.stderr is not err:
            for other in (sys.stdout, sys.stderr):
                try:
                    # What was put over ours may still hold something.
                    other.flush()
                except BaseException:
                    pass
            sys.stdout, sys.stderr = out, err
        try:
            out.flush()
            err.flush()
            if out.errors == err.errors == "backslashreplace" and out.line_buffering and err.line_buffering:
                if out.encoding == err.encoding == "utf-8":
                    return
        except BaseException:
            pass
        self._open()

    def _flush(self):
        try:
            self.stdout.flush()
            self.stderr.flush()
        except BaseException:
            pass

    def note(self, size):
        """So much more is in the file, at the least. It is cut where that is too much."""
        self.written += size
        if self.written > max(SLACK * self.limit, LEAST):
            self._cut()

    def _cut(self):
        size = os.fstat(self.file).st_size
        end = os.pread(self.file, self.limit, max(0, size - self.limit))
        os.ftruncate(self.file, 0)
        os.write(self.file, end)
        self.written = len(end)
        self.dropped = self.dropped or size > len(end)

    def size(self):
        """How much is in the file."""
        return os.fstat(self.file).st_size

    def collect(self):
        """What was printed since this was last asked."""
        try:
            info = os.fstat(1)
            if info.st_ino != self.inode or info.st_dev != self.device:
                raise OSError
        except OSError:
            # A task has closed the descriptor, or put another file in its place.
            self._take_descriptors()
            info = os.fstat(1)
        size = info.st_size
        if not size:
            return ""
        skip = max(0, size - self.limit)
        data = os.pread(self.file, self.limit, skip)
        os.ftruncate(self.file, 0)
        if skip:
            # Not from within a character.
            data = data.lstrip(bytes(range(0x80, 0xC0)))
        text = data.decode("utf-8", "backslashreplace")
        dropped = self.dropped or skip
        self.written = 0
        self.dropped = False
        return DROPPED + text if dropped else text


class Raw(io.RawIOBase):
    """Writes to one of the descriptors."""

    mode = "wb"

    def __init__(self, capture, descriptor, name):
        self.capture = capture
        self.descriptor = descriptor
        self.name = name

    def writable(self):
        return True

    def fileno(self):
        return self.descriptor

    def write(self, data):
        size = os.write(self.descriptor, data)
        self.capture.note(size)
        return size

    def close(self):
        """Closing standard output closes nothing: the next task needs it."""


class Buffer(io.BufferedWriter):
    """What is between the text and the descriptor. A stream that a task puts over it closes it when it goes."""

    def close(self):
        self.flush()


class Routed(io.TextIOWrapper):
    """A stream that leads what is written to the task that writes it."""

    def __init__(self, buffer, **settings):
        super().__init__(buffer, **settings)
        self.bytes = Bytes(self)

    @property
    def buffer(self):
        return self.bytes

    def write(self, text):
        log = _log.get()
        if log is None:
            return super().write(text)
        if not isinstance(text, str):
            raise TypeError("write() argument must be str, not %s" % type(text).__name__)
        log.write(text)
        return len(text)


class Bytes(io.BufferedIOBase):
    """The bytes beneath such a stream."""

    def __init__(self, stream):
        self.stream = stream

    def writable(self):
        return True

    def fileno(self):
        return self.stream.fileno()

    def write(self, data):
        data = bytes(data)
        self.stream.write(data.decode("utf-8", "backslashreplace"))
        return len(data)

    def flush(self):
        self.stream.flush()

    def close(self):
        """As little as that of the stream does."""


def attach(log):
    """What this context prints belongs to `log`."""
    _log.set(log)
