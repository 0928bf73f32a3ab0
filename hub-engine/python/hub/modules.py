"""Loads task modules from the directory of tasks, and loads them again when their files change.

What they import from that directory, at whatever time, is loaded again with them.
"""

import importlib
import io
import os
import sys
import time
import tokenize
import types
from importlib import machinery

from hub.lib.api import Task

# The files are looked at no more often than this: quick tasks would do little else.
LOOK_EVERY_NS = 2_000_000
# Looking takes no more than one part in so many of the time.
LOOK_SHARE = 50
# Directories whose modules are libraries, wherever they are: many cannot be loaded twice.
LIBRARIES = ("site-packages", "dist-packages", "node_modules", "__pycache__")


class BrokenModule(Exception):
    """A module that has no task to offer; the text says why."""


def rewrite(source):
    """Old sources write ``async=True``, which stopped being Python when async became a keyword.

    Only that keyword argument is renamed: tokens are looked at, not text, and no line moves.
    """
    tokens = list(tokenize.generate_tokens(io.StringIO(source).readline))
    places = [
        token.start
        for before, token, after in zip(tokens, tokens[1:], tokens[2:])
        if token.string == "async" and before.string in ("(", ",") and after.string == "="
    ]
    lines = source.splitlines(True)
    for line, column in reversed(places):
        text = lines[line - 1]
        lines[line - 1] = text[:column] + "asynchronous" + text[column + len("async"):]
    return "".join(lines), bool(places)


def compile_source(source, path):
    try:
        return compile(source, path, "exec", dont_inherit=True)
    except SyntaxError:
        try:
            rewritten, changed = rewrite(source)
        except (tokenize.TokenError, SyntaxError, IndentationError):
            changed = False
        if not changed:
            raise
        return compile(rewritten, path, "exec", dont_inherit=True)


def stamp(path):
    info = os.stat(path)
    return (info.st_mtime_ns, info.st_ctime_ns, info.st_size, info.st_ino, info.st_dev)


class Loader(machinery.SourceFileLoader):
    """Loads a helper, and notes which state of its file that is: it may change at any time from then on."""

    stamps = None

    def get_code(self, fullname):
        # Of a source that is read twice under two names, the first state counts: the older module is to go too.
        self.stamps.setdefault(os.path.abspath(self.path), stamp(self.path))
        return super().get_code(fullname)


class Modules:
    """The task modules that this process has loaded."""

    def __init__(self, directory):
        # Not where a symbolic link leads: that may change.
        self.directory = os.path.abspath(directory)
        self.tasks = {}
        self.stamps = {}
        self.next_look = 0
        self._watch_imports()
        # At the end: a task module called json.py must not stand in the way of Python's own.
        sys.path.append(self.directory)

    def _watch_imports(self):
        loader = type("Loader", (Loader,), {"stamps": self.stamps})
        extensions = (machinery.ExtensionFileLoader, machinery.EXTENSION_SUFFIXES)
        bytecode = (machinery.SourcelessFileLoader, machinery.BYTECODE_SUFFIXES)
        make = machinery.FileFinder.path_hook(extensions, (loader, machinery.SOURCE_SUFFIXES), bytecode)

        def hook(path):
            if not self._is_inside(path):
                raise ImportError("not a directory of helpers", path=path)
            return make(path)

        sys.path_hooks.insert(0, hook)
        # PYTHONPATH may have led here already.
        for path in [path for path in list(sys.path_importer_cache) if self._is_inside(path)]:
            del sys.path_importer_cache[path]

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
        for name in [name for name, module in list(sys.modules.items()) if self._is_local(module)]:
            del sys.modules[name]
        importlib.invalidate_caches()
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
        seen = stamp(path)
        with tokenize.open(path) as file:
            source = file.read()
        code = compile_source(source, path)
        module = types.ModuleType("hub_tasks." + name)
        module.__file__ = path
        sys.modules[module.__name__] = module
        self.stamps[path] = seen
        exec(code, module.__dict__)
        return self._find(name, module)

    def _find(self, name, module):
        found = getattr(module, name, None)
        if isinstance(found, Task):
            return found
        if callable(found) and not isinstance(found, type):
            return Task(found)
        others = sorted(key for key, value in vars(module).items() if isinstance(value, Task))
        hint = "; it has %s: the function must be called like the file" % ", ".join(others) if others else ""
        raise BrokenModule("%s.py defines no function %s%s" % (name, name, hint))
