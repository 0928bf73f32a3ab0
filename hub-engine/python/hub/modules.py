"""Loads task modules from the directory of tasks, and reloads them when their files change.

Modules that they import from that directory, at any time, are reloaded with them.
"""

import functools
import json
import os
import sys
import time
from importlib import machinery

from hub import importing
from hub.lib.api import Task

# Minimum interval at which the files are checked, because the check would dominate short tasks.
CHECK_INTERVAL_NS = 2_000_000
# The interval is at least this multiple of the duration of the last check.
CHECK_FACTOR = 50
# Directories of libraries, which are not reloaded, because many cannot be loaded twice.
LIBRARIES = ("site-packages", "dist-packages", "node_modules", "__pycache__")


class BrokenModule(Exception):
    """A module without a task. The text is the reason."""


class NoSuchModule(Exception):
    """There is no file for a module of this name."""


def wrapped_task(function):
    """The task that a decorated function wraps, if it wraps one."""
    for _ in range(100):
        if isinstance(function, Task):
            return function
        function = function.func if isinstance(function, functools.partial) else getattr(function, "__wrapped__", None)
    return None


def as_task(found, name):
    """The task that an object is. None if it cannot be one. `name` is used if the object has none."""
    if callable(found) and not isinstance(found, (Task, type)):
        inner = wrapped_task(found)
        found = Task(found) if inner is None else Task(found, inner.asynchronous, inner.defaults)
    if not isinstance(found, Task):
        return None
    # Objects and partial functions have no name.
    found.__dict__.setdefault("__name__", name)
    return found


def check_defaults(task):
    """Raises BrokenModule if the options retry and timeout cannot be reported."""
    try:
        json.dumps(task.defaults, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise BrokenModule("the options of @task cannot be written as JSON: %s" % error)


def stamp(path):
    info = os.stat(path)
    return (info.st_mtime_ns, info.st_ctime_ns, info.st_size, info.st_ino, info.st_dev)


class Modules:
    """The task modules that this process has loaded."""

    def __init__(self, directory, load=importing.load):
        self.load = load
        # Symbolic links are not resolved, because their targets may change.
        self.directory = os.path.abspath(directory)
        self.tasks = {}
        self.stamps = {}
        self.next_check = 0
        self._watch_imports()
        # At the end, so that a task module named json.py does not hide Python's own.
        sys.path.append(self.directory)

    def _watch_imports(self):
        note = importing.watch = self._note

        class Loader(machinery.SourceFileLoader):
            def get_code(self, fullname):
                note(self.path)
                return super().get_code(fullname)

        extensions = (machinery.ExtensionFileLoader, machinery.EXTENSION_SUFFIXES)
        bytecode = (machinery.SourcelessFileLoader, machinery.BYTECODE_SUFFIXES)
        make = machinery.FileFinder.path_hook(extensions, (Loader, machinery.SOURCE_SUFFIXES), bytecode)

        def hook(path):
            if not self._is_inside(path):
                raise ImportError("not a directory of helpers", path=path)
            return make(path)

        sys.path_hooks.insert(0, hook)
        # PYTHONPATH may already contain the directory.
        for path in [path for path in list(sys.path_importer_cache) if self._is_inside(path)]:
            del sys.path_importer_cache[path]

    def _note(self, path):
        """Records the state of a source before it is read, because it may change afterwards.

        If a source is read under two names, the first state counts, so that the older module is reloaded, too.
        """
        self.stamps.setdefault(os.path.abspath(path), stamp(path))

    def _is_inside(self, path):
        """Whether a path is in the directory of tasks, and not in a virtual environment or library there."""
        path = os.path.abspath(path)
        if path != self.directory and not path.startswith(os.path.join(self.directory, "")):
            return False
        inner = path[len(self.directory):].split(os.sep)
        if any(name.startswith(".") or name in LIBRARIES for name in inner):
            return False
        return not any(path.startswith(os.path.join(prefix, "")) for prefix in {sys.prefix, sys.base_prefix}
                       if prefix != self.directory and prefix.startswith(self.directory))

    def get(self, name):
        """The task of this name, reloaded if its file has changed."""
        # Before the call, because most tasks run within the interval.
        if time.monotonic_ns() >= self.next_check and self.stamps and self._changed():
            self._forget()
        found = self.tasks.get(name)
        if found is None:
            found = self._load(name)
            self.tasks[name] = found
        return found

    def _changed(self):
        """Whether a file has changed. Also sets the time of the next check."""
        now = time.monotonic_ns()
        changed = any(self._has_changed(path, known) for path, known in list(self.stamps.items()))
        then = time.monotonic_ns()
        self.next_check = then + max(CHECK_INTERVAL_NS, CHECK_FACTOR * (then - now))
        return changed

    @staticmethod
    def _has_changed(path, known):
        try:
            return stamp(path) != known
        except OSError:
            return True

    def _forget(self):
        """Removes all modules, because a changed helper affects every module that has imported it."""
        importing.forget([name for name, module in list(sys.modules.items()) if self._is_local(module)])
        self.tasks.clear()
        self.stamps.clear()

    def _is_local(self, module):
        """Whether a module was loaded from the directory, or is a namespace package there."""
        try:
            path = getattr(module, "__file__", None)
            if path is None:
                places = getattr(module, "__path__", ())
            else:
                places = (os.path.dirname(path),) if isinstance(path, str) and path.endswith(".py") else ()
            return any(isinstance(place, str) and self._is_inside(place) for place in places)
        except Exception:
            # Modules may be any objects, with attributes that raise.
            return False

    def _load(self, name):
        path = os.path.join(self.directory, name + ".py")
        try:
            seen = stamp(path)
        except FileNotFoundError:
            raise NoSuchModule(name)
        self.stamps[path] = seen
        return self._find(name, self.load(name))

    def _find(self, name, module):
        found = getattr(module, name, None)
        task = as_task(found, name)
        if task is not None:
            check_defaults(task)
            return task
        others = sorted(key for key, value in vars(module).items() if isinstance(value, Task))
        hint = "; it has %s: the function must have the name of the file" % ", ".join(others) if others else ""
        what = "defines no function %s" % name
        if isinstance(found, type):
            what = "defines %s as a class: a task is a function, or an object that can be called" % name
        elif found is not None:
            what = "defines %s as a %s: a task is a function, or an object that can be called" % (
                name, type(found).__name__)
        raise BrokenModule("%s.py %s%s" % (name, what, hint))
