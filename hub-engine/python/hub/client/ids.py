"""The ids of jobs, which the client creates so that a submission can be repeated."""

import os
import time
import uuid
from typing import Any, Union

from hub.client.errors import Refused

__all__ = ["Id", "new_id", "text_of"]

Id = Union[str, uuid.UUID]


def new_id() -> str:
    """A UUID of version 7: ids that are created later are greater."""
    number = int(time.time() * 1000) << 80 | int.from_bytes(os.urandom(10), "big")
    number = number & ~(0xF << 76) | 0x7 << 76
    number = number & ~(0x3 << 62) | 0x2 << 62
    return str(uuid.UUID(int=number))


def text_of(given: Any, what: str) -> str:
    """The text of an id. Objects that have an `id`, such as handles and records, stand for it."""
    if isinstance(given, dict):
        given = given.get("id")
    given = getattr(given, "id", given)
    try:
        return str(uuid.UUID(str(given)))
    except ValueError:
        raise Refused("%r is not the id of a %s: an id is a UUID, as submit and list return it" % (given, what))
