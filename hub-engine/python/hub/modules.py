"""Loads task modules from the directory of tasks, and loads them again when their files change."""

import importlib.util
import os
import sys
import time

from hub import importing
from hub.lib.api import Task

# The files are looked at no more often than this: quick tasks would do little else.
LOOK_EVERY_NS = 2_000_000


class BrokenModule(Exception):
    """A module that has no task to offer; the text says why."""


class NoSuchModule(Exception):
    """There is no file for a module of this name."""


def is_asynchronous(function):
    """Whether there is an asynchronous task below decorators that stand above @task."""
    for _ in range(100):
        if isinstance(function, Task):
            return function.asynchronous
        function = getattr(function, "__wrapped__", None)
    return False


def stamp(path):
    info = os.stat(path)
    return (info.st_mtime_ns, info.st_size, info.st_ino)


class Modules:
    """The task modules that this process has loaded."""

    def __init__(self, directory):
        self.directory = os.path.abspath(directory)
        self.tasks = {}
        self.stamps = {}
        self.looked = 0
        # At the end: a task module called json.py must not stand in the way of Python's own.
        sys.path.append(self.directory)
        package = importlib.util.find_spec(importing.PACKAGE)
        importing.note(package.origin, self.directory)

    def get(self, name):
        """The task of this name, fresh from its file if that has changed."""
        if self.stamps and self._changed():
            self._forget()
        found = self.tasks.get(name)
        if found is None:
            found = self._load(name)
            self.tasks[name] = found
            self._note_helpers()
        return found

    def _changed(self):
        now = time.monotonic_ns()
        if now - self.looked < LOOK_EVERY_NS:
            return False
        self.looked = now
        for path, known in self.stamps.items():
            try:
                if stamp(path) != known:
                    return True
            except OSError:
                return True
        return False

    def _forget(self):
        """A changed helper concerns every module that imported it, so all are loaded again."""
        importing.forget([name for name, module in list(sys.modules.items()) if self._is_local(module)])
        self.tasks.clear()
        self.stamps.clear()

    def _is_local(self, module):
        path = getattr(module, "__file__", None)
        return isinstance(path, str) and os.path.dirname(os.path.abspath(path)) == self.directory

    def _note_helpers(self):
        for module in list(sys.modules.values()):
            if self._is_local(module):
                path = os.path.abspath(module.__file__)
                if path not in self.stamps:
                    try:
                        self.stamps[path] = stamp(path)
                    except OSError:
                        pass

    def _load(self, name):
        path = os.path.join(self.directory, name + ".py")
        try:
            seen = stamp(path)
        except FileNotFoundError:
            raise NoSuchModule(name)
        self.stamps[path] = seen
        return self._find(name, importing.load(name))

    def _find(self, name, module):
        found = getattr(module, name, None)
        if callable(found) and not isinstance(found, (Task, type)):
            found = Task(found, is_asynchronous(found))
        if isinstance(found, Task):
            # Objects and partial functions have no name of their own.
            found.__dict__.setdefault("__name__", name)
            return found
        others = sorted(key for key, value in vars(module).items() if isinstance(value, Task))
        hint = "; it has %s: the function must be called like the file" % ", ".join(others) if others else ""
        what = "defines no function %s" % name
        if isinstance(found, type):
            what = "defines %s as a class: a task is a function, or an object that can be called" % name
        elif found is not None:
            what = "defines %s as a %s: a task is a function, or an object that can be called" % (
                name, type(found).__name__)
        raise BrokenModule("%s.py %s%s" % (name, what, hint))
