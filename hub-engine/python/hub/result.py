"""Encodes results as JSON, and describes values that cannot be encoded."""

import json
import re
from json.encoder import encode_basestring_ascii as _quote

from hub.failure import Failure, clean, shorten

PATH = (150, 50)
# A lone surrogate in JSON text, or similar text after an escaped backslash.
LONE = re.compile(r"\\ud[89ab]..(?!\\ud[c-f])|(?<!\\ud[89ab]..)\\ud[c-f]")


def find_unencodable(value, path="result"):
    """Describes the first part of a value that JSON cannot represent, with its path. None if there is none."""
    if value is None or isinstance(value, (bool, int)):
        return None
    if isinstance(value, str):
        return None if clean(value) is value else "%s has a lone surrogate: %s" % (path, ascii(shorten(value, PATH)))
    if isinstance(value, float):
        return None if value == value and value not in (float("inf"), float("-inf")) else "%s is %r" % (path, value)
    if isinstance(value, dict):
        for key, inner in value.items():
            if not isinstance(key, (str, int, float, bool, type(None))):
                return "%s has a key that is a %s" % (path, type(key).__name__)
            if isinstance(key, str) and clean(key) is not key:
                return "%s has a key with a lone surrogate: %s" % (path, ascii(shorten(key, PATH)))
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


# Created once: json.dumps creates a new encoder for each call with options.
_encoder = json.JSONEncoder(allow_nan=False, separators=(",", ":"))


def _encode(value):
    """The JSON text of a value. The encoder takes ten times as long for a single number."""
    kind = type(value)
    if kind is int:
        return int.__repr__(value)
    if kind is str:
        return _quote(value)
    if value is None:
        return "null"
    return _encoder.encode(value)


def refusal(value, otherwise, type_name, what):
    """The failure of an invalid value. If no invalid part is found, the reason is `otherwise`, if any."""
    try:
        found = find_unencodable(value, what)
    except RecursionError:
        # The value contains itself or is nested too deeply to be searched.
        found = None
    if found is None and otherwise is None:
        return None
    found = clean(shorten(found or otherwise, (500, 500)))
    return Failure("BAD_RESULT", "the %s cannot be written as JSON: %s" % (what, found), type_name)


def encode(value, settings, what="result"):
    """The JSON text of a value. `what` names it in messages."""
    try:
        text = _encode(value)
    except RecursionError:
        raise Failure("VALUE_TOO_DEEP", too_deep(settings, what), "RecursionError")
    except (TypeError, ValueError) as error:
        raise refusal(value, str(error), type(error).__name__, what)
    if "\\ud" in text and LONE.search(text):
        failure = refusal(value, None, "UnicodeEncodeError", what)
        if failure is not None:
            raise failure
    limit = settings["result_limit"]
    if len(text) > limit:
        raise Failure("RESULT_TOO_LARGE", "the %s has %d bytes, the limit is %d" % (what, len(text), limit))
    return text


def too_deep(settings, what):
    return "the %s is nested too deeply: values may be nested %d levels deep" % (what, settings["max_depth"])


def beyond_limits(value, settings, what="result"):
    """The kind and the message of a failure, if JSON can represent a value and Hub refuses it. Otherwise None."""
    levels = list(_levels(value))
    depth = sum(any(isinstance(value, (list, dict)) for value in level) for level in levels)
    if depth > settings["max_depth"]:
        return "VALUE_TOO_DEEP", too_deep(settings, what)
    if any(_is_beyond_double(value) for level in levels for value in level):
        reason = "it has a number beyond the range of double precision"
        return "BAD_RESULT", "the %s is not JSON that every parser can read: %s" % (what, reason)
    return None


def _levels(value):
    """The values at each level of nesting, from the outside to the inside."""
    level = [value]
    while level:
        yield level
        lists = [value.values() if isinstance(value, dict) else value for value in level if isinstance(value, (list, dict))]
        level = [value for values in lists for value in values]


def _is_beyond_double(value):
    try:
        if isinstance(value, int):
            float(value)
    except OverflowError:
        return True
    return False
