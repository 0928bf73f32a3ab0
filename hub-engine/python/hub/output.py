"""Captures the output of tasks for their logs, separate from the protocol.

A process that runs one task at a time writes all output immediately to a file, including that of subprocesses and
libraries, so that it is kept even if the process dies. In a process of coroutines, each task has its own log in memory.
"""

import contextvars
import errno
import fcntl
import io
import os
import sys

from hub.channel import move_aside
from hub.failure import clean

_log = contextvars.ContextVar("hub_task_log", default=None)

DROPPED = "[earlier output was dropped]\n"
LOST = "[output is missing: it could not be kept: %s]\n"
# Used if no output through this module was lost. Other output is not observed.
PERHAPS_LOST = "[output of subprocesses and libraries, if any, is missing: it could not be kept: %s]\n"
# Size at which the file is truncated: this multiple of the kept size, and at least this number of bytes.
SLACK = 4
LEAST = 1 << 20
# Interval at which the file system is asked whether it has this number of bytes left for output.
CHECK_EVERY_NS = 100_000_000
# Offset of the file before any output. Output changes it, and other files are unlikely to have it.
MARK = 4095
# Flags of standard input that no other open file has in this combination. They have no effect on the null device.
INPUT_FLAGS = os.O_RDWR | os.O_APPEND | os.O_DSYNC
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


def identity(info):
    """The identity of a file."""
    return info.st_ino, info.st_dev


class Capture:
    """The file behind standard output and standard error.

    It has no other descriptors: a task may close any descriptor, and its number may be reused for another file. Before each
    use, this checks that the descriptor still refers to the file.

    If the file cannot be written (its file system is full, for example), output is discarded, and the log says so. No task fails because of that.
    """

    def __init__(self, path, limit, stream):
        self.path = path
        self.limit = limit
        self.stream = stream
        self.written = 0
        self.dropped = False
        # The reason why output of the current task is discarded.
        self.lost = None
        # Whether output was discarded.
        self.is_missing = False
        # Whether the file system was full at the last check.
        self.is_full = False
        # Whether a standard stream cannot be restored.
        self.is_broken = False
        self.next_check = 0
        self._take_descriptors()
        try:
            if self.lost is None:
                self._empty(1)
        except OSError as error:
            self.lose(error)
        self._open_input()
        self._open()

    def _take_descriptors(self):
        """Redirects standard output and standard error to the file, and standard input to the null device."""
        opened = [os.open(os.devnull, INPUT_FLAGS)]
        self.nothing, self.file = identity(os.fstat(opened[0])), None
        try:
            opened.append(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600))
            self.file = identity(os.fstat(opened[1]))
        except OSError as error:
            self.lost = os.strerror(error.errno)
            opened.append(os.open(os.devnull, os.O_RDWR))
        # The new descriptors may have the numbers that they replace.
        nothing, file = moved = [*map(move_aside, opened)]
        for source, target in ((nothing, 0), (file, 1), (file, 2)):
            os.dup2(source, target)
        for descriptor in {*opened, *moved} - {0, 1, 2}:
            os.close(descriptor)
        self.input_flags = fcntl.fcntl(0, fcntl.F_GETFL)

    def prepare(self, now):
        """Checks before a task, at most once per interval, whether there is room for its output. If not, output is discarded
        from the start, so that subprocesses do not fail either."""
        if now < self.next_check:
            return
        self.next_check = now + CHECK_EVERY_NS
        try:
            info = os.statvfs(self.path)
        except OSError:
            return
        was_full = self.is_full
        self.is_full = 0 < info.f_blocks and info.f_bavail * info.f_frsize < LEAST
        if self.is_full:
            self.lose(OSError(errno.ENOSPC, ""))
        elif was_full:
            self.collect()

    def lose(self, error):
        """The file cannot be written: output of the current task is discarded from now on."""
        self.lost = os.strerror(error.errno)
        self.next_check = 0
        try:
            nothing = os.open(os.devnull, os.O_WRONLY)
            for descriptor in (1, 2):
                if self._look(descriptor) is not None:
                    os.dup2(nothing, descriptor)
            os.close(nothing)
        except OSError:
            # Each write fails and is discarded.
            pass

    def is_own(self, descriptor):
        """Whether a descriptor still refers to this file."""
        return self._look(descriptor) is not None

    def _is_intact(self):
        """Whether standard input and the streams are unchanged. Writes text in the buffers of the streams."""
        into, out, err = self.stdin, self.stdout, self.stderr
        try:
            if sys.stdin is not into or sys.stdout is not out or sys.stderr is not err:
                return False
            out.flush()
            err.flush()
            return (
                fcntl.fcntl(0, fcntl.F_GETFL) == self.input_flags
                and not into.closed
                and out.line_buffering
                and err.line_buffering
                and out.errors == "backslashreplace" == err.errors
                and out.encoding == "utf-8" == err.encoding
            )
        except BaseException:
            # A task has deleted a stream or detached it from its buffer, or has closed standard input.
            return False

    def _is_own_input(self):
        """Whether standard input is unchanged. Checking its flags takes a quarter of the time of fstat."""
        try:
            return fcntl.fcntl(0, fcntl.F_GETFL) == self.input_flags or self.is_own(0)
        except OSError:
            return False

    def _is_unused(self):
        """Whether both descriptors are unchanged and there is no output. Takes a third of the time of two calls of fstat."""
        try:
            if os.lseek(1, 0, os.SEEK_CUR) == MARK == os.lseek(2, 0, os.SEEK_CUR):
                # Does not move the offset if the size is 0.
                return os.lseek(1, MARK, os.SEEK_END) == MARK
        except OSError:
            pass
        return False

    def _empty(self, descriptor):
        os.ftruncate(descriptor, 0)
        os.lseek(descriptor, MARK, os.SEEK_SET)

    def _look(self, descriptor):
        """The status of the file. None if a task has closed or replaced the descriptor."""
        try:
            info = os.fstat(descriptor)
        except OSError:
            return None
        return info if identity(info) == (self.file if descriptor else self.nothing) else None

    def _restore_input(self):
        try:
            if self._is_own_input() and getattr(sys, "stdin", None) is self.stdin and not self.stdin.closed:
                return
        except ValueError:
            # The stream was detached from its buffer.
            pass
        try:
            if not self.is_own(0):
                nothing = os.open(os.devnull, INPUT_FLAGS)
                if nothing:
                    os.dup2(nothing, 0)
                    os.close(nothing)
            self._open_input()
        except OSError:
            self.is_broken = True

    def _open_input(self):
        # Closing it must not free the descriptor: the next file to be opened would become standard input.
        self.stdin = sys.stdin = sys.__stdin__ = open(0, encoding="utf-8", closefd=False)

    def _open(self):
        self.stdout = sys.stdout = sys.__stdout__ = self.stream(Buffer(Raw(self, 1, "<stdout>")), **SETTINGS)
        self.stderr = sys.stderr = sys.__stderr__ = self.stream(Buffer(Raw(self, 2, "<stderr>")), **SETTINGS)

    def restore(self):
        """Restores streams that a task has replaced, closed or changed."""
        if self._is_intact():
            return
        self._restore_input()
        out, err = self.stdout, self.stderr
        # A task may have deleted them.
        others = getattr(sys, "stdout", None), getattr(sys, "stderr", None)
        if others[0] is not out or others[1] is not err:
            for other in others:
                try:
                    # The stream of a task may have text in its buffer.
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

    def flush(self):
        """Writes buffered output. Called before a fork, which would print it a second time."""
        try:
            self.stdout.flush()
            self.stderr.flush()
        except BaseException:
            pass

    def note(self, size, descriptor):
        """Counts bytes written to a descriptor, and truncates a file that is too large."""
        if self.lost is not None or self.file is None:
            self.is_missing = True
        self.written += size
        if self.written > max(SLACK * self.limit, LEAST):
            self._cut(descriptor)

    def _cut(self, descriptor):
        self.written = 0
        info = self._look(descriptor)
        if info is None:
            return
        end = os.pread(descriptor, self.limit, max(0, info.st_size - self.limit))
        os.ftruncate(descriptor, 0)
        self.dropped = self.dropped or info.st_size > len(end)
        self.written = os.write(descriptor, end)

    def is_large(self):
        """Whether the file is so large that it should be emptied."""
        info = self._look(1)
        return info is not None and info.st_size > LEAST

    def collect(self):
        """Returns the output since the last call."""
        if self.lost is None and self._is_unused():
            return ""
        try:
            text = self._collect()
        except OSError as error:
            self.is_broken = True
            self.is_missing = True
            self.lost = os.strerror(error.errno)
            text = ""
        if self.lost is not None:
            if self.is_missing:
                text += LOST % self.lost
            elif self.stream is not Routed:
                text += PERHAPS_LOST % self.lost
            self.is_missing = False
            if self.is_full:
                self.lose(OSError(errno.ENOSPC, ""))
            else:
                self.lost = None
        return text

    def _collect(self):
        out, err = self._look(1), self._look(2)
        if out is not None and err is not None:
            return self._read(1, out)
        # Read first, because the file may no longer exist under its name.
        text = ""
        if out is not None or err is not None:
            text = self._read(1 if err is None else 2, out or err)
        self._take_descriptors()
        return text or self._read(1, os.fstat(1))

    def _read(self, descriptor, info):
        """Empties the file, and returns its end."""
        size = info.st_size
        if not size:
            os.lseek(descriptor, MARK, os.SEEK_SET)
            return ""
        skip = max(0, size - self.limit)
        data = os.pread(descriptor, self.limit, skip)
        self._empty(descriptor)
        if skip:
            # Skips the rest of a truncated character.
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
        try:
            size = os.write(self.descriptor, data)
            self.capture.note(size, self.descriptor)
        except OSError as error:
            if not self.capture.is_own(self.descriptor):
                raise
            self.capture.is_missing = True
            self.capture.lose(error)
            return len(data)
        return size

    def close(self):
        """Does nothing: the next task needs standard output."""


class Buffer(io.BufferedWriter):
    """The buffer between text and descriptor. Closing it only flushes it, because a wrapper of a task may close it."""

    def close(self):
        self.flush()


class Routed(io.TextIOWrapper):
    """A stream that writes to the log of the current task."""

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
    """The binary buffer of such a stream."""

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
        """Does nothing, like the stream's."""


def attach(log):
    """Assigns the output of this context to `log`."""
    _log.set(log)
