"""What belongs to the whole process, and would lead from one task to the next: put back after each of them.

What a module sets while it is imported is meant for the process, and stays. Looking at everything after every task would
cost more than many a task does: the functions that change it are watched.
"""

import _signal
import functools
import os
import signal
import sys
import time

_handlers = [number for number in range(1, 32) if number not in (signal.SIGKILL, signal.SIGSTOP)]
_watched = ((os, "chdir"), (os, "fchdir"), (os, "umask"), (signal, "signal"), (signal, "alarm"), (signal, "setitimer"))


def _nothing():
    return 0


_get_digits = getattr(sys, "get_int_max_str_digits", _nothing)


class Surroundings:
    def __init__(self):
        self.environment = os.environ
        # What os.environ keeps: comparing with it takes a fraction of the time that comparing with a copy does.
        self.variables = getattr(os.environ, "_data", os.environ)
        self.here = None
        self.place = None
        for module, name in _watched:
            setattr(module, name, self._watch(getattr(module, name)))
        self.note()

    def _watch(self, function):
        @functools.wraps(function)
        def watched(*args, **kwargs):
            self.touched = True
            return function(*args, **kwargs)

        if function in os.supports_fd:
            os.supports_fd.add(watched)
        return watched

    def note(self):
        """From now on this is how things should be."""
        if self.place is not None:
            os.close(self.place)
        try:
            self.here = os.getcwd()
            self.place = os.open(".", os.O_RDONLY | os.O_DIRECTORY)
        except OSError:
            # It was removed, or may not be read: there is no way back to it.
            self.here = self.place = None
        self.known_variables = dict(self.variables)
        self.handlers = [*map(_signal.getsignal, _handlers)]
        self.mask = os.umask(0o077)
        os.umask(self.mask)
        self.depth = sys.getrecursionlimit()
        self.digits = _get_digits()
        self.tracing = sys.gettrace(), sys.getprofile()
        self.touched = False

    def restore(self):
        """Puts back what a task has changed. False: not everything can be."""
        try:
            if sys.getrecursionlimit() != self.depth:
                sys.setrecursionlimit(self.depth)
            if _get_digits() != self.digits:
                sys.set_int_max_str_digits(self.digits)
            if (sys.gettrace(), sys.getprofile()) != self.tracing:
                sys.settrace(self.tracing[0])
                sys.setprofile(self.tracing[1])
            if os.environ is not self.environment or self.variables != self.known_variables:
                self._restore_variables()
            if self.touched:
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
        # An alarm that a task has set would end the next one.
        signal.alarm(0)
        os.umask(self.mask)
        for number, handler in zip(_handlers, self.handlers):
            if _signal.getsignal(number) is not handler:
                # One that Python did not install is None, and cannot be put back: TypeError.
                signal.signal(number, handler)
        if self.place is not None:
            self._restore_directory()
        self.touched = False

    def _restore_directory(self):
        try:
            if os.getcwd() == self.here:
                return
        except OSError:
            pass
        os.fchdir(self.place)
        if os.getcwd() != self.here:
            # A task has closed our descriptor, and its number was given to another directory.
            raise OSError
