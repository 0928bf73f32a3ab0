"""Runs `async def` tasks, many at a time, on an event loop in a thread of its own."""

import asyncio
import threading
import time

from hub import output
from hub.lib import api

# What tasks printed past Python belongs to one of them, or to nobody; the file is emptied when it has so many bytes.
FULL = 1 << 20


class Coroutines:
    def __init__(self, child):
        self.child = child
        self.tasks = {}
        # What the worker wants to end.
        self.unwanted = set()
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.run, name="hub-coroutines", daemon=True).start()

    def run(self):
        asyncio.set_event_loop(self.loop)
        while True:
            try:
                # Ends where a task stops the loop, or one of its own tasks raises SystemExit: that is no reason to let
                # all others down.
                self.loop.run_forever()
            except BaseException:
                pass

    def start(self, key, body):
        self.loop.call_soon_threadsafe(self.spawn, key, body)

    def cancel(self, key):
        self.loop.call_soon_threadsafe(self.stop, key)

    def spawn(self, key, body):
        self.tasks[key] = self.loop.create_task(self.serve(key, body))

    def stop(self, key):
        task = self.tasks.get(key)
        if task is not None:
            self.unwanted.add(key)
            task.cancel()

    async def serve(self, key, body):
        child = self.child
        began = time.perf_counter_ns()
        log = output.Log(child.settings["log_limit"])
        output.attach(log)
        task = None
        try:
            request = child.parse(body)
            api._current.set(api.State(request))
            task = child.load(request)
            value = task.function(*request["args"], **request["kwargs"])
            if asyncio.iscoroutine(value):
                value = await value
            child.leave_if_forked()
            answer = child.outcome(task, value)
        except BaseException as error:
            child.leave_if_forked()
            if isinstance(error, asyncio.CancelledError) and key in self.unwanted:
                answer = {"status": "cancelled"}
            else:
                answer = child.failure(error, task)
        del self.tasks[key]
        self.unwanted.discard(key)
        child.capture.restore()
        if not self.tasks:
            # Nothing that runs could be disturbed by it.
            child.surroundings.restore()
            log.write(child.capture.collect())
        elif child.capture.size() > FULL:
            child.capture.collect()
        child.answer(key, answer, log.text(), began)
