"""Loads task modules from the directory of tasks, and loads them again when their files change."""

import io
import os
import sys
import time
import tokenize
import types

from hub.lib.api import Task

# The files are looked at no more often than this: quick tasks would do little else.
LOOK_EVERY_NS = 2_000_000


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
        for name in [name for name, module in sys.modules.items() if self._is_local(module)]:
            del sys.modules[name]
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
