"""Follows a job to its end, through restarts of the dispatcher. Meanwhile only the summary is requested, because the record may
be large."""

import time
from typing import Any, Iterable, Optional, Union

from hub.client import operations
from hub.client.errors import HubError, JobCancelled, JobFailed, NotFound, Timeout
from hub.client.ids import text_of
from hub.client.message import Request
from hub.client.reading import json_of, object_of
from hub.client.settings import Settings
from hub.client.steps import Pause, Steps, ask, backoff, is_temporary

__all__ = ["ENDED", "PATIENCE", "answer", "result", "retry", "wait"]

# The states of a job that has ended.
ENDED = ("SUCCESS", "FAILED", "CANCELLED")
# Maximum wait of one request. A longer wait is divided, so that a restarted dispatcher is asked again.
_MAXIMUM_STEP = 10.0
# Maximum time without any answer, in seconds, after which waits and streams end.
PATIENCE = 300.0
# The parts of a record that a result needs.
_RESULT = ("id", "name", "status", "output", "msg")


def answer(settings: Settings, request: Request, *keys: str) -> Steps[Any]:
    """Sends a request and returns the object of the answer, which has these keys."""
    found = yield from ask(settings, request)
    return object_of(found.body, request.where(settings), *keys)


def wait(
    settings: Settings,
    id: Any,
    timeout: Optional[float],
    fields: Union[str, Iterable[str], None] = None,
    data: bool = True,
    tasks: bool = True,
) -> Steps[Any]:
    """Waits until a job has ended, and returns its record."""
    status = yield from _wait_for_end(settings, id, timeout)
    try:
        return (yield from answer(settings, operations.record(id, fields, data, tasks)))
    except NotFound as error:
        message = "job %s has ended with %s, and its record has been removed since" % (text_of(id, "job"), status)
        raise NotFound(message, kind=error.kind, status=error.status) from None


def result(settings: Settings, id: Any, timeout: Optional[float]) -> Steps[Any]:
    """Waits until a job has ended, and returns its output. Raises JobFailed if it has not succeeded."""
    record = yield from wait(settings, id, timeout, _RESULT)
    if record.get("status") == "SUCCESS":
        return record.get("output")
    record = yield from answer(settings, operations.record(id), "id", "name", "status")
    raise (JobCancelled if record["status"] == "CANCELLED" else JobFailed)(record)


def retry(settings: Settings, request: Request, timeout: float) -> Steps[Any]:
    """Retries a job. While it is being cancelled, the request is repeated."""
    deadline, attempt = time.monotonic() + timeout, 0
    while True:
        try:
            return (yield from answer(settings, request, "id"))
        except HubError as error:
            if error.kind != "not_ended" or time.monotonic() >= deadline:
                raise
        attempt += 1
        yield Pause(backoff(attempt))


def _wait_for_end(settings: Settings, id: Any, timeout: Optional[float]) -> Steps[str]:
    """Returns the state with which the job has ended."""
    begun = answered_at = time.monotonic()
    status, failures = None, 0
    while True:
        now = time.monotonic()
        left = float("inf") if timeout is None else begun + timeout - now
        step = max(0.0, min(left, _MAXIMUM_STEP))
        try:
            request = operations.summary(id, step)
            found = yield from answer(settings, request, "status")
            status, failures, answered_at = str(found["status"]), 0, time.monotonic()
            if status in ENDED:
                return status
            if left <= step:
                raise Timeout("job %s has not ended within %g s: it is %s" % (text_of(id, "job"), timeout or 0.0, status))
        except HubError as error:
            # Before the first answer the address may be wrong.
            is_over = left <= step or time.monotonic() - answered_at > PATIENCE
            if is_over or status is None or not is_temporary(error):
                raise
            failures += 1
        if failures or time.monotonic() - now < step / 2:
            yield Pause(min(backoff(failures + 1), max(0.0, left)))


def ready(settings: Settings, part: str) -> Steps[bool]:
    """Whether the dispatcher is alive, or ready to work."""
    request = operations.health(part)._replace(accepted=(503,))
    found = yield from ask(settings, request)
    return found.status == 200 and json_of(found.body, None) is not None
