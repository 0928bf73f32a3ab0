"""Describes the failure of a task in texts of bounded length that every JSON parser can read."""

import os
import traceback

from hub.lib.api import Fatal, Retry

# Beginning of the paths of Hub's own modules.
HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "")
# The file name of the import system's frames, which are omitted from tracebacks.
IMPORT_SYSTEM = "<frozen importlib"

# Number of characters that are kept at the beginning and at the end.
MESSAGE = (6000, 2000)
TRACEBACK = (8000, 24000)
NAME = (150, 50)

# Maximum number of base classes of an exception that are reported.
MOST_BASES = 20

# Reads the name of a class independently of its metaclass.
_name_of = type.__dict__["__name__"].__get__


class Failure(Exception):
    """A failure in the form of the protocol."""

    def __init__(self, kind, msg, type_name=None, trace=None):
        super().__init__(msg)
        self.answer = {"status": "failed", "kind": kind, "msg": msg, "type": type_name, "traceback": trace}

    def from_exception(self, error):
        """Adds what decides whether there is another attempt."""
        bases = [_name_of(base) for base in type(error).__mro__[1:] if base not in (BaseException, object)]
        if bases:
            self.answer["bases"] = [clean(shorten(name, NAME)) for name in bases[:MOST_BASES]]
        if isinstance(error, Fatal):
            self.answer["retry"] = "never"
        elif isinstance(error, Retry):
            after = error.after
            self.answer["retry"] = "again" if after is None else {"after_ms": int(after * 1000)}
        return self


def clean(text):
    """Escapes lone surrogates, which other programs refuse."""
    try:
        text.encode("utf-8")
        return text
    except UnicodeEncodeError:
        return text.encode("utf-8", "backslashreplace").decode("utf-8")


def shorten(text, limits):
    first, last = limits
    left_out = len(text) - first - last
    if left_out <= 0:
        return text
    return "%s\n[%d characters left out]\n%s" % (text[:first], left_out, text[-last:])


def safe_text(make, limits, otherwise):
    """Calls user code that returns a text. It may raise, or return another type, a text that is too long, or one that cannot
    be encoded."""
    try:
        text = make()
        # Works also for subclasses of str.
        return clean(shorten(str.__str__(text), limits))
    except BaseException as error:
        return otherwise % _name_of(type(error))


def own_frames(error):
    """The traceback beginning with the first frame of user code."""
    frames = error.__traceback__
    while frames is not None:
        path = frames.tb_frame.f_code.co_filename
        if not path.startswith((HERE, IMPORT_SYSTEM)):
            break
        frames = frames.tb_next
    return frames


def describe(error, kind="TASK_FAILED"):
    """Converts an exception to a failure. The traceback begins with user code."""
    frames = own_frames(error)
    kind_of_error = type(error)
    name = safe_text(lambda: kind_of_error.__name__, NAME, "an exception without a name (%s)")
    otherwise = name.replace("%", "%%") + " (its text is not available: str() raised %s)"
    msg = safe_text(lambda: str(error), MESSAGE, otherwise)
    trace = safe_text(
        lambda: "".join(traceback.format_exception(kind_of_error, error, frames)),
        TRACEBACK,
        "the traceback is not available: formatting it raised %s",
    )
    return Failure(kind, msg or name, name, trace).from_exception(error), frames
