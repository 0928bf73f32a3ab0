"""The options of jobs and tasks: checks their names, and converts their values to the job format."""

import difflib
from typing import Any, Callable, Dict, Mapping, Optional, TYPE_CHECKING, Union

from hub.client.errors import InvalidJob
from hub.client.references import Condition, Reference, template
from hub.client.values import Place, duration, moment, plain

if TYPE_CHECKING:
    from hub.client.job import Job

__all__ = ["Each", "job_options", "task_options"]


class Each:
    """What a task with for_each iterates over, and how: ``for_each=Each(numbers.data, parallel=3)``."""

    def __init__(
        self,
        items: Any,
        *,
        parallel: Optional[int] = None,
        tolerated_failures: Union[int, str, None] = None,
        fail_fast: Optional[bool] = None,
        batch: Optional[int] = None,
        when: Union[Condition, Reference, Mapping[str, Any], bool, None] = None,
    ) -> None:
        given = {
            "parallel": parallel, "tolerated_failures": tolerated_failures, "fail_fast": fail_fast, "batch": batch,
            "when": when,
        }
        self.document = {"in": items, **{key: value for key, value in given.items() if value is not None}}


def _for_each(value: Any, path: str, job: "Job") -> Any:
    if isinstance(value, Each):
        return template(value.document, path, job)
    # An object could be read as an object with options.
    return template({"in": value} if isinstance(value, Mapping) else value, path, job)


def _delay(value: Any, path: str, job: "Job") -> Any:
    return template(value, path, job) if isinstance(value, Reference) else duration(value, path)


def _policy(value: Any, path: str) -> Any:
    """A retry policy or time limits. Errors can be classes, and durations timedeltas."""

    def convert(value: Any, path: Place) -> Optional[Any]:
        if isinstance(value, type) and issubclass(value, BaseException):
            return value.__name__
        return duration(value, path) if hasattr(value, "total_seconds") else None

    return plain(value, path, convert)


def _recover(value: Any, path: str, job: "Job") -> Any:
    recover = dict(_mapping(value, path))
    fallback = {"fallback": template(recover.pop("fallback"), path, job)} if "fallback" in recover else {}
    return {**fallback, **_policy(recover, path)}


def _cache(value: Any, path: str, job: "Job") -> Any:
    cache = dict(_mapping(value, path)) if isinstance(value, Mapping) else {"ttl": value}
    key = {"key": template(cache.pop("key"), path, job)} if "key" in cache else {}
    return {**_policy(cache, path), **key}


def _mapping(value: Any, path: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise InvalidJob("%s is a dict, not %s" % (path, type(value).__name__))
    return value


def _plain(value: Any, path: str, _: "Job") -> Any:
    return plain(value, path)


_TASK: Dict[str, Callable[[Any, str, "Job"], Any]] = {
    "when": template,
    "for_each": _for_each,
    "delay": _delay,
    "retry": lambda value, path, _: _policy(value, path),
    "timeout": lambda value, path, _: _policy(value, path),
    "recover": _recover,
    "cache": _cache,
    "trigger_rule": _plain,
    "pool": _plain,
    "priority": _plain,
    "meta": _plain,
}
_JOB: Dict[str, Callable[[Any, str], Any]] = {
    "inputs": plain,
    "input_schema": plain,
    "priority": plain,
    "retry": _policy,
    "timeout": _policy,
    "start_at": moment,
    "deadline": moment,
    "handler_deadline": duration,
    "key": plain,
    "labels": plain,
    "meta": plain,
}


def task_options(options: Mapping[str, Any], path: str, job: "Job") -> Dict[str, Any]:
    """The options of a task that are not None."""
    _check(options, _TASK, path)
    given = {key: value for key, value in options.items() if value is not None}
    return {key: _TASK.get(key, _plain)(value, "%s.%s" % (path, key), job) for key, value in given.items()}


def job_options(options: Mapping[str, Any]) -> Dict[str, Any]:
    """The options of a job that are not None."""
    _check(options, _JOB, "the job")
    given = {key: value for key, value in options.items() if value is not None}
    return {key: _JOB.get(key, plain)(value, key) for key, value in given.items()}


def _check(options: Mapping[str, Any], known: Mapping[str, Any], path: str) -> None:
    for key in options:
        if key not in known and not key.startswith("x-"):
            near = difflib.get_close_matches(key, known, 1)
            hint = "did you mean %s?" % near[0] if near else "the options are %s" % ", ".join(sorted(known))
            raise InvalidJob("%s has no option %s: %s" % (path, key, hint))
