"""The interface for task modules: the decorator @task.

    from hub.lib.api import task

    @task
    def add(a, b):
        return a + b

While the function runs, ``add.state`` describes the current task.
"""

import contextvars
import functools
import types

__all__ = ["Fatal", "Retry", "State", "Stopped", "Task", "task"]

_current = contextvars.ContextVar("hub_task_state", default=None)
# Threads that a task starts have no context, and belong to the running task.
_running = None


# The longest wait between two attempts, in seconds.
LONGEST_WAIT = 366 * 24 * 60 * 60


class Retry(Exception):
    """Raised by a task: this attempt has failed, and another one may succeed.

    after: the wait before it, in seconds or as a timedelta; by default the interval of the retry policy. There is another
    attempt only if the task has a retry policy with attempts left.
    """

    def __init__(self, *args, after=None):
        super().__init__(*args)
        # Importing datetime takes longer than the rest of this module.
        total_seconds = getattr(after, "total_seconds", None)
        seconds = after if total_seconds is None else total_seconds()
        if seconds is not None and not 0 <= seconds <= LONGEST_WAIT:
            raise ValueError("after is from 0 to %d seconds (366 days), not %r" % (LONGEST_WAIT, after))
        self.after = seconds


class Fatal(Exception):
    """Raised by a task: it has failed, and another attempt would fail too. There is none, whatever the retry policy says."""


class Stopped(SystemExit):
    """Raised in a task that is stopped or has exceeded a time limit, so that it can clean up. It has the time `grace` for
    that, and is killed afterwards. An ``async def`` task is cancelled instead: it gets asyncio.CancelledError."""


class State:
    """Information about the running task, and its progress."""

    __slots__ = ("id", "parent_id", "name", "task_name", "args", "kwargs", "attempt", "last_progress", "_report")

    def __init__(self, request, report):
        self.id = request["id"]
        self.parent_id = request["parent_id"]
        self.name = request["name"]
        self.task_name = request["task_name"]
        self.args = request["args"]
        self.kwargs = request["kwargs"]
        self.attempt = request["attempt"]
        self.last_progress = request.get("last_progress")
        self._report = report

    def progress(self, value):
        """Reports progress: any JSON value of up to 4,096 bytes. It is shown while the task runs, and the next attempt has it
        as ``last_progress``. Each call is a heartbeat for the time limit `heartbeat`. Of many calls the newest counts.

        Raises TypeError or ValueError if the value cannot be written as JSON or is too large. Threads may call it.
        """
        self._report(value)

    def __repr__(self):
        return "State(id=%r, name=%r, attempt=%r)" % (self.id, self.name, self.attempt)


# The flag of the code of an `async def` function, as in inspect.
CO_COROUTINE = 128


def is_coroutine_function(function):
    """Whether calling this returns a coroutine, as far as known without calling it."""
    if type(function) is types.FunctionType and not vars(function):
        return bool(function.__code__.co_flags & CO_COROUTINE)
    # Its import takes as long as all others of a process that runs tasks, and most tasks are plain functions.
    import inspect

    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(getattr(type(function), "__call__", None))


class Task:
    """A function that Hub can run. Calling it calls the function."""

    def __init__(self, function, asynchronous=False, defaults=None):
        if not callable(function):
            raise TypeError("@task decorates a function, not %s" % type(function).__name__)
        self.function = function
        self.asynchronous = bool(asynchronous)
        # The options retry and timeout, as far as they are set.
        self.defaults = {} if defaults is None else defaults
        self.coroutine = is_coroutine_function(function)
        # The task has the attributes of a function. Attributes of a callable object are not copied, because one may be
        # named `function`, as in many decorators.
        functools.update_wrapper(self, function, updated=())
        if isinstance(function, types.FunctionType):
            for name, value in vars(function).items():
                self.__dict__.setdefault(name, value)

    def __call__(self, *args, **kwargs):
        return self.function(*args, **kwargs)

    def __reduce__(self):
        # Pickled by name, like a function.
        return self.__dict__.get("__qualname__") or super().__reduce__()

    @property
    def state(self):
        """The state of the task that is running in this context. None outside a run."""
        state = _current.get()
        return state if state is not None else _running


def _plain(value):
    """A value of an option as the job format has it: a timedelta in seconds, a class of errors by its name."""
    if isinstance(value, dict):
        return {_plain(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    if isinstance(value, type):
        if not issubclass(value, BaseException):
            raise TypeError("%s is not a class of errors" % value.__name__)
        return value.__name__
    total_seconds = getattr(value, "total_seconds", None)
    return value if total_seconds is None else total_seconds()


def task(function=None, *, asynchronous=False, retry=None, timeout=None, **options):
    """Makes a function a task: ``@task``, ``@task()`` or ``@task(retry=5, timeout="10m")``.

    asynchronous: the function only starts an operation. The task continues until its result is posted from
    outside by the id of the task. (Old sources may write ``async=True``.)

    retry, timeout: as in a job, for tasks that do not set them and whose job does not: ``retry=5`` or
    ``retry={"maximum_attempts": 5, "retry_on": [TimeoutError]}``; ``timeout="10m"`` or
    ``timeout={"start_to_close": timedelta(minutes=10), "heartbeat": "30s", "grace": 5}``. Durations are texts as in a job,
    numbers of seconds, or timedeltas.
    """
    if "async" in options:
        asynchronous = options.pop("async")
    if options:
        raise TypeError(
            "@task has no option %s; it has: asynchronous, retry, timeout" % ", ".join(sorted(options)))
    if asynchronous not in (True, False):
        raise TypeError("the option asynchronous of @task is True or False, not %r" % (asynchronous,))
    try:
        defaults = {name: _plain(value) for name, value in (("retry", retry), ("timeout", timeout)) if value is not None}
    except Exception as error:
        raise TypeError("the options of @task cannot be read: %s" % error)

    def make(function):
        if isinstance(function, Task):
            # The options of two @task above each other count together.
            return Task(function, asynchronous or function.asynchronous, dict(function.defaults, **defaults))
        return Task(function, asynchronous, defaults)

    return make if function is None else make(function)
