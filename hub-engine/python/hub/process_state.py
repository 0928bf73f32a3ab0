"""The state of this process in the system, except its environment, working directory and signal handlers.

Each entry has a name, a function that reads it, and a function that restores a value and raises if that is impossible.
"""

import _locale
import os
import resource
import signal

_LIMITS = sorted({getattr(resource, name) for name in dir(resource) if name.startswith("RLIMIT_")})


def _get_mask():
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _get_identity():
    return os.getresuid(), os.getresgid(), os.getgroups()


def _put_identity(identity):
    users, groups, further_groups = identity
    # The user comes first, because the other calls may need its rights.
    os.setresuid(*users)
    os.setresgid(*groups)
    if os.getgroups() != further_groups:
        os.setgroups(further_groups)


def _get_limits():
    return [resource.getrlimit(limit) for limit in _LIMITS]


def _put_limits(values):
    for limit, value in zip(_LIMITS, values):
        if resource.getrlimit(limit) != value:
            resource.setrlimit(limit, value)


def _get_scheduling():
    return os.sched_getscheduler(0), os.sched_getparam(0).sched_priority


def _put_scheduling(scheduling):
    policy, priority = scheduling
    os.sched_setscheduler(0, policy, os.sched_param(priority))


def _get_blocked():
    return signal.pthread_sigmask(signal.SIG_BLOCK, ())


def _put_blocked(blocked):
    if signal.sigpending() - blocked:
        # Unblocking would deliver it now and might end the process.
        raise OSError("a signal is pending")
    signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


# The identity comes first, because restoring the rest may need its rights.
_STATE = {"identity": (_get_identity, _put_identity)} if hasattr(os, "getresuid") else {}
_STATE.update({
    "group": (os.getpgrp, lambda group: os.setpgid(0, group)),
    "mask": (_get_mask, os.umask),
    "limits": (_get_limits, _put_limits),
    "niceness": (lambda: os.getpriority(os.PRIO_PROCESS, 0), lambda nice: os.setpriority(os.PRIO_PROCESS, 0, nice)),
    "locale": (lambda: _locale.setlocale(_locale.LC_ALL), lambda name: _locale.setlocale(_locale.LC_ALL, name)),
    "blocked": (_get_blocked, _put_blocked),
})
if hasattr(os, "sched_setaffinity"):
    _STATE["processors"] = (lambda: os.sched_getaffinity(0), lambda numbers: os.sched_setaffinity(0, numbers))
    _STATE["scheduling"] = (_get_scheduling, _put_scheduling)


def _is_readable(get):
    """Whether this system supports it. A function may exist and always fail, such as that of scheduling with musl."""
    try:
        get()
    except OSError:
        return False
    return True


_STATE = {name: functions for name, functions in _STATE.items() if _is_readable(functions[0])}


def look():
    """Returns all values by name."""
    return {name: get() for name, (get, _) in _STATE.items()}


def put_back(known):
    """Restores changed values."""
    for name, (get, put) in _STATE.items():
        if get() != known[name]:
            put(known[name])
