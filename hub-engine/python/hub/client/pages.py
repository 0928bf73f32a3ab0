"""Goes through the pages of a listing. No input or output."""

from typing import Any, Callable, List, Mapping, Optional

from hub.client.errors import ServerError
from hub.client.message import Request

__all__ = ["Pages"]

# Number of entries of a page. A small first page would be slow for long listings, and a large one for short loops.
_PAGE_SIZE = 100


class Pages:
    """The state of a listing.

    key: the key of the entries in a page.
    page: the request of a page with this number of entries, after a place.
    limit: the maximum number of entries of all pages.
    """

    def __init__(self, key: str, page: Callable[[int, Any], Request], limit: Optional[int]) -> None:
        if limit is not None and limit < 0:
            raise ValueError("limit is a number from 0, not %r" % limit)
        self.key = key
        self._page = page
        self._left = limit
        self._after: Any = None
        self.is_over = limit == 0

    def request(self) -> Request:
        """The request of the next page."""
        return self._page(_PAGE_SIZE if self._left is None else min(self._left, _PAGE_SIZE), self._after)

    def read(self, page: Mapping[str, Any]) -> List[Any]:
        """The entries of a page. A page without entries can have a next one."""
        entries = page[self.key]
        if not isinstance(entries, list):
            raise ServerError("the answer cannot be read: %s is not a list" % self.key)
        after = page.get("next")
        if after is not None and after == self._after:
            raise ServerError("the listing does not end: the next page is the same again")
        self._after = after
        if self._left is not None:
            entries = entries[: self._left]
            self._left -= len(entries)
        self.is_over = after is None or self._left == 0
        return entries
