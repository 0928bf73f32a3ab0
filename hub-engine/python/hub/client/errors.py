"""The exceptions of the client. Each message says what happened, where, and what to do next."""

from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple, Type, TYPE_CHECKING

if TYPE_CHECKING:
    from hub.client.types import JobRecord, TaskRecord

__all__ = [
    "Conflict", "HubError", "InvalidJob", "JobCancelled", "JobFailed", "NotEnded", "NotFound", "Problem", "Refused",
    "ServerError", "Timeout", "Unauthorized", "Unavailable",
]

# Number of failed tasks that the message of JobFailed names.
_TASKS_SHOWN = 5


class Problem(NamedTuple):
    """A problem of a job, a definition or its inputs.

    code: the kind of problem, for programs.
    path: the place as a JSON path, such as $.tasks[1].depends[0].
    line, column: the place in the text, from 1. None if the text is not known.
    suggestion: a correction. None if there is none.
    """

    code: str
    path: str
    message: str
    line: Optional[int] = None
    column: Optional[int] = None
    suggestion: Optional[str] = None

    def __str__(self) -> str:
        place = "" if self.line is None else " (line %d, column %d)" % (self.line, self.column or 1)
        hint = "" if self.suggestion is None else ": " + self.suggestion
        return "%s%s: %s%s" % (self.path, place, self.message, hint)


class HubError(Exception):
    """The base class of all exceptions of the client.

    message: what happened, and what to do next.
    kind: the kind of refusal, such as "not_found". None if no Hub has answered.
    status: the status code of the HTTP answer. None if there is none.
    problems: the problems of a job that was refused.
    """

    def __init__(
        self, message: str, *, kind: Optional[str] = None, status: Optional[int] = None, problems: Sequence[Problem] = ()
    ) -> None:
        super().__init__("".join([message] + ["\n  " + str(problem) for problem in problems]))
        self.message = message
        self.kind = kind
        self.status = status
        self.problems: Tuple[Problem, ...] = tuple(problems)

    def __reduce__(self) -> Tuple[Any, ...]:
        # The default would call __init__ with the arguments of Exception.
        return _restore, (type(self), self.args, self.__dict__)


def _restore(kind: Type[HubError], args: Tuple[Any, ...], state: Dict[str, Any]) -> HubError:
    error = kind.__new__(kind)
    error.args = args
    error.__dict__.update(state)
    return error


class Refused(HubError):
    """The request is not valid: see `problems`. A repetition would be refused, too."""


class NotFound(HubError):
    """There is no such job, task, definition or alias."""


class Conflict(HubError):
    """The state of the job or task does not allow the request, or the id or the key is taken."""


class NotEnded(Conflict):
    """The job is being cancelled for a retry, and has not ended yet. Repeat the same request."""


class Unauthorized(HubError):
    """The token is missing or wrong, or the dispatcher does not serve this address."""


class Unavailable(HubError, ConnectionError):
    """No dispatcher answers at the address, or it cannot answer now. A request that was sent may have been executed."""


class Timeout(HubError, TimeoutError):
    """No answer arrived in time, or a job has not ended in time. The request may have been executed."""


class ServerError(HubError):
    """The answer is not one of a Hub, or the dispatcher has an internal error."""


class InvalidJob(HubError, ValueError):
    """The builder cannot write this job. Nothing was sent."""


class JobFailed(HubError):
    """A job has ended without success.

    record: the record of the job.
    failed_tasks: the records of the tasks that failed and were not recovered.
    """

    def __init__(self, record: "JobRecord") -> None:
        self.record = record
        self.failed_tasks: List["TaskRecord"] = [task for task in record.get("tasks", []) if _has_failed(task)]
        what = "job %s (%s) has ended with %s" % (record["id"], record["name"], record["status"])
        lines = [what + (": " + record["msg"] if record.get("msg") else "")]
        for task in self.failed_tasks[:_TASKS_SHOWN]:
            lines.append("\n  %s: %s" % (task["name"], task.get("msg", task["status"])))
        if len(self.failed_tasks) > _TASKS_SHOWN:
            lines.append("\n  and %d more" % (len(self.failed_tasks) - _TASKS_SHOWN))
        super().__init__("".join(lines))


class JobCancelled(JobFailed):
    """A job was cancelled."""


def _has_failed(task: Mapping[str, Any]) -> bool:
    return task.get("status") == "FAILED" and not task.get("recovered")


# The exceptions by the kinds of refusals, and by status codes for other answers.
_BY_KIND: Dict[str, Type[HubError]] = {
    "invalid_job": Refused, "invalid_request": Refused, "too_large": Refused, "too_many": Refused,
    "not_found": NotFound, "conflict": Conflict, "not_ended": NotEnded, "unauthorized": Unauthorized,
    "unreachable": Unavailable, "unavailable": Unavailable, "timed_out": Timeout, "internal": ServerError,
}
_BY_STATUS: Dict[int, Type[HubError]] = {
    401: Unauthorized, 403: Unauthorized, 502: Unavailable, 503: Unavailable, 504: Timeout,
}


def refusal(status: int, body: Any, where: str) -> HubError:
    """The exception for an answer that is not a success. `body` is its JSON value, and `where` names the request."""
    body = body if isinstance(body, dict) else {}
    kind, message = body.get("kind"), body.get("message")
    if isinstance(kind, str) and isinstance(message, str):
        found = _BY_KIND.get(kind) or (Refused if status < 500 else ServerError)
        problems = body.get("problems")
        problems = [_problem(each) for each in problems] if isinstance(problems, list) else []
        return found("%s (%s)" % (message, where), kind=kind, status=status, problems=problems)
    found = _BY_STATUS.get(status, ServerError)
    message = "the answer has the status %d and is not one of a Hub: check the address (%s)" % (status, where)
    return found(message, status=status)


def _problem(given: Any) -> Problem:
    given = given if isinstance(given, dict) else {}
    code, path, message = (str(given.get(key, "")) for key in ("code", "path", "message"))
    numbers = (given.get(key) for key in ("line", "column"))
    line, column = (number if isinstance(number, int) else None for number in numbers)
    suggestion = given.get("suggestion")
    return Problem(code, path, message, line, column, suggestion if isinstance(suggestion, str) else None)
