"""Runs tasks in tests, without a worker.

    from hub.lib.testing import run

    def test_add():
        assert run(add, 1, 2).value == 3

The task runs, fails and prints by the same code as in a process of a worker. Workers do not have this file.
"""

import asyncio
import contextlib
import dataclasses
import json
import os
import sys
import tempfile
import threading
import uuid
from typing import Any, Callable, Optional, Tuple

from hub import failure, output
from hub.child import Child
from hub.coroutines import Coroutines
from hub.modules import as_task
from hub.progress import check
from hub.result import beyond_limits, encode, find_unencodable

__all__ = ["Failure", "Outcome", "run"]

# The default limits of a worker.
_SETTINGS = {"log_limit": 64 * 1024, "result_limit": 8 * 1024 * 1024, "max_depth": 500}
# The key of a request. There is only one.
_KEY = 0
_STREAMS = ("stdin", "stdout", "stderr", "__stdin__", "__stdout__", "__stderr__")


@dataclasses.dataclass(frozen=True)
class Failure:
    """Why a task has failed.

    kind: such as TASK_FAILED, BAD_ARGUMENTS or BAD_RESULT.
    msg: the text of the exception.
    type, bases: the names of its class and of the base classes.
    traceback: begins with the code of the task.
    retry: "again" after Retry, "never" after Fatal. None if the retry policy of the task decides.
    retry_after: the wait that the task has asked for, in seconds.
    """

    kind: str
    msg: str
    type: Optional[str] = None
    bases: Tuple[str, ...] = ()
    traceback: Optional[str] = dataclasses.field(default=None, repr=False)
    retry: Optional[str] = None
    retry_after: Optional[float] = None


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How a task has ended.

    value: the result as other tasks receive it, after a conversion to JSON and back. None if the task has failed.
    log: what the task has printed.
    failure: None if the task has not failed.
    progress: the newest progress that it has reported. None if there is none.
    """

    value: Any
    log: str
    failure: Optional[Failure] = None
    progress: Any = None


def run(task: Callable[..., Any], /, *args: Any, attempt: int = 1, last_progress: Any = None, **kwargs: Any) -> Outcome:
    """Runs a task, or a function that could be one, with these arguments. `attempt` is the number of the attempt, and
    `last_progress` is the progress that an earlier one has reported."""
    found = as_task(task, "task")
    if found is None:
        raise TypeError("run() takes a task or a function, not %r" % (task,))
    request = _request(found.__name__, list(args), kwargs, attempt, last_progress)
    channel = _Channel()
    with _captured(output.Routed if found.coroutine else output.io.TextIOWrapper) as capture:
        child = _Child(found, channel, capture)
        if found.coroutine:
            # As in a worker, coroutines do not run on the main thread. The test may run on an event loop itself.
            thread = threading.Thread(target=_Coroutines(child).run, args=(request,), daemon=True)
            thread.start()
            thread.join()
        else:
            child.serve(_KEY, request)
    if channel.answer_text is None:
        raise RuntimeError("the task has closed its event loop, so there is no outcome")
    return dataclasses.replace(_outcome(json.loads(channel.answer_text)), progress=channel.progress)


def _request(name, args, kwargs, attempt, last_progress):
    """The body of a worker's request."""
    try:
        arguments = encode({"args": args, "kwargs": kwargs}, _SETTINGS)
    except failure.Failure as refusal:
        try:
            found = find_unencodable(args, "args") or find_unencodable(kwargs, "kwargs")
        except RecursionError:
            found = None
        raise ValueError("a job cannot have these arguments: %s" % (found or refusal)) from None
    about = {"id": str(uuid.uuid4()), "parent_id": str(uuid.uuid4()), "name": name, "task_name": name, "attempt": attempt}
    return ('%s,"last_progress":%s,%s' % (json.dumps(about)[:-1], check(last_progress), arguments[1:])).encode("ascii")


def _outcome(answer):
    log = answer.get("log", "")
    if answer["status"] != "failed":
        refused = beyond_limits(answer["data"], _SETTINGS)
        return Outcome(answer["data"], log) if refused is None else Outcome(None, log, Failure(*refused))
    advice = answer.get("retry")
    after = advice["after_ms"] / 1000 if isinstance(advice, dict) else None
    return Outcome(None, log, Failure(
        kind=answer["kind"],
        msg=answer["msg"],
        type=answer.get("type"),
        bases=tuple(answer.get("bases", ())),
        traceback=answer.get("traceback"),
        retry="again" if after is not None else advice,
        retry_after=after,
    ))


@contextlib.contextmanager
def _captured(stream):
    """Keeps what is printed to the standard streams, and restores them."""
    streams = {name: getattr(sys, name) for name in _STREAMS}
    for own in (sys.stdout, sys.stderr):
        if own is not None:
            own.flush()
    copies = [os.dup(descriptor) for descriptor in range(3)]
    try:
        with tempfile.TemporaryDirectory() as directory:
            yield output.Capture(os.path.join(directory, "output"), _SETTINGS["log_limit"], stream)
    finally:
        for name, own in streams.items():
            setattr(sys, name, own)
        for descriptor, copy in enumerate(copies):
            os.dup2(copy, descriptor)
            os.close(copy)


class _Channel:
    """Keeps the progress and the answer of a child."""

    progress = None
    answer_text = None

    def answer(self, key, text):
        if text.startswith('{"status":"progress"'):
            self.progress = json.loads(text)["data"]
        else:
            self.answer_text = text


class _Surroundings:
    """The process is that of the tests, so its state is not restored."""

    def repair(self):
        return True

    def restore(self):
        return True

    def lacks_descriptors(self, now):
        return False


class _Stopping:
    """The process of the tests handles signals itself."""

    has_arrived = False

    def enter(self):
        pass


class _Child(Child):
    """Runs one task, in the process of the tests."""

    def __init__(self, task, talk, capture):
        # The constructor of Child is not called: it changes how Python imports modules.
        self.task = task
        self.talk = talk
        self.capture = capture
        self.settings = _SETTINGS
        self.pid = os.getpid()
        self.surroundings = _Surroundings()
        self.stopping = _Stopping()

    def load(self, request):
        return self.task

    def end_group(self):
        """Called while an exception is handled. The process of the tests goes on."""
        raise


class _Coroutines(Coroutines):
    """Runs one coroutine, on an event loop that ends with it."""

    def __init__(self, child):
        self.child = child
        self.tasks = {_KEY: None}
        self.cancelled = set()

    def run(self, request):
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        serving = loop.create_task(self.serve(_KEY, request))
        serving.add_done_callback(lambda _: loop.stop())
        while not serving.done():
            try:
                # Returns if the task stops the loop.
                loop.run_forever()
            except Exception:
                # The task has closed the loop.
                return
            except BaseException:
                # One of its sub-tasks has raised SystemExit. As in a worker, the task goes on.
                pass
        rest = asyncio.all_tasks(loop)
        for sub_task in rest:
            sub_task.cancel()
        if rest:
            loop.run_until_complete(asyncio.wait(rest))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()
