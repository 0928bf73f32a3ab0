"""State of the whole process that a task may change: it is put back after each task.

What a module sets while it is imported is meant for the process, and stays. Checking everything after every task would
cost more than a short task does: the functions that change it are watched.
"""

import _signal
import functools
import os
import signal
import sys
import time

_handlers = [number for number in range(1, 32) if number not in (signal.SIGKILL, signal.SIGSTOP)]
# Functions that change what is put back. os.environ calls those of the module os; in Python 3.8, attributes of its own.
_watched = [
    (place, name)
    for places, names in (
        ((os,), ("chdir", "fchdir", "umask")),
        ((signal,), ("signal", "alarm", "setitimer")),
        ((os, os.environ, os.environb), ("putenv", "unsetenv")),
    )
    for place in places
    for name in names
    if hasattr(place, name)
]

_timers = (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF)


def _nothing():
    return 0


_get_digits = getattr(sys, "get_int_max_str_digits", _nothing)


class Surroundings:
    def __init__(self):
        self.environment = os.environ
        # The dictionary of os.environ, with encoded names and values.
        self.variables = getattr(os.environ, "_data", os.environ)
        for module, name in _watched:
            setattr(module, name, self._watch(getattr(module, name)))
        self.values, self.handlers, self.known_variables = self._look()
        self._keep_place()
        self.touched = False

    def _watch(self, function):
        @functools.wraps(function)
        def watched(*args, **kwargs):
            self.touched = True
            return function(*args, **kwargs)

        if function in os.supports_fd:
            os.supports_fd.add(watched)
        return watched

    def _look(self):
        """Returns three dictionaries with all state that is put back."""
        mask = os.umask(0o077)
        os.umask(mask)
        try:
            here = os.getcwd()
        except OSError:
            # It was removed, or may not be read.
            here = None
        values = {
            "here": here,
            "mask": mask,
            "depth": sys.getrecursionlimit(),
            "digits": _get_digits(),
            "tracing": (sys.gettrace(), sys.getprofile()),
        }
        return values, {number: _signal.getsignal(number) for number in _handlers}, dict(self.variables)

    def _keep_place(self):
        """Keeps the way back to the directory, which may be renamed.

        The descriptor kept before is not closed: a task may have closed it, and its number may be a task's file now.
        """
        try:
            self.place = os.open(".", os.O_RDONLY | os.O_DIRECTORY)
        except OSError:
            self.place = None

    def keep(self, load, name):
        """Loads a module, and keeps what that changes. Changes that coroutines have made before are still put back."""
        touched, here = self.touched, self.values["here"]
        before = self._look()
        module = load(name)
        for known, old, new in zip((self.values, self.handlers, self.known_variables), before, self._look()):
            for key in old.keys() - new.keys():
                known.pop(key, None)
            known.update((key, value) for key, value in new.items() if key not in old or value != old[key])
        if self.values["here"] != here:
            self._keep_place()
        self.touched = touched
        return module

    def restore(self):
        """Puts back what a task has changed. False: not everything can be."""
        try:
            values = self.values
            if sys.getrecursionlimit() != values["depth"]:
                sys.setrecursionlimit(values["depth"])
            if _get_digits() != values["digits"]:
                sys.set_int_max_str_digits(values["digits"])
            if (sys.gettrace(), sys.getprofile()) != values["tracing"]:
                sys.settrace(values["tracing"][0])
                sys.setprofile(values["tracing"][1])
            if self.touched or os.environ is not self.environment:
                self._restore_process()
            return True
        except BaseException:
            return False

    def _restore_variables(self):
        os.environ = self.environment
        os.environ.clear()
        for name, value in self.known_variables.items():
            os.environ[os.fsdecode(name)] = os.fsdecode(value)
        time.tzset()

    def _restore_process(self):
        # Before the handlers: a timer that a task has set would end the next one.
        for timer in _timers:
            _signal.setitimer(timer, 0)
        if os.environ is not self.environment or self.variables != self.known_variables:
            self._restore_variables()
        os.umask(self.values["mask"])
        for number, handler in self.handlers.items():
            if _signal.getsignal(number) is not handler:
                # One that Python did not install is None, and cannot be put back: TypeError.
                signal.signal(number, handler)
        if self.values["here"] is not None:
            self._restore_directory()
        self.touched = False

    def _restore_directory(self):
        try:
            if os.getcwd() == self.values["here"]:
                return
        except OSError:
            pass
        # TypeError where it could not be opened.
        os.fchdir(self.place)
        if os.getcwd() != self.values["here"]:
            # A task has closed our descriptor, and its number was given to another directory.
            raise OSError
