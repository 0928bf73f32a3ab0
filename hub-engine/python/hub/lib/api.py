"""What a task module needs: the decorator @task.

    from hub.lib.api import task

    @task
    def add(a, b):
        return a + b

While the function runs, ``add.state`` tells which task it is running for.
"""

import contextvars
import functools
import inspect

__all__ = ["State", "Task", "task"]

_current = contextvars.ContextVar("hub_task_state", default=None)
# Threads that a task starts see no context of their own: they belong to the task that runs.
_running = None


class State:
    """What is known of the task that runs."""

    __slots__ = ("id", "parent_id", "name", "task_name", "args", "kwargs", "attempt")

    def __init__(self, request):
        self.id = request["id"]
        self.parent_id = request["parent_id"]
        self.name = request["name"]
        self.task_name = request["task_name"]
        self.args = request["args"]
        self.kwargs = request["kwargs"]
        self.attempt = request["attempt"]

    def __repr__(self):
        return "State(id=%r, name=%r, attempt=%r)" % (self.id, self.name, self.attempt)


class Task:
    """A function that Hub can run. Calling it calls the function."""

    def __init__(self, function, asynchronous=False):
        if not callable(function):
            raise TypeError("@task decorates a function, not %s" % type(function).__name__)
        self.function = function
        self.asynchronous = bool(asynchronous)
        self.coroutine = inspect.iscoroutinefunction(function)
        functools.update_wrapper(self, function)

    def __call__(self, *args, **kwargs):
        return self.function(*args, **kwargs)

    @property
    def state(self):
        """The state of the task that runs here and now; None outside of a run."""
        state = _current.get()
        return state if state is not None else _running


def task(function=None, *, asynchronous=False, **options):
    """Makes a function a task: ``@task``, ``@task()`` or ``@task(asynchronous=True)``.

    asynchronous: the function only starts something. The task goes on until its result is posted from
    outside, by the task's id. (Old sources may write ``async=True``.)
    """
    if "async" in options:
        asynchronous = options.pop("async")
    if options:
        raise TypeError("@task has no option %s; it has: asynchronous" % ", ".join(sorted(options)))
    if function is None:
        return lambda function: Task(function, asynchronous)
    return Task(function, asynchronous)
