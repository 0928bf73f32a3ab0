"""Imports task modules as ``hub_tasks.NAME``, so that other processes can import them by this name.

pickle, multiprocessing and ProcessPoolExecutor refer to functions and classes by the name of their module. A name without
the package would be ambiguous: a task may be called ``json``.
"""

import importlib.machinery
import io
import os
import sys
import tokenize

PACKAGE = "hub_tasks"
# Called with the path of each source before it is read, if it is set.
watch = None
# A file in the package, written by the worker, with the path of the modules. Processes that tasks start find them by
# it.
NOTE = "directory"


def rewrite(source):
    """Old sources write ``async=True``, which is invalid since async became a keyword.

    Only that keyword argument is renamed, based on tokens, and line numbers do not change.
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
    """Compiles a task module from its source each time, because cached bytecode may be outdated."""

    def get_code(self, fullname):
        path = self.get_filename(fullname)
        if watch is not None:
            watch(path)
        with tokenize.open(path) as file:
            return compile_source(file.read(), path)


class Finder:
    """Finds the task modules and their helpers. Python itself finds packages in their directory."""

    def __init__(self, directory):
        self.directory = directory

    def find_spec(self, fullname, path=None, target=None):
        package, _, name = fullname.partition(".")
        if package != PACKAGE or not name or "." in name:
            return None
        path = os.path.join(self.directory, name + ".py")
        if not os.path.isfile(path):
            return None
        spec = importlib.machinery.ModuleSpec(fullname, Loader(fullname, path), origin=path)
        # The module has a file.
        spec.has_location = True
        return spec


def prepare(package_file):
    """Installs the finder of task modules. Returns the path of their package."""
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
    """Removes these modules, so that they are imported again when needed."""
    package = sys.modules.get(PACKAGE)
    for fullname in names:
        module = sys.modules.pop(fullname)
        parent, _, name = fullname.rpartition(".")
        # `from . import NAME` reads this attribute first.
        if parent == PACKAGE and getattr(package, name, None) is module:
            delattr(package, name)
    importlib.invalidate_caches()
