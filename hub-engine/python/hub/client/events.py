"""The stream of events: reads server-sent events, and continues after interruptions."""

import time
from typing import Any, Dict, List, Mapping, NamedTuple, Optional

from hub.client.errors import HubError, ServerError, refusal
from hub.client.following import ENDED, PATIENCE
from hub.client.ids import text_of
from hub.client.message import Request
from hub.client.reading import json_of
from hub.client.settings import Settings
from hub.client.steps import backoff, failure_of, is_temporary, retry_after

__all__ = ["Event", "Watch"]

# Maximum size of an event in bytes.
_MAXIMUM_EVENT_BYTES = 1024 * 1024


class Event(NamedTuple):
    """A change of a job or a task.

    kind: "job", "task", or "reset" if events were missed.
    data: `id`, `name` and `status`, for a task also `job`. Empty after a reset.
    number: the position in the stream. A later call of events(after=number) continues after it.
    """

    kind: str
    data: Mapping[str, Any]
    number: int


class EventReader:
    """Reads events from the bytes that `feed` receives."""

    def __init__(self, last: Optional[int]) -> None:
        self.last = last
        self._buffer = bytearray()

    def feed(self, data: bytes) -> List[Event]:
        """The events that are complete."""
        self._buffer += data
        events: List[Event] = []
        while True:
            end = self._buffer.find(b"\n\n")
            if end < 0:
                if len(self._buffer) > _MAXIMUM_EVENT_BYTES:
                    raise ServerError("an event is larger than %d bytes" % _MAXIMUM_EVENT_BYTES)
                return events
            block = self._buffer[:end].decode("utf-8", "replace")
            del self._buffer[: end + 2]
            event = self._read(block)
            if event is not None:
                events.append(event)

    def clear(self) -> None:
        """Forgets an event that was not complete when the stream ended."""
        self._buffer.clear()

    def _read(self, block: str) -> Optional[Event]:
        fields: Dict[str, str] = {}
        for line in block.split("\n"):
            name, _, value = line.partition(":")
            fields[name] = value[1:] if value.startswith(" ") else value
        number = fields.get("id", "")
        if number.isascii() and number.isdigit():
            self.last = int(number[:20])
        if "event" not in fields:
            return None
        data = json_of(fields.get("data", "").encode("utf-8"), None)
        return Event(fields["event"], data if isinstance(data, dict) else {}, self.last or 0)


class Watch:
    """The state of a client of the stream, without input and output."""

    def __init__(self, settings: Settings, job: Any, after: Optional[int]) -> None:
        self._settings = settings
        self._job = None if job is None else text_of(job, "job")
        self._events = EventReader(after)
        self._failures = 0
        # When the dispatcher has sent something last. None if it never has.
        self._heard_at: Optional[float] = None

    def request(self) -> Request:
        """The request that continues after the last event."""
        query = [] if self._job is None else [("job", self._job)]
        headers = [] if self._events.last is None else [("Last-Event-ID", str(self._events.last))]
        return Request("GET", "events", query, headers=headers)

    def feed(self, data: bytes) -> List[Event]:
        """The events in a part of the stream."""
        if data:
            self._failures, self._heard_at = 0, time.monotonic()
        return self._events.feed(data)

    def pause_after_refusal(self, status: int, headers: Mapping[str, str], body: bytes) -> float:
        """The delay before the next attempt. Raises what is not temporary."""
        error = refusal(status, json_of(body, None), self.request().where(self._settings))
        return self._pause(error, headers.get("retry-after"))

    def pause_after(self, error: Exception) -> float:
        """The delay before the next attempt. Raises what is not temporary."""
        return self._pause(failure_of(error, self._settings, self.request().where(self._settings)), None)

    def pause_after_end(self) -> float:
        """The delay before the next connection, since the dispatcher has ended the stream."""
        self._events.clear()
        self._failures += 1
        return backoff(self._failures)

    def _pause(self, error: HubError, asked: Optional[str]) -> float:
        self._events.clear()
        self._failures += 1
        if self._heard_at is None:
            # The address may be wrong.
            is_over = self._failures > self._settings.retries
        else:
            is_over = time.monotonic() - self._heard_at > PATIENCE
        if is_over or not is_temporary(error):
            raise error
        return retry_after(asked, self._failures)

    def is_end(self, event: Event) -> bool:
        """Whether this is the end of the watched job."""
        return event.kind == "job" and event.data.get("id") == self._job and event.data.get("status") in ENDED
