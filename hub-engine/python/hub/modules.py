"""Loads task modules from the directory of tasks, and loads them again when their files change.

What they import from that directory, at whatever time, is loaded again with them.
"""

import os
import sys
import time
from importlib import machinery

from hub import importing
from hub.lib.api import Task

# Minimum interval at which the files are looked at: quick tasks would do little else.
LOOK_EVERY_NS = 2_000_000
# The interval is at least this multiple of the time that the last look took.
LOOK_SHARE = 50
# Directories whose modules are libraries, wherever they are: many cannot be loaded twice.
LIBRARIES = ("site-packages", "dist-packages", "node_modules", "__pycache__")


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
    return (info.st_mtime_ns, info.st_ctime_ns, info.st_size, info.st_ino, info.st_dev)


class Modules:
    """The task modules that this process has loaded."""

    def __init__(self, directory, load=importing.load):
        self.load = load
        # Not where a symbolic link leads: that may change.
        self.directory = os.path.abspath(directory)
        self.tasks = {}
        self.stamps = {}
        self.next_look = 0
        self._watch_imports()
        # At the end: a task module called json.py must not stand in the way of Python's own.
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
        # PYTHONPATH may have led here already.
        for path in [path for path in list(sys.path_importer_cache) if self._is_inside(path)]:
            del sys.path_importer_cache[path]

    def _note(self, path):
        """Notes which state of a source is read now: it may change at any time from then on.

        Of a source that is read twice under two names, the first state counts: the older module is to go too.
        """
        self.stamps.setdefault(os.path.abspath(path), stamp(path))

    def _is_inside(self, path):
        """Whether this is the directory of tasks or in it, and not in an environment of libraries there."""
        path = os.path.abspath(path)
        if path != self.directory and not path.startswith(os.path.join(self.directory, "")):
            return False
        inner = path[len(self.directory):].split(os.sep)
        if any(name.startswith(".") or name in LIBRARIES for name in inner):
            return False
        return not any(path.startswith(os.path.join(prefix, "")) for prefix in {sys.prefix, sys.base_prefix}
                       if prefix != self.directory and prefix.startswith(self.directory))

    def get(self, name):
        """The task of this name, fresh from its file if that has changed."""
        if self.stamps and self._changed():
            self._forget()
        found = self.tasks.get(name)
        if found is None:
            found = self._load(name)
            self.tasks[name] = found
        return found

    def _changed(self):
        now = time.monotonic_ns()
        if now < self.next_look:
            return False
        changed = any(self._has_changed(path, known) for path, known in list(self.stamps.items()))
        then = time.monotonic_ns()
        self.next_look = then + max(LOOK_EVERY_NS, LOOK_SHARE * (then - now))
        return changed

    @staticmethod
    def _has_changed(path, known):
        try:
            return stamp(path) != known
        except OSError:
            return True

    def _forget(self):
        """A changed helper concerns every module that imported it, so all are loaded again."""
        importing.forget([name for name, module in list(sys.modules.items()) if self._is_local(module)])
        self.tasks.clear()
        self.stamps.clear()

    def _is_local(self, module):
        """Whether a module was loaded from a source here, or is a package of such modules without a source."""
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
