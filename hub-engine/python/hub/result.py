"""Encodes results as JSON, and describes values that cannot be encoded."""

import json
import re

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
_encode = json.JSONEncoder(allow_nan=False, separators=(",", ":")).encode


def refusal(value, otherwise, type_name):
    """The failure of an invalid value. If no invalid part is found, the reason is `otherwise`, if any."""
    try:
        found = find_unencodable(value)
    except RecursionError:
        # The value contains itself or is nested too deeply to be searched.
        found = None
    if found is None and otherwise is None:
        return None
    found = clean(shorten(found or otherwise, (500, 500)))
    return Failure("BAD_RESULT", "the result cannot be written as JSON: %s" % found, type_name)


def encode(value, settings):
    try:
        text = _encode(value)
    except RecursionError:
        msg = "the result is nested too deeply: values may be nested %d levels deep" % settings["max_depth"]
        raise Failure("VALUE_TOO_DEEP", msg, "RecursionError")
    except (TypeError, ValueError) as error:
        raise refusal(value, str(error), type(error).__name__)
    if "\\ud" in text and LONE.search(text):
        failure = refusal(value, None, "UnicodeEncodeError")
        if failure is not None:
            raise failure
    limit = settings["result_limit"]
    if len(text) > limit:
        raise Failure("RESULT_TOO_LARGE", "the result has %d bytes, the limit is %d" % (len(text), limit))
    return text
