"""The process that runs tasks for a worker.

Requests are read from the original standard input, and answers are written to the original standard output (see
hub.channel). Both descriptors are moved before any task runs, so that output of tasks cannot reach them.
"""

import contextvars
import errno
import functools
import json
import os
import sys
import threading
import time
import traceback

from hub import channel, importing, output
from hub.failure import Failure, clean, describe, shorten
from hub.lib import api
from hub.modules import BrokenModule, Modules, NoSuchModule
from hub.progress import Progress
from hub.requests import Requests
from hub.result import encode
from hub.stopping import Stopping
from hub.surroundings import Surroundings

HERE = os.path.dirname(os.path.abspath(__file__))
# The answer if describing a failure fails.
UNDESCRIBED = {"status": "failed", "kind": "TASK_FAILED", "msg": "the task failed; the error could not be described"}


class Exhausted(Exception):
    """Earlier tasks have used up the descriptors of this process, so another process runs the task."""


def lacks_descriptors(error):
    """Whether an import has failed because this process has no descriptors left."""
    # The chain of causes may be a cycle.
    for _ in range(100):
        if error is None:
            break
        if getattr(error, "errno", None) == errno.EMFILE:
            return True
        if isinstance(error, ImportError) and os.strerror(errno.EMFILE) in str(error):
            # A library that could not be loaded.
            return True
        error = error.__cause__ or error.__context__
    return False


# Do not skip white space around the value, because the worker sends none. The first one is faster, and its errors have no
# description.
_scan = json.JSONDecoder().scan_once
_decode = json.JSONDecoder().raw_decode
# Tasks may replace the function of the module.
_getpid = os.getpid


def call(state, function):
    """Runs a task in its own context."""
    api._current.set(state)
    return function(*state.args, **state.kwargs)


class Child:
    def __init__(self, talk, capture, settings):
        self.talk = talk
        self.capture = capture
        self.settings = settings
        self.pid = os.getpid()
        self.modules = Modules(settings["tasks_dir"])
        # Before the surroundings, which restore signal handlers.
        self.stopping = Stopping()
        # Created after the modules, which change how Python imports.
        self.surroundings = Surroundings()
        self.modules.load = functools.partial(self.surroundings.keep, importing.load)
        self.requests = Requests(talk, self.pass_on)
        # Whether a task of this process has run.
        self.has_begun = False
        self.coroutines = None

    def run(self):
        self.requests.start()
        while True:
            key, body = self.requests.next()
            self.stopping.is_busy = True
            if not self.serve(key, body):
                # This process must not be used again. The answer says so, and the worker ends the process.
                threading.Event().wait()
            self.stopping.is_busy = False
            if self.stopping.has_arrived:
                # It arrived after the answer.
                self.stopping.end_process()

    def pass_on(self, kind, key, body):
        """Handles a request about a coroutine."""
        if kind == channel.RUN_COROUTINE:
            if self.coroutines is None:
                from hub.coroutines import Coroutines

                self.coroutines = Coroutines(self)
            self.coroutines.start(key, body)
        elif self.coroutines is not None:
            self.coroutines.cancel(key)

    def parse(self, body):
        try:
            if body is None:
                raise MemoryError
            text = body.decode("utf-8")
            try:
                return _scan(text, 0)[0]
            except StopIteration:
                return _decode(text)[0]
        except RecursionError:
            limit = self.settings["max_depth"]
            msg = "the arguments are nested too deeply: values may be nested %d levels deep" % limit
            raise Failure("VALUE_TOO_DEEP", msg, "RecursionError")
        except MemoryError:
            raise Failure("TASK_FAILED", "there is not enough memory for the arguments", "MemoryError")
        except ValueError as error:
            raise Failure("BAD_ARGUMENTS", "the arguments cannot be read: %s" % error, type(error).__name__)

    def load(self, request):
        name = request["task_name"]
        try:
            task = self.modules.get(name)
            self.has_begun = True
            return task
        except NoSuchModule:
            raise Failure("UNKNOWN", "no such module")
        except BrokenModule as error:
            raise Failure("BROKEN_MODULE", str(error))
        except BaseException as error:
            if self.has_begun and lacks_descriptors(error):
                raise Exhausted
            raise describe(error, "BROKEN_MODULE")[0]

    def progress(self, key):
        """The progress of the task with this key, which is sent until it ends."""
        return Progress(self.talk.answer, key, self.pid)

    def outcome(self, task, value):
        return {"status": "launched" if task.asynchronous else "success", "data": encode(value, self.settings)}

    def failure(self, error, task):
        try:
            if isinstance(error, Exhausted):
                return {"status": "exhausted", "last": True}
            if isinstance(error, Failure):
                return error.answer
            failure, frames = describe(error)
            if isinstance(error, TypeError) and frames is None and task is not None:
                # Without a frame of user code, the arguments do not match the function's parameters.
                failure.answer["kind"] = "BAD_ARGUMENTS"
                failure.answer["traceback"] = None
                failure.answer["msg"] = "%s; it is %s" % (failure.answer["msg"], signature(task))
            return failure.answer
        except BaseException:
            return dict(UNDESCRIBED)

    def serve(self, key, body):
        """Runs a task. Returns whether the process can run another one."""
        began = time.perf_counter_ns()
        task = None
        restored = True
        progress = self.progress(key)
        try:
            self.capture.prepare(began)
            request = self.parse(body)
            state = api.State(request, progress.report)
            try:
                self.stopping.enter()
                task = self.load(request)
                api._running = state
                value = contextvars.copy_context().run(call, state, task.function)
                if type(value) is COROUTINE:
                    import asyncio

                    value = asyncio.run(value)
            finally:
                self.stopping.is_in_task = False
                if _getpid() != self.pid:
                    self.leave_if_forked()
                api._running = None
                # Must be first, because the following calls may import modules.
                restored = self.surroundings.repair()
                self.capture.restore()
                restored = self.surroundings.restore() and restored
            answer = self.outcome(task, value)
        except BaseException as error:
            answer = self.failure(error, task)
        log = self.capture.collect()
        is_whole = restored and not self.capture.is_broken and not self.stopping.has_arrived
        if not is_whole or self.surroundings.lacks_descriptors(began):
            answer["last"] = True
        progress.end()
        self.answer(key, answer, log, began)
        return "last" not in answer

    def answer(self, key, answer, log, began):
        took = (time.perf_counter_ns() - began) // 1000
        data = answer.pop("data", None)
        if data is not None:
            # The result is JSON text already, so it is inserted without encoding.
            rest = ',"log":%s' % json.dumps(log) if log else ""
            if "last" in answer:
                rest += ',"last":true'
            return self.talk.answer(key, f'{{"us":{took},"status":"{answer["status"]}","data":{data}{rest}}}')
        answer["us"] = took
        if log:
            answer["log"] = log
        self.talk.answer(key, json.dumps(answer))

    def end_group(self):
        """Ends this process, because it can no longer answer."""
        channel.end_group()

    def leave_if_forked(self):
        """A task that forks may return twice. Only the original process answers."""
        if os.getpid() != self.pid:
            leave(sys.exc_info()[1])


def leave(error):
    """Ends a fork of this process like Python does."""
    code = 0
    try:
        if isinstance(error, SystemExit):
            code = error.code if isinstance(error.code, int) else 0 if error.code is None else 1
        elif error is not None:
            code = 1
            traceback.print_exception(type(error), error, error.__traceback__)
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:
        pass
    os._exit(code & 0xFF)


async def _nothing():
    pass


_one = _nothing()
COROUTINE = type(_one)
_one.close()


def signature(task):
    import inspect

    try:
        return clean(shorten("%s%s" % (task.__name__, inspect.signature(task.function)), (1000, 100)))
    except BaseException:
        return clean(str(task.__name__))


def documentation(task):
    import inspect

    try:
        return clean(inspect.getdoc(task.function))
    except BaseException:
        return None


def keep_bytecode():
    """Compiles Hub's own modules, so that later processes import them in less than half the time."""
    if sys.pycache_prefix is not None:
        # The bytecode would be written to another directory and not removed.
        return
    import py_compile

    try:
        for directory in (HERE, os.path.join(HERE, "lib")):
            for name in os.listdir(directory):
                if name.endswith(".py"):
                    py_compile.compile(os.path.join(directory, name), quiet=2)
    except OSError:
        # The file system is full.
        pass


def scan(talk, settings, names):
    """Imports the modules one after another and reports the task of each. The name is reported first, so that a module that
    ends or hangs this process is known. After the last line, the worker does not wait for exit handlers of modules."""
    modules = Modules(settings["tasks_dir"])
    own = os.getpid()
    for name in names:
        write_line(talk, {"loading": name})
        try:
            task = modules.get(name)
            found = {
                "name": name,
                "signature": signature(task),
                "doc": documentation(task),
                "asynchronous": task.asynchronous,
                "coroutine": task.coroutine,
                "defaults": task.defaults or None,
            }
        except BrokenModule as error:
            found = {"name": name, "broken": str(error)}
        except NoSuchModule:
            continue
        except BaseException as error:
            if os.getpid() != own:
                leave(error)
            found = {"name": name, "broken": describe(error)[0].answer["traceback"]}
        if os.getpid() != own:
            leave(None)
        write_line(talk, found)
    write_line(talk, {"all": True})


def write_line(talk, message):
    rest = (json.dumps(message) + "\n").encode("ascii")
    while rest:
        rest = rest[os.write(talk.sink, rest):]


def main():
    settings = json.loads(sys.argv[1])
    # Task modules must not see Hub's arguments.
    del sys.argv[1:]
    if hasattr(sys, "set_int_max_str_digits"):
        sys.set_int_max_str_digits(0)
    talk = channel.Channel()
    is_for_coroutines = settings.get("coroutines", False)
    stream = output.Routed if is_for_coroutines else output.io.TextIOWrapper
    capture = output.Capture(settings["output"], settings["log_limit"], stream)
    os.register_at_fork(before=capture.flush)
    if "scan" in settings:
        keep_bytecode()
        scan(talk, settings, settings["scan"])
        return
    try:
        Child(talk, capture, settings).run()
    except BaseException:
        # For example a signal handler of a task has raised an exception between two tasks.
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        channel.end_group()
