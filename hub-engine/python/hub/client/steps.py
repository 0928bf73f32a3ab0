"""The steps of operations. An operation is a generator that yields steps and receives their outcomes, so that the blocking and
the asynchronous client share it: each of them only executes steps."""

import asyncio
import random
import time
from typing import Any, Generator, NamedTuple, Optional, TypeVar, Union

from hub.client.asyncio_transport import AsyncioTransport
from hub.client.blocking_transport import BlockingTransport
from hub.client.errors import HubError, NotEnded, ServerError, Timeout, Unavailable, refusal
from hub.client.message import Answer, BadAnswer, Lost, Request
from hub.client.reading import json_of
from hub.client.settings import Settings

__all__ = ["Exchange", "Pause", "Steps", "ask", "backoff", "failure_of", "run", "run_async"]

_T = TypeVar("_T")

# The first and the longest delay between two attempts in seconds.
_MINIMUM_DELAY = 0.1
_MAXIMUM_DELAY = 5.0
# Maximum delay that a Retry-After of the dispatcher can ask for, in seconds.
_MAXIMUM_RETRY_AFTER = 30.0


class Exchange(NamedTuple):
    """Send a request. The outcome is an Answer, or the exception Lost or BadAnswer."""

    request: Request
    within: float


class Pause(NamedTuple):
    """Wait for this number of seconds."""

    seconds: float


Step = Union[Exchange, Pause]
Steps = Generator[Step, Any, _T]


def run(steps: Steps[_T], transport: BlockingTransport) -> _T:
    """Executes the steps of an operation."""
    outcome: Any = None
    try:
        step = next(steps)
        while True:
            try:
                if isinstance(step, Pause):
                    time.sleep(step.seconds)
                    outcome = None
                else:
                    outcome = transport.exchange(step.request, step.within)
            except (Lost, BadAnswer) as error:
                step = steps.throw(error)
            else:
                step = steps.send(outcome)
    except StopIteration as end:
        result: _T = end.value
        return result
    finally:
        steps.close()


async def run_async(steps: Steps[_T], transport: AsyncioTransport) -> _T:
    """Executes the steps of an operation."""
    outcome: Any = None
    try:
        step = next(steps)
        while True:
            try:
                if isinstance(step, Pause):
                    await asyncio.sleep(step.seconds)
                    outcome = None
                else:
                    outcome = await transport.exchange(step.request, step.within)
            except (Lost, BadAnswer) as error:
                step = steps.throw(error)
            else:
                step = steps.send(outcome)
    except StopIteration as end:
        result: _T = end.value
        return result
    finally:
        steps.close()


def ask(settings: Settings, request: Request) -> Steps[Answer]:
    """Sends a request until it is answered. It is repeated if that is safe, and if the reason may pass.

    A request that may not be repeated is sent again only if there was no connection.
    """
    where = request.where(settings)
    attempt = 0
    while True:
        may_try_again = attempt < settings.retries
        attempt += 1
        try:
            answer: Answer = yield Exchange(request, settings.timeout + request.wait)
        except Lost as lost:
            is_safe = request.may_repeat or not lost.was_sent
            if lost.timed_out or lost.is_permanent or not (is_safe and may_try_again):
                raise failure_of(lost, settings, where) from None
            yield Pause(backoff(attempt))
        except BadAnswer as bad:
            raise failure_of(bad, settings, where) from None
        else:
            if 200 <= answer.status < 300 or answer.status in request.accepted:
                return answer
            if answer.status != 503 or not (request.may_repeat and may_try_again):
                raise refusal(answer.status, json_of(answer.body, None), where)
            yield Pause(retry_after(answer.headers.get("retry-after"), attempt))


def failure_of(error: Exception, settings: Settings, where: str) -> HubError:
    """The exception for a request without a usable answer."""
    if not isinstance(error, Lost):
        return ServerError("%s (%s)" % (error, where))
    if error.timed_out:
        advice = "the request may have been executed" if error.was_sent else "is hub-dispatcher reachable there?"
        return Timeout("there was no answer in time: %s (%s)" % (advice, where))
    if error.is_permanent:
        return Unavailable("there is no trusted connection: %s: pass context=… or set HUB_CA_FILE (%s)" % (error, where))
    if error.was_sent:
        return Unavailable("the connection was lost: %s: the request may have been executed (%s)" % (error, where))
    return Unavailable("no dispatcher answers: %s: is hub-dispatcher running with --http there? (%s)" % (error, where))


def is_temporary(error: HubError) -> bool:
    """Whether the reason may pass, as at a restart of the dispatcher."""
    return isinstance(error, (Unavailable, Timeout, NotEnded))


def backoff(attempt: int) -> float:
    """The delay after this attempt. Chance spreads the requests of many clients."""
    longest = min(_MAXIMUM_DELAY, _MINIMUM_DELAY * float(1 << min(attempt, 16)))
    return longest * (0.5 + random.random() / 2)


def retry_after(value: Optional[str], attempt: int) -> float:
    """The delay that an answer asks for in seconds; that of backoff if it asks for none."""
    if value is None or not (value.isascii() and value.isdigit()):
        return backoff(attempt)
    # Chance spreads the clients that were refused at the same time.
    return min(_MAXIMUM_RETRY_AFTER, float(value[:9])) + random.random() * _MINIMUM_DELAY
