"""The times of records as datetimes."""

import datetime
import re
from typing import Optional, overload

__all__ = ["parse_time"]

_TIME = re.compile(r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d+))?([Zz]|[+-]\d\d:\d\d)")


@overload
def parse_time(text: str) -> datetime.datetime: ...
@overload
def parse_time(text: None) -> None: ...
def parse_time(text: Optional[str]) -> Optional[datetime.datetime]:
    """The time of a record, such as "2026-11-26T17:29:13.543Z", as an aware datetime. None remains None."""
    if text is None:
        return None
    found = _TIME.fullmatch(text)
    if found is None:
        raise ValueError("%r is not a time as in RFC 3339, such as 2026-11-26T17:29:13.543Z" % text)
    day, clock, fraction, zone = found.groups()
    # fromisoformat of Python 3.8 reads neither Z nor other numbers of digits.
    digits = ((fraction or "") + "000000")[:6]
    zone = "+00:00" if zone in "Zz" else zone
    return datetime.datetime.fromisoformat("%sT%s.%s%s" % (day, clock, digits, zone))
