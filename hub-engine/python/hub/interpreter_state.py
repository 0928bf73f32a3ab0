"""State of the Python interpreter that is cheap to compare after every task: hooks, limits, and lists of the import system."""

import functools
import gc
import sys
import threading
import warnings


def _nothing(*_):
    return 0


def _switch_collection(enabled):
    (gc.enable if enabled else gc.disable)()


def _put_filters(filters):
    warnings.filters = []
    # Also clears the cached decisions of the previous filters.
    warnings.resetwarnings()
    warnings.filters.extend(filters)


def _put_start_method(context):
    # multiprocessing.set_start_method can be called once.
    sys.modules["multiprocessing.context"]._default_context._actual_context = context


def _attribute(place, name):
    return functools.partial(setattr, place, name)


_get_digits = getattr(sys, "get_int_max_str_digits", _nothing)


def look():
    """Returns the current values. Lists are not copied."""
    socket = sys.modules.get("_socket")
    context = sys.modules.get("multiprocessing.context")
    return (
        sys.getrecursionlimit(),
        _get_digits(),
        sys.gettrace(),
        sys.getprofile(),
        sys.getswitchinterval(),
        gc.isenabled(),
        socket and socket.getdefaulttimeout(),
        context and context._default_context._actual_context,
        sys.excepthook,
        sys.displayhook,
        sys.unraisablehook,
        sys.breakpointhook,
        threading.excepthook,
        threading._trace_hook,
        threading._profile_hook,
        warnings.showwarning,
        warnings.filters,
        sys.argv,
        sys.path,
        sys.meta_path,
        sys.path_hooks,
    )


# In the order of the values.
_PUT = (
    sys.setrecursionlimit,
    getattr(sys, "set_int_max_str_digits", _nothing),
    sys.settrace,
    sys.setprofile,
    sys.setswitchinterval,
    _switch_collection,
    lambda timeout: sys.modules["_socket"].setdefaulttimeout(timeout),
    _put_start_method,
    _attribute(sys, "excepthook"),
    _attribute(sys, "displayhook"),
    _attribute(sys, "unraisablehook"),
    _attribute(sys, "breakpointhook"),
    _attribute(threading, "excepthook"),
    _attribute(threading, "_trace_hook"),
    _attribute(threading, "_profile_hook"),
    _attribute(warnings, "showwarning"),
    _put_filters,
    _attribute(sys, "argv"),
    _attribute(sys, "path"),
    _attribute(sys, "meta_path"),
    _attribute(sys, "path_hooks"),
)
# Position of the first list of the import system.
_IMPORTS = len(_PUT) - 3


def copy(values):
    """The values, with copies of the lists."""
    return tuple(list(value) if type(value) is list else value for value in values)


def merge(known, before, after):
    """The known values, with those that have changed between two readings."""
    return tuple(new if new != old else value for value, old, new in zip(known, before, after))


def put_back(known, imported):
    """Restores changed values, and returns the new known values.

    A module that a task imports may extend the lists of the import system and rely on that later. So if a task has imported
    modules, an extended list is kept."""
    known, now = list(known), look()
    for position, (put, value) in enumerate(zip(_PUT, now)):
        if value == known[position]:
            continue
        if imported and position >= _IMPORTS and _extends(value, known[position]):
            known[position] = list(value)
        else:
            put(copy((known[position],))[0])
    return tuple(known)


def _extends(value, known):
    return type(value) is list and all(entry in value for entry in known)


def renew_loop():
    """If a task has closed or removed the current event loop of this thread, asyncio makes a new one for the next task that
    asks for it. By default it does so only if no loop was ever set."""
    events = sys.modules.get("asyncio.events")
    local = events and getattr(events._event_loop_policy, "_local", None)
    if local and getattr(local, "_set_called", False) and (local._loop is None or local._loop.is_closed()):
        local._loop, local._set_called = None, False
