"""Runs `async def` tasks concurrently on an event loop in a separate thread."""

import asyncio
import threading
import time

from hub import output
from hub.lib import api


class Coroutines:
    def __init__(self, child):
        self.child = child
        self.tasks = {}
        # The keys of the tasks that the worker has cancelled.
        self.cancelled = set()
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.run, name="hub-coroutines", daemon=True).start()

    def run(self):
        asyncio.set_event_loop(self.loop)
        while True:
            try:
                # Returns if a task stops the loop or one of its sub-tasks raises SystemExit. The other tasks continue.
                self.loop.run_forever()
            except Exception:
                # A task has closed the loop or its descriptors, so no task of this process can continue.
                self.child.end_group()
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
            self.cancelled.add(key)
            # After its first step: a coroutine that is cancelled before that does not run and does not answer.
            self.loop.call_soon(task.cancel)

    async def serve(self, key, body):
        child = self.child
        began = time.perf_counter_ns()
        log = output.Log(child.settings["log_limit"])
        output.attach(log)
        task = None
        progress = child.progress(key)
        try:
            child.capture.prepare(began)
            if key in self.cancelled:
                raise asyncio.CancelledError
            request = child.parse(body)
            api._current.set(api.State(request, progress.report))
            task = child.load(request)
            value = task.function(*request["args"], **request["kwargs"])
            if asyncio.iscoroutine(value):
                value = await value
            child.leave_if_forked()
            answer = child.outcome(task, value)
        except BaseException as error:
            child.leave_if_forked()
            if isinstance(error, asyncio.CancelledError) and key in self.cancelled:
                answer = {"status": "cancelled"}
            else:
                answer = child.failure(error, task)
        try:
            progress.end()
            self.finish(key, answer, log, began)
        except BaseException:
            # Without an answer the task would run for ever. The worker notices the end of the process.
            self.child.end_group()

    def finish(self, key, answer, log, began):
        capture = self.child.capture
        del self.tasks[key]
        self.cancelled.discard(key)
        surroundings = self.child.surroundings
        is_whole = surroundings.repair()
        capture.restore()
        if not self.tasks:
            # There is no other coroutine that this could disturb.
            is_whole = surroundings.restore() and is_whole
            log.write(capture.collect())
        elif capture.is_large():
            # Output that bypasses Python cannot be assigned to a task.
            capture.collect()
        if not is_whole or capture.is_broken or surroundings.lacks_descriptors(began):
            # The worker passes no further tasks to this process, and ends it after its last task.
            answer["last"] = True
        self.child.answer(key, answer, log.text(), began)
