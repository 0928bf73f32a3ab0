"""Writes results as JSON, and says what in them cannot be written."""

import json

from hub.failure import Failure, clean, shorten

PATH = (150, 50)


def find_unencodable(value, path="result"):
    """Where in a value the thing is that JSON has no word for."""
    if value is None or isinstance(value, (str, bool, int)):
        return None
    if isinstance(value, float):
        return None if value == value and value not in (float("inf"), float("-inf")) else "%s is %r" % (path, value)
    if isinstance(value, dict):
        for key, inner in value.items():
            if not isinstance(key, (str, int, float, bool, type(None))):
                return "%s has a key that is a %s" % (path, type(key).__name__)
            found = find_unencodable(inner, "%s[%s]" % (path, shorten(repr(key), PATH)))
            if found:
                return found
        return None
    if isinstance(value, (list, tuple)):
        for index, inner in enumerate(value):
            found = find_unencodable(inner, "%s[%d]" % (path, index))
            if found:
                return found
        return None
    return "%s is a %s" % (path, type(value).__name__)


# Made once: json.dumps makes one anew for each call that has options.
_encode = json.JSONEncoder(allow_nan=False, separators=(",", ":")).encode


def encode(value, settings):
    try:
        text = _encode(value)
    except RecursionError:
        msg = "the result is nested too deeply: values may be nested %d levels deep" % settings["max_depth"]
        raise Failure("VALUE_TOO_DEEP", msg, "RecursionError")
    except (TypeError, ValueError) as error:
        try:
            found = find_unencodable(value)
        except RecursionError:
            # It contains itself, which is what the error says, or the thing is too far down to be looked for.
            found = None
        found = clean(shorten(found or str(error), (500, 500)))
        raise Failure("BAD_RESULT", "the result cannot be written as JSON: %s" % found, type(error).__name__)
    limit = settings["result_limit"]
    if len(text) > limit:
        raise Failure("RESULT_TOO_LARGE", "the result has %d bytes, the limit is %d" % (len(text), limit))
    return text
