"""Imports task modules as ``hub_tasks.NAME``, so that they have a name by which other processes find them.

That name is what pickle, multiprocessing and ProcessPoolExecutor write down for a module's functions and classes. A
name without the package in front would not do: a task may be called ``json``.
"""

import importlib.machinery
import importlib.util
import io
import os
import sys
import tokenize

PACKAGE = "hub_tasks"
# Called with the path of each source before it is read, if it is set.
watch = None
# Beside the package, written by the worker: where its modules are. A process that a task starts knows nothing else of them.
NOTE = "directory"


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


class Loader(importlib.machinery.SourceFileLoader):
    """Compiles a task module from its source each time: a cached file may be older than it seems."""

    def get_code(self, fullname):
        path = self.get_filename(fullname)
        if watch is not None:
            watch(path)
        with tokenize.open(path) as file:
            return compile_source(file.read(), path)


class Finder:
    """Finds the task modules and their helpers. Packages beside them are found by Python itself."""

    def __init__(self, directory):
        self.directory = directory

    def find_spec(self, fullname, path=None, target=None):
        package, _, name = fullname.partition(".")
        if package != PACKAGE or not name or "." in name:
            return None
        path = os.path.join(self.directory, name + ".py")
        if not os.path.isfile(path):
            return None
        return importlib.util.spec_from_file_location(fullname, path, loader=Loader(fullname, path))


def prepare(package_file):
    """Has task modules found. Returns the path of their package."""
    with open(os.path.join(os.path.dirname(package_file), NOTE), "rb") as file:
        directory = os.fsdecode(file.read())
    sys.meta_path.insert(0, Finder(directory))
    return [directory]


def load(name):
    """Imports a task module."""
    fullname = "%s.%s" % (PACKAGE, name)
    __import__(fullname)
    return sys.modules[fullname]


def forget(names):
    """Has these modules imported anew when they are next asked for."""
    package = sys.modules.get(PACKAGE)
    for fullname in names:
        module = sys.modules.pop(fullname)
        parent, _, name = fullname.rpartition(".")
        # `from . import NAME` looks there first.
        if parent == PACKAGE and getattr(package, name, None) is module:
            delattr(package, name)
    importlib.invalidate_caches()
