"""The two pipes between the worker and this process.

Every message has a head of fixed size with its length and the task's key. So no content can be mistaken for the end of a
message, and a message that cannot be parsed can still be answered under its key.
"""

import fcntl
import os
import signal
import struct
import threading

# Length of the body, key, kind.
REQUEST = struct.Struct("<QQB")
# Length of the body, key.
ANSWER = struct.Struct("<QQ")

RUN, RUN_COROUTINE, CANCEL, DROP = range(4)

# The channel's descriptors are moved to this number or above, because some programs close all low descriptors.
HIGH = 700
# Maximum number of bytes that are read together: enough for all requests that the worker sends ahead, if they are short.
PIECE = 16384


def move_aside(descriptor):
    """Duplicates a descriptor to a number that tasks are unlikely to use."""
    try:
        return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, HIGH)
    except (OSError, ValueError):
        # The limit of descriptors is lower. The standard streams are not used.
        return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 3)


# Tasks may replace the function of the module.
_write = os.write

# A task may leave its group, or join another one.
_group = os.getpgrp()


def end_group():
    """Kills this process and its process group, so that processes started by tasks do not outlive it."""
    try:
        os.killpg(_group, signal.SIGKILL)
    finally:
        os.kill(os.getpid(), signal.SIGKILL)


class Channel:
    def __init__(self):
        self.source = move_aside(0)
        self.sink = move_aside(1)
        # The beginning of a request.
        self.unread = b""
        self.lock = threading.Lock()
        os.register_at_fork(after_in_child=self.leave)

    def leave(self):
        """Closes the channel in a fork of this process, which must neither answer nor keep the pipes open."""
        nothing = os.open(os.devnull, os.O_RDWR)
        os.dup2(nothing, self.source, False)
        os.dup2(nothing, self.sink, False)
        os.close(nothing)

    def receive(self):
        """Waits for requests. Returns the kind, the key and the body of each; None for a body that does not fit into memory.
        Raises EOFError if the worker has ended. Two threads must not call it at the same time."""
        data = os.read(self.source, PIECE)
        if not data:
            raise EOFError
        data, at, requests = self.unread + data, 0, []
        while len(data) - at >= REQUEST.size:
            length, key, kind = REQUEST.unpack_from(data, at)
            at += REQUEST.size
            body = data[at:at + length]
            if len(body) < length:
                body = self._complete(body, length)
            requests.append((kind, key, body))
            at += length
        self.unread = data[at:]
        return requests

    def _complete(self, begin, length):
        """Receives the rest of a body."""
        at = len(begin)
        try:
            body = bytearray(length)
            body[:at] = begin
            view = memoryview(body)
        except MemoryError:
            body = view = None
        while at < length:
            if view is None:
                size = len(os.read(self.source, min(length - at, PIECE)))
            else:
                size = os.readv(self.source, [view[at:]])
            if not size:
                raise EOFError
            at += size
        return body

    def answer(self, key, body):
        """Answers a request; `body` is JSON text."""
        rest = ANSWER.pack(len(body), key) + body.encode("ascii")
        try:
            with self.lock:
                while rest:
                    rest = rest[_write(self.sink, rest):]
        except OSError:
            # The worker has ended or a task has closed the pipe, so no answer is possible.
            end_group()
