"""SIGTERM while a task runs: it raises an exception in the task, so that the task can clean up.

The worker sends SIGTERM to a process whose task is stopped or has exceeded a time limit, and kills it some time later.
"""

import os
import signal
from signal import pthread_sigmask

from hub.lib.api import Stopped

SIGNALS = (signal.SIGTERM,)


class Stopping:
    def __init__(self):
        self.pid = os.getpid()
        # Whether code of the task runs.
        self.is_in_task = False
        # Whether this process handles a request.
        self.is_busy = False
        # Whether SIGTERM has arrived during a request: then this process must not be used again.
        self.has_arrived = False
        # The blocked signals before a fork.
        self.blocked = ()
        self.handler = self.handle
        signal.signal(signal.SIGTERM, self.handler)
        # Python discards signals that arrive during a fork, so SIGTERM is blocked meanwhile.
        os.register_at_fork(before=self.block, after_in_parent=self.unblock, after_in_child=self.leave)

    def enter(self):
        """Code of the task runs from now on."""
        self.is_in_task = True
        if self.has_arrived:
            self.interrupt()

    def handle(self, number, frame):
        if not self.is_busy or os.getpid() != self.pid:
            self.end_process()
        self.has_arrived = True
        if self.is_in_task:
            self.interrupt()

    def interrupt(self):
        # Once only, so that a second signal does not disturb the cleaning up.
        self.is_in_task = False
        raise Stopped("the task was stopped")

    @staticmethod
    def end_process():
        """Ends this process as SIGTERM does by default."""
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTERM)

    def block(self):
        self.blocked = pthread_sigmask(signal.SIG_BLOCK, SIGNALS)

    def unblock(self):
        pthread_sigmask(signal.SIG_SETMASK, self.blocked)

    def leave(self):
        """In a fork of this process, SIGTERM has its default effect."""
        if signal.getsignal(signal.SIGTERM) == self.handler:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
        self.unblock()
