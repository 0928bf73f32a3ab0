"""The two pipes between the worker and this process.

Every message has a head of fixed size with its length and the task's key, so that no content can be taken for the
end of a message, and what cannot be read can still be answered under its key.
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

# Descriptors of the channel are moved here and up, away from those that programs close by the dozen.
HIGH = 700
PIECE = 65536


def move_aside(descriptor):
    """The same file under a number that nothing else is likely to touch."""
    try:
        return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, HIGH)
    except (OSError, ValueError):
        # Fewer descriptors are allowed here. Never one of the standard streams.
        return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 3)


# A task may leave its group, or join another one.
_group = os.getpgrp()


def end_group():
    """Ends this process and all that its tasks have started: they must not outlive it."""
    try:
        os.killpg(_group, signal.SIGKILL)
    finally:
        os.kill(os.getpid(), signal.SIGKILL)


class Channel:
    def __init__(self):
        self.source = move_aside(0)
        self.sink = move_aside(1)
        self.lock = threading.Lock()
        os.register_at_fork(after_in_child=self.leave)

    def leave(self):
        """A fork of this process has no part in it: it neither answers, nor keeps the pipes open."""
        nothing = os.open(os.devnull, os.O_RDWR)
        os.dup2(nothing, self.source, False)
        os.dup2(nothing, self.sink, False)
        os.close(nothing)

    def requests(self):
        """Yields the kind, the key and the body of each request; None for a body that does not fit into memory."""
        with os.fdopen(self.source, "rb") as source:
            while True:
                head = source.read(REQUEST.size)
                if len(head) < REQUEST.size:
                    return
                length, key, kind = REQUEST.unpack(head)
                try:
                    body = source.read(length)
                except MemoryError:
                    body = None
                    while length:
                        piece = len(source.read(min(length, PIECE)))
                        if not piece:
                            return
                        length -= piece
                if body is not None and len(body) < length:
                    return
                yield kind, key, body

    def answer(self, key, body):
        """Answers a request; `body` is JSON text."""
        body = body.encode("ascii")
        rest = ANSWER.pack(len(body), key) + body
        try:
            with self.lock:
                while rest:
                    rest = rest[os.write(self.sink, rest):]
        except OSError:
            # The worker has ended, or a task has closed the pipe: no answer can be given any more.
            end_group()
