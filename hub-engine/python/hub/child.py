"""The process that runs tasks for a worker.

Requests come as lines of JSON on standard input, answers go as lines of JSON to what was standard output.
Both are moved aside before any task runs, so that nothing a task prints can reach them.
"""

import json
import os
import queue
import signal
import sys
import threading
import time
import traceback

from hub import output
from hub.lib import api
from hub.modules import BrokenModule, Modules

HERE = os.path.dirname(os.path.abspath(__file__))


class Failure(Exception):
    """A failure in the words of the protocol."""

    def __init__(self, kind, msg, type_name=None, trace=None):
        super().__init__(msg)
        self.answer = {"status": "failed", "kind": kind, "msg": msg, "type": type_name, "traceback": trace}


def describe(error, kind="TASK_FAILED"):
    """An exception as a failure; the traceback begins where the user's code does."""
    frames = error.__traceback__
    while frames is not None and os.path.dirname(frames.tb_frame.f_code.co_filename) == HERE:
        frames = frames.tb_next
    trace = "".join(traceback.format_exception(type(error), error, frames))
    name = type(error).__name__
    return Failure(kind, str(error) or name, name, trace), frames


def find_unencodable(value, path="result"):
    """Where in a value the thing is that JSON has no word for."""
    if value is None or isinstance(value, (str, bool, int)):
        return None
    if isinstance(value, float):
        return None if value == value and value not in (float("inf"), float("-inf")) else "%s is %r" % (path, value)
    if isinstance(value, dict):
        for key, inner in value.items():
            if not isinstance(key, (str, int, float, bool, type(None))):
                return "%s has a key that is a %s" % (path, type(key).__name__)
            found = find_unencodable(inner, "%s[%r]" % (path, key))
            if found:
                return found
        return None
    if isinstance(value, (list, tuple)):
        for index, inner in enumerate(value):
            found = find_unencodable(inner, "%s[%d]" % (path, index))
            if found:
                return found
        return None
    return "%s is a %s" % (path, type(value).__name__)


# Made once: json.dumps makes one anew for each call that has options.
_encode = json.JSONEncoder(allow_nan=False, separators=(",", ":")).encode


def encode(value, limit):
    try:
        text = _encode(value)
    except (TypeError, ValueError, RecursionError) as error:
        try:
            found = find_unencodable(value)
        except RecursionError:
            found = "it is nested too deeply or contains itself"
        raise Failure("BAD_RESULT", "the result cannot be written as JSON: %s" % (found or error), type(error).__name__)
    if len(text) > limit:
        raise Failure("RESULT_TOO_LARGE", "the result has %d bytes, the limit is %d" % (len(text), limit))
    return text


class Child:
    def __init__(self, requests, answers, beneath, settings):
        self.requests = requests
        self.answers = answers
        self.beneath = beneath
        self.log_limit = settings["log_limit"]
        self.result_limit = settings["result_limit"]
        self.modules = Modules(settings["tasks_dir"])
        self.lock = threading.Lock()
        self.todo = queue.SimpleQueue()
        # Requests that have not begun. Whoever takes one out of it decides what becomes of it.
        self.waiting = {}
        self.loop = None
        self.coroutines = {}

    def run(self):
        threading.Thread(target=self.read, name="hub-requests", daemon=True).start()
        while True:
            request = self.waiting.pop(self.todo.get(), None)
            if request is not None:
                self.serve(request)

    def read(self):
        """Reads requests in a thread of its own: when the worker dies, so does whatever runs here."""
        for line in self.requests:
            request = json.loads(line)
            if "cancel" in request:
                self.cancel(request["cancel"])
            elif "drop" in request:
                self.drop(request["drop"])
            elif request.get("coroutine"):
                self.start_coroutine(request)
            else:
                self.waiting[request["key"]] = request
                self.todo.put(request["key"])
        # The whole group: a task's own processes must not outlive it.
        os.killpg(0, signal.SIGKILL)

    def drop(self, keys):
        """Gives back what has not begun."""
        for key in keys:
            if self.waiting.pop(key, None) is not None:
                self.say({"id": key, "status": "dropped"})

    def answer(self, request, answer, log, began):
        took = time.perf_counter_ns() - began
        text = log.text()
        data = answer.pop("data", None)
        if data is not None:
            # The result is JSON text already: it is put in, not encoded a second time.
            line = '{"id":%d,"us":%d,"status":"%s","data":%s' % (request["key"], took // 1000, answer["status"], data)
            line += ',"log":%s}\n' % json.dumps(text) if text else "}\n"
            return self.write(line)
        answer.update(id=request["key"], us=took // 1000)
        if text:
            answer["log"] = text
        self.say(answer)

    def say(self, message):
        self.write(json.dumps(message) + "\n")

    def write(self, line):
        with self.lock:
            write(self.answers, line)

    def load(self, request):
        try:
            return self.modules.get(request["task_name"])
        except FileNotFoundError:
            raise Failure("UNKNOWN", "no such module")
        except BrokenModule as error:
            raise Failure("BROKEN_MODULE", str(error))
        except BaseException as error:
            raise describe(error, "BROKEN_MODULE")[0]

    def outcome(self, task, value):
        return {"status": "launched" if task.asynchronous else "success", "data": encode(value, self.result_limit)}

    def failure(self, error, task):
        if isinstance(error, Failure):
            return error.answer
        failure, frames = describe(error)
        if isinstance(error, TypeError) and frames is None and task is not None:
            # No frame of the user's: the call itself did not fit the function.
            failure.answer["kind"] = "BAD_ARGUMENTS"
            failure.answer["traceback"] = None
            failure.answer["msg"] = "%s; it is %s" % (error, signature(task))
        return failure.answer

    def serve(self, request):
        began = time.perf_counter_ns()
        log = output.Log(self.log_limit)
        state = api.State(request)
        token = api._current.set(state)
        capture = output.attach(log)
        api._running = state
        sys.stdout.running = sys.stderr.running = log
        task = None
        try:
            task = self.load(request)
            answer = self.outcome(task, task.function(*request["args"], **request["kwargs"]))
        except BaseException as error:
            answer = self.failure(error, task)
        finally:
            sys.stdout.running = sys.stderr.running = None
            api._running = None
            output.detach(capture)
            api._current.reset(token)
        self.collect(log)
        self.answer(request, answer, log, began)

    def collect(self, log):
        """What subprocesses and libraries wrote past Python."""
        size = os.fstat(self.beneath).st_size
        if size:
            skip = max(0, size - self.log_limit)
            log.write(os.pread(self.beneath, self.log_limit, skip).decode("utf-8", "replace"))
            os.ftruncate(self.beneath, 0)

    def start_coroutine(self, request):
        import asyncio

        if self.loop is None:
            self.loop = asyncio.new_event_loop()
            threading.Thread(target=self.loop.run_forever, name="hub-coroutines", daemon=True).start()
        self.loop.call_soon_threadsafe(self.spawn, request)

    def spawn(self, request):
        self.coroutines[request["key"]] = self.loop.create_task(self.serve_coroutine(request))

    async def serve_coroutine(self, request):
        import asyncio

        began = time.perf_counter_ns()
        log = output.Log(self.log_limit)
        api._current.set(api.State(request))
        output.attach(log)
        task = None
        try:
            task = self.load(request)
            value = task.function(*request["args"], **request["kwargs"])
            if asyncio.iscoroutine(value):
                value = await value
            answer = self.outcome(task, value)
        except asyncio.CancelledError:
            answer = {"status": "cancelled"}
        except BaseException as error:
            answer = self.failure(error, task)
        self.coroutines.pop(request["key"], None)
        self.answer(request, answer, log, began)

    def cancel(self, key):
        if self.loop is not None:
            self.loop.call_soon_threadsafe(lambda: self.coroutines.get(key) and self.coroutines[key].cancel())


def signature(task):
    import inspect

    try:
        return "%s%s" % (task.__name__, inspect.signature(task.function))
    except (TypeError, ValueError):
        return task.__name__


def scan(answers, settings, names):
    """Imports one module after the other and says what each has. The name goes first, so that a module
    that ends or hangs this process is known by it. When it has said all it says so: nobody need wait
    for this process to tidy up."""
    import inspect

    modules = Modules(settings["tasks_dir"])
    for name in names:
        say(answers, {"loading": name})
        try:
            task = modules.get(name)
            doc = inspect.getdoc(task.function)
            found = {
                "name": name,
                "signature": signature(task),
                "doc": doc,
                "asynchronous": task.asynchronous,
                "coroutine": task.coroutine,
            }
        except BrokenModule as error:
            found = {"name": name, "broken": str(error)}
        except FileNotFoundError:
            continue
        except BaseException as error:
            found = {"name": name, "broken": describe(error)[0].answer["traceback"]}
        say(answers, found)
    say(answers, {"all": True})


def say(answers, message):
    write(answers, json.dumps(message) + "\n")


def write(answers, line):
    rest = line.encode("ascii")
    while rest:
        rest = rest[os.write(answers, rest):]


def main():
    settings = json.loads(sys.argv[1])
    if hasattr(sys, "set_int_max_str_digits"):
        sys.set_int_max_str_digits(0)
    requests = os.fdopen(os.dup(0), "rb")
    answers = os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    beneath = os.open(settings["output"], os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_TRUNC, 0o600)
    os.dup2(beneath, 1)
    os.dup2(beneath, 2)
    sys.stdout = output.Stream(open(1, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False))
    sys.stderr = output.Stream(open(2, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False))
    if "scan" in settings:
        scan(answers, settings, settings["scan"])
        return
    Child(requests, answers, beneath, settings).run()

