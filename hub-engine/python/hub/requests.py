"""The requests of the worker to this process.

The main thread reads them itself while it has nothing to do, because waking it from another thread takes as long as a short
task. While it runs a task, another thread takes over, so that withdrawals and the end of the worker are noticed.
"""

import os
import queue
import threading
import time

from hub import channel

# Interval at which the other thread checks whether it has to read, in seconds. A withdrawal is noticed after this time.
INTERVAL = 0.01
# Tasks may replace the function of the module.
_sleep = time.sleep


class Requests:
    def __init__(self, talk, pass_on):
        self.talk = talk
        # Called with the kind, the key and the body of other requests than RUN and DROP.
        self.pass_on = pass_on
        # The keys of the requests to run a task.
        self.todo = queue.SimpleQueue()
        # Requests that have not started. Each is removed once: to be run or to be withdrawn.
        self.waiting = {}
        # Held by the thread that reads.
        self.turn = threading.Lock()
        # Whether the main thread waits for the other one to read.
        self.is_waiting = False
        # How often the main thread has read.
        self.reads = 0
        # Whether the other thread sleeps, because the main thread waits for requests.
        self.is_asleep = False
        self.alarm = queue.SimpleQueue()

    def start(self):
        threading.Thread(target=self._watch, name="hub-requests", daemon=True).start()

    def next(self):
        """Waits for the next request to run a task. Returns its key and its body."""
        while True:
            if self.todo.empty():
                # Set before the lock is tried: see _read_for_main.
                self.is_waiting = True
                if self.turn.acquire(False):
                    self._read_as_main()
                    continue
            # If it is empty, the other thread is reading.
            key = self.todo.get()
            self.is_waiting = False
            found = self.waiting.pop(key, None)
            if found is not None:
                return key, found[0]

    def _read_as_main(self):
        self.is_waiting = False
        try:
            self._read()
        finally:
            self.turn.release()
        self.reads += 1
        # Read after the lock is released: see _sleep_until_needed.
        if self.is_asleep:
            self.is_asleep = False
            self.alarm.put(None)

    def _watch(self):
        reads = None
        while True:
            _sleep(INTERVAL)
            if self.turn.acquire(False):
                # The main thread runs a task.
                self._read_for_main()
            elif self.reads == reads:
                self._sleep_until_needed()
            reads = self.reads

    def _read_for_main(self):
        try:
            while not self._read():
                pass
        finally:
            self.turn.release()
        if self.is_waiting:
            # The main thread has run that task already, and could not read. It tries again.
            self.todo.put(None)

    def _sleep_until_needed(self):
        self.is_asleep = True
        # If the main thread has stopped reading before it could see this, it does not give the alarm.
        if self.turn.locked():
            self.alarm.get()
        self.is_asleep = False

    def _read(self):
        """Waits for requests and sorts them. Returns whether there is one to run a task.

        It does not decode bodies, so that an invalid body cannot end it. If it fails for any reason, the process ends."""
        has_new = False
        try:
            for kind, key, body in self.talk.receive():
                if kind == channel.RUN:
                    self.waiting[key] = (body,)
                    self.todo.put(key)
                    has_new = True
                elif kind == channel.DROP:
                    # Withdraws a request that has not started.
                    if self.waiting.pop(key, None) is not None:
                        self.talk.answer(key, '{"status":"dropped"}')
                else:
                    self.pass_on(kind, key, body)
            return has_new
        except EOFError:
            # The worker has ended.
            channel.end_group()
        except BaseException as error:
            try:
                os.write(2, ("hub: failed to read requests: %r\n" % error).encode("utf-8", "backslashreplace"))
            finally:
                channel.end_group()
