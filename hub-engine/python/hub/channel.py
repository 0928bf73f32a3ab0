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
PIECE = 65536


def move_aside(descriptor):
    """Duplicates a descriptor to a number that tasks are unlikely to use."""
    try:
        return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, HIGH)
    except (OSError, ValueError):
        # The limit of descriptors is lower. The standard streams are not used.
        return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 3)


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
        self.lock = threading.Lock()
        os.register_at_fork(after_in_child=self.leave)

    def leave(self):
        """Closes the channel in a fork of this process, which must neither answer nor keep the pipes open."""
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
            # The worker has ended or a task has closed the pipe, so no answer is possible.
            end_group()
