"""The progress that tasks report: it is checked in the task, and sent to the worker at most ten times a second. The newest
value wins.
"""

import json
import os
import queue
import threading
import time

from hub.failure import Failure
from hub.result import beyond_limits, encode, too_deep

# Minimum interval of messages about one task, in seconds.
INTERVAL = 0.1
SETTINGS = {"result_limit": 4096, "max_depth": 500}
# Shorter text cannot be nested too deeply and has no number beyond the range of double precision.
PLAIN = 300


def check(value):
    """The JSON text of a value. Raises TypeError or ValueError with the reason if the value cannot be a progress."""
    try:
        text = encode(value, SETTINGS, "progress")
    except Failure as failure:
        kind = TypeError if failure.answer["type"] == "TypeError" else ValueError
        raise kind(str(failure)) from None
    try:
        refused = len(text) > PLAIN and beyond_limits(json.loads(text), SETTINGS, "progress")
    except RecursionError:
        raise ValueError(too_deep(SETTINGS, "progress")) from None
    if refused:
        raise ValueError(refused[1])
    return text


class Progress:
    """The progress of one task. Most tasks report none, so creating this does little."""

    next_time = 0.0
    unsent = None
    has_ended = False
    # Shared by all tasks of the process, because each holds it only for a moment.
    lock = threading.Lock()

    def __init__(self, answer, key, pid):
        # Called with the key and a message.
        self.answer = answer
        self.key = key
        # The process that runs the task.
        self.pid = pid

    def report(self, value):
        text = check(value)
        # A fork of this process cannot reach the worker.
        if os.getpid() != self.pid:
            return
        with self.lock:
            if self.has_ended:
                return
            is_waiting, self.unsent = self.unsent is not None, text
            if time.monotonic() >= self.next_time:
                self._send()
            elif not is_waiting:
                _late.add(self)

    def flush(self):
        """Sends the newest value, if it was not sent."""
        with self.lock:
            if self.unsent is not None and not self.has_ended:
                self._send()

    def end(self):
        """The task has ended. Later values are ignored."""
        with self.lock:
            if self.unsent is not None:
                self._send()
            self.has_ended = True

    def _send(self):
        text, self.unsent = self.unsent, None
        self.next_time = time.monotonic() + INTERVAL
        self.answer(self.key, '{"status":"progress","data":%s}' % text)


class Late:
    """Sends values that had to wait, in a thread of its own, because their tasks may report nothing for a long time."""

    def __init__(self):
        self.waiting = queue.SimpleQueue()
        self.pid = None

    def add(self, progress):
        # Threads do not survive a fork.
        if self.pid != os.getpid():
            self.pid = os.getpid()
            self.waiting = queue.SimpleQueue()
            try:
                threading.Thread(target=self.run, args=(self.waiting,), name="hub-progress", daemon=True).start()
            except RuntimeError:
                # No further thread may be started.
                self.pid = None
                return progress._send()
        self.waiting.put(progress)

    @staticmethod
    def run(waiting):
        # All wait for the same time, so the first one in the queue is due first.
        while True:
            progress = waiting.get()
            time.sleep(max(0.0, progress.next_time - time.monotonic()))
            progress.flush()


_late = Late()
