"""Reads the JSON of answers, and checks that it is what the operation returns."""

import json
from typing import Any

from hub.client.errors import ServerError

__all__ = ["json_of", "list_of", "object_of"]

# What `json_of` returns for a text that is not JSON, if there is no other value.
_RAISES = object()


def json_of(body: bytes, otherwise: Any = _RAISES, where: str = "") -> Any:
    """The JSON value of a body. NaN and infinite numbers are not JSON."""
    try:
        return json.loads(body.decode("utf-8"), parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        if otherwise is not _RAISES:
            return otherwise
        raise _unreadable("it is not JSON: %s" % error, where) from None


def object_of(body: bytes, where: str, *keys: str) -> Any:
    """The JSON object of a body, which has these keys."""
    value = json_of(body, where=where)
    missing = [key for key in keys if not isinstance(value, dict) or key not in value]
    if not isinstance(value, dict) or missing:
        raise _unreadable("it has no %s" % ", ".join(missing or ["object"]), where)
    return value


def list_of(body: bytes, where: str) -> Any:
    """The JSON list of a body."""
    value = json_of(body, where=where)
    if not isinstance(value, list):
        raise _unreadable("it is not a list", where)
    return value


def _refuse(constant: str) -> Any:
    raise ValueError("%s is not a number of JSON" % constant)


def _unreadable(why: str, where: str) -> ServerError:
    return ServerError("the answer cannot be read: %s: is another program listening there? (%s)" % (why, where))
