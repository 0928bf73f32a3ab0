"""State of the process that a task may change, which is restored after each task.

Changes that a task module makes while it is loaded are intended for the process, and are kept. Checking everything after
every task would cost more than a short task. State that is expensive to check is checked only after a call of a function
that changes it.
"""

import _locale
import _signal
import errno
import faulthandler
import functools
import os
import posix
import resource
import signal
import sys
import time

from hub import interpreter_state, process_state

try:
    import _ctypes
except ImportError:
    # This Python was built without it.
    _ctypes = None

# A process is replaced if less than this fraction (its divisor) of its descriptors is free.
_RESERVE = 4
# Interval of this check.
_COUNT_INTERVAL_NS = 1_000_000

_handlers = [number for number in range(1, 32) if number not in (signal.SIGKILL, signal.SIGSTOP)]
_timers = (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF)


def _attributes(places, *names):
    return [(place, name) for place in places for name in names if hasattr(place, name)]


# Functions that change restored state. `locale` has its own reference to one, if it was imported before.
_changing = [
    *_attributes((os, posix), "chdir", "fchdir", "umask", "nice", "setpriority"),
    *_attributes((os, posix), "sched_setaffinity", "sched_setscheduler", "sched_setparam", "setpgid", "setpgrp", "setsid"),
    *_attributes((os, posix), "setuid", "seteuid", "setreuid", "setresuid", "setgroups", "initgroups"),
    *_attributes((os, posix), "setgid", "setegid", "setregid", "setresgid"),
    *_attributes((signal, _signal), "signal", "alarm", "setitimer", "pthread_sigmask"),
    *_attributes((resource,), "setrlimit", "prlimit"),
    *_attributes((_locale,), "setlocale"),
    *_attributes((sys.modules.get("locale"),), "_setlocale"),
    *_attributes((faulthandler,), "dump_traceback_later"),
]
# os.environ calls the functions of os; in Python 3.8, its own attributes.
_changing_variables = _attributes((os, posix, os.environ, os.environb), "putenv", "unsetenv")
# Functions whose effect cannot be undone.
_final = _attributes((os, posix), "chroot", "unshare", "setns")
# Modules with functions that change the process and cannot be watched.
_foreign = frozenset(("psutil", "_cffi_backend", "prctl"))


class Surroundings:
    def __init__(self):
        self.modules = sys.modules
        self.own_modules = dict(sys.modules)
        self.number_of_modules = len(sys.modules)
        self.imported = False
        self.environment = os.environ
        # The dictionary of os.environ, with encoded names and values.
        self.variables = getattr(os.environ, "_data", os.environ)
        watched = {}
        for watch, attributes in (
            (self._watch, _changing),
            (self._watch_variables, _changing_variables),
            (self._watch_final, _final),
            (self._watch_libraries, _attributes((_ctypes,), "dlopen")),
        ):
            for place, name in attributes:
                function = getattr(place, name)
                # The same wrapper in each place, so that it can be pickled.
                if function not in watched:
                    watched[function] = watch(function)
                setattr(place, name, watched[function])
        self.interpreter = interpreter_state.copy(interpreter_state.look())
        self.values, self.handlers, self.known_variables = self._look()
        self._keep_place()
        self.touched = False
        # Names of variables that were set or removed.
        self.changed_variables = set()
        # Whether a task has called a function whose effect cannot be undone.
        self.is_unrestorable = False
        self.next_count = 0
        # Whether tasks can change the process without the watched functions.
        self.is_open = False

    def _watch(self, function):
        @functools.wraps(function)
        def watched(*args, **kwargs):
            self.touched = True
            return function(*args, **kwargs)

        if function in os.supports_fd:
            os.supports_fd.add(watched)
        return watched

    def _watch_variables(self, function):
        @functools.wraps(function)
        def watched(name, *value):
            function(name, *value)
            self.touched = True
            self.changed_variables.add(os.fsencode(name))

        return watched

    def _watch_final(self, function):
        @functools.wraps(function)
        def watched(*args, **kwargs):
            self.is_unrestorable = True
            return function(*args, **kwargs)

        return watched

    def _watch_libraries(self, function):
        @functools.wraps(function)
        def watched(name, *args):
            # The C library. (ctypes itself opens it during its import.)
            if (name is None or "libc." in os.fsdecode(name)) and hasattr(sys.modules.get("ctypes"), "pythonapi"):
                self.is_open = True
            return function(name, *args)

        return watched

    def _look(self):
        """Returns three dictionaries with the state that is checked only if it may have changed."""
        try:
            here = os.getcwd()
        except OSError:
            # The directory was removed or is not readable.
            here = None
        values = dict(process_state.look(), here=here)
        return values, {number: _signal.getsignal(number) for number in _handlers}, dict(self.variables)

    def _keep_place(self):
        """Opens the working directory, because it may be renamed.

        The previous descriptor is not closed: a task may have closed it, and its number may belong to another file.
        """
        try:
            self.place = os.open(".", os.O_RDONLY | os.O_DIRECTORY)
        except OSError:
            self.place = None

    def keep(self, load, name):
        """Loads a module and keeps its changes. Earlier changes of coroutines are still restored."""
        touched, changed_variables, here = self.touched, set(self.changed_variables), self.values["here"]
        before, interpreter = self._look(), interpreter_state.copy(interpreter_state.look())
        module = load(name)
        for known, old, new in zip((self.values, self.handlers, self.known_variables), before, self._look()):
            for key in old.keys() - new.keys():
                known.pop(key, None)
            known.update((key, value) for key, value in new.items() if key not in old or value != old[key])
        after = interpreter_state.copy(interpreter_state.look())
        self.interpreter = interpreter_state.merge(self.interpreter, interpreter, after)
        imported = self.imported
        if not self.repair():
            self.is_unrestorable = True
        self.imported = imported
        if self.values["here"] != here:
            self._keep_place()
        self.touched, self.changed_variables = touched, changed_variables
        return module

    def repair(self):
        """Restores modules of Python and Hub that a task has removed from sys.modules. Returns False if there were any: then
        others may be missing, so the process must not be used again."""
        is_whole = getattr(sys, "modules", None) is self.modules
        if is_whole and len(self.modules) == self.number_of_modules:
            return True
        sys.modules = self.modules
        for name in self.own_modules.keys() - sys.modules.keys():
            sys.modules[name] = self.own_modules[name]
            is_whole = False
        self.imported = self.imported or len(sys.modules) > self.number_of_modules
        self.number_of_modules = len(sys.modules)
        self.is_open = self.is_open or not _foreign.isdisjoint(sys.modules)
        return is_whole

    def lacks_descriptors(self, now):
        """Whether tasks have left so many descriptors open that later tasks may get none. Checked once per interval; in
        between the answer is no."""
        if now < self.next_count:
            return False
        self.next_count = now + _COUNT_INTERVAL_NS
        try:
            # Returns the lowest free number.
            descriptor = os.dup(0)
        except OSError as error:
            return error.errno == errno.EMFILE
        os.close(descriptor)
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        return limit > 0 and descriptor > limit - limit // _RESERVE

    def restore(self):
        """Restores state that a task has changed. Returns False if something cannot be restored."""
        try:
            if interpreter_state.look() != self.interpreter:
                self.interpreter = interpreter_state.put_back(self.interpreter, self.imported)
            self.imported = False
            interpreter_state.renew_loop()
            if self.touched or self.is_open or os.environ is not self.environment:
                self._restore_process()
            return not self.is_unrestorable
        except BaseException:
            return False

    def _restore_variables(self):
        os.environ = self.environment
        os.environ.clear()
        for name in self.changed_variables - self.known_variables.keys():
            # The variable is not in os.environ.
            os.unsetenv(name)
        for name, value in self.known_variables.items():
            os.environ[os.fsdecode(name)] = os.fsdecode(value)
        time.tzset()
        self.changed_variables.clear()

    def _restore_process(self):
        # Before the handlers, because a timer of this task could end the next one.
        for timer in _timers:
            _signal.setitimer(timer, 0)
        faulthandler.cancel_dump_traceback_later()
        is_same = os.environ is self.environment and self.variables == self.known_variables
        if self.changed_variables or not is_same:
            self._restore_variables()
        for number, handler in self.handlers.items():
            if _signal.getsignal(number) is not handler:
                # A handler that Python did not install is None and cannot be restored: TypeError.
                signal.signal(number, handler)
        process_state.put_back(self.values)
        if self.values["here"] is not None:
            self._restore_directory()
        self.touched = False

    def _restore_directory(self):
        try:
            if os.getcwd() == self.values["here"]:
                return
        except OSError:
            pass
        # TypeError if it could not be opened.
        os.fchdir(self.place)
        if os.getcwd() != self.values["here"]:
            # A task has closed the descriptor, and its number belongs to another directory.
            raise OSError
