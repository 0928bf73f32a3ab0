"""Converts values of Python to JSON values. What JSON does not have is refused, with the place and a way to convert it."""

import datetime
import decimal
import json
import math
import uuid
from typing import Any, Callable, Mapping, Optional, Tuple, Union

from hub.client.errors import InvalidJob

__all__ = ["Place", "duration", "encode", "moment", "plain", "rfc3339", "show"]

# Maximum number of levels of a value. It is that of the values of Hub.
_MAXIMUM_DEPTH = 500
# Maximum length of a place in messages.
_MAXIMUM_SHOWN = 200
# The place of a value: a name, or the place around it and a key or a position. It becomes text only in messages.
Place = Union[str, Tuple[Any, Union[str, int]]]
# A conversion that is asked first, for what is no plain value. It returns the value, or None.
Convert = Callable[[Any, Place], Optional[Any]]


def plain(value: Any, place: Place = "$", convert: Optional[Convert] = None) -> Any:
    """A copy of the value that consists of JSON values. Tuples become lists."""
    try:
        return _plain(value, place, convert, 0)
    except RecursionError:
        raise _too_deep(place) from None


def _plain(value: Any, place: Place, convert: Optional[Convert], depth: int) -> Any:
    if depth > _MAXIMUM_DEPTH:
        raise _too_deep(place)
    converted = None if convert is None else convert(value, place)
    if converted is not None:
        return converted
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _text(value, place)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise InvalidJob("%s: JSON has no %r: write None or a text" % (show(place), float(value)))
        return float(value)
    # Loops: a comprehension would be a call of its own, and values can be nested as deep as calls.
    if isinstance(value, (dict, Mapping)):
        members = {}
        for key, inner in value.items():
            members[_key(key, place)] = _plain(inner, (place, key), convert, depth + 1)
        return members
    if isinstance(value, (list, tuple)):
        elements = []
        for at, inner in enumerate(value):
            elements.append(_plain(inner, (place, at), convert, depth + 1))
        return elements
    raise InvalidJob("%s: JSON has no %s: %s" % (show(place), type(value).__name__, _advice(value)))


def show(place: Place) -> str:
    """The place as text: task add.args[0].key."""
    steps = []
    while not isinstance(place, str):
        place, step = place
        steps.append("[%d]" % step if isinstance(step, int) else ".%s" % step)
    text = place + "".join(reversed(steps))
    return text if len(text) <= _MAXIMUM_SHOWN else text[:_MAXIMUM_SHOWN] + "…"


def _too_deep(place: Place) -> InvalidJob:
    return InvalidJob("%s: the value has more than %d levels, or contains itself" % (show(place), _MAXIMUM_DEPTH))


def _text(value: str, place: Place) -> str:
    text = str.__str__(value)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InvalidJob("%s: the text is not Unicode: it has a lone surrogate at %d" % (show(place), error.start))
    return text


def _key(key: Any, place: Place) -> str:
    if not isinstance(key, str):
        raise InvalidJob("%s: the keys of an object are texts, not %s: write str(key)" % (show(place), type(key).__name__))
    return _text(key, place)


def _advice(value: Any) -> str:
    if type(value).__name__ in ("Condition", "Inputs", "Reference", "Task"):
        return "references are replaced only in arguments, conditions and the output"
    if isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
        return "pass value.isoformat()"
    if isinstance(value, datetime.timedelta):
        return "pass value.total_seconds()"
    if isinstance(value, decimal.Decimal):
        return "pass str(value), or float(value) if the digits may change"
    if isinstance(value, uuid.UUID):
        return "pass str(value)"
    if isinstance(value, (bytes, bytearray, memoryview)):
        return "pass value.decode(), or base64 text for binary data"
    if isinstance(value, (set, frozenset)):
        return "pass sorted(value)"
    if hasattr(value, "__dataclass_fields__"):
        return "pass dataclasses.asdict(value)"
    if hasattr(value, "tolist"):
        return "pass value.tolist()"
    if hasattr(value, "__next__"):
        return "pass list(value)"
    if hasattr(value, "value") and hasattr(value, "name"):
        return "pass value.value"
    return "pass text, a number, a list or a dict"


def duration(value: Any, place: Place) -> Any:
    """A duration of the job format: a text such as "1h30m", a number of seconds, or a timedelta."""
    if isinstance(value, datetime.timedelta):
        seconds = value.total_seconds()
        return int(seconds) if seconds.is_integer() else seconds
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise InvalidJob('%s: a duration is a text such as "90s", a number of seconds or a timedelta' % show(place))
    return plain(value, place)


def moment(value: Any, place: Place) -> Any:
    """A time or a duration of the job format. A datetime must be aware."""
    if isinstance(value, (datetime.datetime, datetime.date)):
        return rfc3339(value, place)
    return duration(value, place)


def rfc3339(value: Any, place: Place) -> str:
    """A time as RFC 3339 text, to the microsecond."""
    if isinstance(value, datetime.datetime):
        if value.utcoffset() is None:
            advice = "pass an aware one, such as datetime.now(timezone.utc)"
            raise InvalidJob("%s: the datetime has no time zone: %s" % (show(place), advice))
        return value.astimezone(datetime.timezone.utc).replace(tzinfo=None).isoformat() + "Z"
    if isinstance(value, datetime.date):
        return value.isoformat()
    if isinstance(value, str):
        return _text(value, place)
    raise InvalidJob("%s: a time is an aware datetime, a date or RFC 3339 text" % show(place))


def encode(value: Any) -> bytes:
    """JSON text of a value that `plain` has returned."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode("utf-8")
