"""Captures what a task prints: it goes to the task's log, never into the protocol.

A process that runs one task at a time writes all output to a file at once, including that of subprocesses and
libraries: it is kept even if the process dies. In a process of many coroutines each has its own log in memory.
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
# Where nothing that went through this module was lost: the rest is not seen here.
PERHAPS_LOST = "[output of subprocesses and libraries, if any, is missing: it could not be kept: %s]\n"
# Size at which the file is cut: this multiple of what is kept, and at least this number of bytes.
SLACK = 4
LEAST = 1 << 20
# Interval at which the file system is asked whether it has this number of bytes left for output.
CHECK_EVERY_NS = 100_000_000
# Offset of the file while nothing is printed. Whatever is appended moves it, and other files have other offsets.
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
    """What tells one file from another."""
    return info.st_ino, info.st_dev


class Capture:
    """The file behind standard output and standard error.

    It has no descriptor besides theirs: a task may close any descriptor and have its number given to a file of its own.
    Each use is preceded by a check that the descriptor still is this file.

    If the file cannot be written (its file system is full, for example), output is discarded, and the log says so. No task
    fails for that.
    """

    def __init__(self, path, limit, stream):
        self.path = path
        self.limit = limit
        self.stream = stream
        self.written = 0
        self.dropped = False
        # Why output of the current task is discarded.
        self.lost = None
        # Some output was discarded.
        self.is_missing = False
        # The file system had no room when it was last checked.
        self.is_full = False
        # A standard stream cannot be restored.
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
        # A fork must not print once more what this process has not printed yet.
        os.register_at_fork(before=self._flush)

    def _take_descriptors(self):
        """Makes the file standard output and standard error. Standard input is empty."""
        opened = [os.open(os.devnull, INPUT_FLAGS)]
        self.nothing, self.file = identity(os.fstat(opened[0])), None
        try:
            opened.append(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600))
            self.file = identity(os.fstat(opened[1]))
        except OSError as error:
            self.lost = os.strerror(error.errno)
            opened.append(os.open(os.devnull, os.O_RDWR))
        # Their numbers may be those that they are to replace.
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
            # Each write is lost by itself.
            pass

    def is_own(self, descriptor):
        """Whether a task has left a descriptor as it was."""
        return self._look(descriptor) is not None

    def _is_own_input(self):
        """The same for standard input. The flags tell as much as the system's description, in a quarter of the time."""
        try:
            return fcntl.fcntl(0, fcntl.F_GETFL) == self.input_flags or self.is_own(0)
        except OSError:
            return False

    def _is_unused(self):
        """Whether both descriptors are as they were and nothing was printed, through them or past them. In a third of the time
        of two descriptions."""
        try:
            if os.lseek(1, 0, os.SEEK_CUR) == MARK == os.lseek(2, 0, os.SEEK_CUR):
                return os.lseek(1, 0, os.SEEK_END) == 0 and os.lseek(1, MARK, os.SEEK_SET) == MARK
        except OSError:
            pass
        return False

    def _empty(self, descriptor):
        os.ftruncate(descriptor, 0)
        os.lseek(descriptor, MARK, os.SEEK_SET)

    def _look(self, descriptor):
        """What the system says of the file; None where a task has closed or exchanged the descriptor."""
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
            # It was detached from its buffer.
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
        """Puts the streams back where a task has exchanged, closed or changed them."""
        self._restore_input()
        out, err = self.stdout, self.stderr
        # A task may have deleted them.
        others = getattr(sys, "stdout", None), getattr(sys, "stderr", None)
        if others[0] is not out or others[1] is not err:
            for other in others:
                try:
                    # A stream that a task has put here may have text in its buffer.
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

    def note(self, size, descriptor):
        """Counts what was written to one of the descriptors. A file that has grown too large is cut."""
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
        """Whether the file should be emptied before its time."""
        info = self._look(1)
        return info is not None and info.st_size > LEAST

    def collect(self):
        """Returns what was printed since the last call."""
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
        # First: the file may not be found under its name any more.
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
        """Closing standard output closes nothing: the next task needs it."""


class Buffer(io.BufferedWriter):
    """The layer between text and descriptor. A stream that a task puts over it closes it at its own end."""

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
        """Closes nothing, like that of the stream."""


def attach(log):
    """What this context prints belongs to `log`."""
    _log.set(log)
