"""The operations of the HTTP API as requests. Which of them may be repeated is decided here."""

import os
import pathlib
import urllib.parse
from typing import Any, Dict, Iterable, List, Mapping, Optional, Sequence, Tuple, Union

from hub.client.errors import InvalidJob, Refused
from hub.client.ids import new_id, text_of
from hub.client.job import Job
from hub.client.message import Request
from hub.client.reading import json_of
from hub.client.values import encode, moment, plain, rfc3339

# A job as callers pass it: built, a document, its text, or the file with the text.
AnyJob = Union[Job, Mapping[str, Any], str, bytes, pathlib.PurePath]
Query = List[Tuple[str, str]]
# The times and durations of a schedule.
_SCHEDULE_TIMES = ("every", "anchor", "start", "end", "jitter", "catch_up_window")


def job_text(job: AnyJob) -> bytes:
    """The text of a job as it is sent."""
    if isinstance(job, Job):
        return encode(job.document())
    if isinstance(job, Mapping):
        return encode(plain(job))
    return _json_text(job, "a job is a Job, a dict, JSON text or a pathlib.Path")


def schedule_text(schedule: Union[Mapping[str, Any], str, bytes, pathlib.PurePath]) -> bytes:
    """The text of a schedule as it is sent. Its job can be a Job, its times datetimes and its durations timedeltas."""
    if not isinstance(schedule, Mapping):
        return _json_text(schedule, "a schedule is a dict, JSON text or a pathlib.Path")
    written: Dict[str, Any] = {}
    for key, value in schedule.items():
        if isinstance(value, Job):
            written[key] = value.document()
        elif key in _SCHEDULE_TIMES and value is not None:
            written[key] = moment(value, key)
        else:
            written[key] = value
    return encode(plain(written))


def _json_text(given: Any, forms: str) -> bytes:
    if isinstance(given, str):
        if given.lstrip()[:1] != "{":
            raise InvalidJob("a text is JSON, and begins with {: pass pathlib.Path(…) for a file")
        return given.encode("utf-8")
    if isinstance(given, bytes):
        return given
    if not isinstance(given, os.PathLike):
        raise InvalidJob("%s, not %s" % (forms, type(given).__name__))
    path = os.fspath(given)
    if path.endswith((".yaml", ".yml")):
        raise InvalidJob("%s: this client reads JSON: convert the file, or use hub-client" % path)
    with open(path, "rb") as file:
        return file.read()


def start_text(reference: str, inputs: Optional[Mapping[str, Any]], options: Mapping[str, Any]) -> bytes:
    """The text of the start of a definition."""
    start: Dict[str, Any] = {"definition": reference, "inputs": inputs, **options}
    for key in ("start_at", "deadline"):
        start[key] = None if start.get(key) is None else moment(start[key], key)
    return encode(plain({key: value for key, value in start.items() if value is not None}))


def submit(text: bytes, id: Any = None) -> Request:
    """The id of the job makes the submission repeatable."""
    return Request("POST", "jobs", [("id", new_id() if id is None else text_of(id, "job"))], text)


def record(
    id: Any, fields: Union[str, Iterable[str], None] = None, data: bool = True, tasks: bool = True
) -> Request:
    """The status record of a job."""
    return _get("jobs/" + text_of(id, "job"), _view(fields, data, tasks))


def summary(id: Any, wait: float = 0.0) -> Request:
    """The summary of a job, when it has ended or after `wait` seconds."""
    query = [("wait", "%.3f" % wait)] if wait > 0 else []
    return _get("jobs/%s/summary" % text_of(id, "job"), query)._replace(wait=wait)


def jobs_page(
    filter: Optional[str],
    status: Union[str, Iterable[str], None],
    name: Optional[str],
    since: Any,
    until: Any,
    sub_jobs: bool,
    limit: int,
    after: Optional[str],
) -> Request:
    """A page of the jobs."""
    query: Query = [("status", each) for each in _texts(status)]
    query += [(key, value) for key, value in (("filter", filter), ("name", name), ("after", after)) if value is not None]
    query += [(key, rfc3339(value, key)) for key, value in (("since", since), ("until", until)) if value is not None]
    if sub_jobs:
        query.append(("sub_jobs", "true"))
    return _get("jobs", query + [("limit", str(limit))])


def tasks_page(
    id: Any,
    of: Optional[str],
    fields: Union[str, Iterable[str], None],
    data: bool,
    limit: int,
    after: Optional[int],
) -> Request:
    """A page of the records of tasks, or of the items of a task."""
    query = _view(fields, data, True) + [("limit", str(limit))]
    query += [("of", of)] if of is not None else []
    query += [("after", str(after))] if after is not None else []
    return _get("jobs/%s/tasks" % text_of(id, "job"), query)


def explain(id: Any, task: Optional[str]) -> Request:
    """What a job or one of its tasks waits for."""
    return _get("jobs/%s/explain" % text_of(id, "job"), [] if task is None else [("task", task)])


def document(id: Any) -> Request:
    """The text of a job."""
    return _get("jobs/%s/document" % text_of(id, "job"))


def cancel(id: Any, now: bool, handlers: bool, by: Optional[str], reason: Optional[str]) -> Request:
    """A repetition would be refused, although the first request was executed."""
    body = {"now": now or None, "handlers": handlers or None, "by": by, "reason": reason}
    return _post("jobs/%s/cancel" % text_of(id, "job"), body, may_repeat=False)


def remove(id: Any) -> Request:
    """A repetition would be refused, although the first request was executed."""
    return Request("DELETE", "jobs/" + text_of(id, "job"), may_repeat=False)


def pause(place: str, verb: str, by: Optional[str], reason: Optional[str]) -> Request:
    """Pauses or resumes a job or a pool. `place` is the path of it."""
    return _post("%s/%s" % (place, verb), {"by": by, "reason": reason})


def place_of_job(id: Any) -> str:
    """The path of a job."""
    return "jobs/" + text_of(id, "job")


def place_of_pool(name: str) -> str:
    """The path of a pool."""
    return "pools/" + _segment(name, "pool")


def priority(id: Any, priority: int, by: Optional[str], reason: Optional[str]) -> Request:
    """Changes the priority of a job."""
    return _post("jobs/%s/priority" % text_of(id, "job"), {"priority": priority, "by": by, "reason": reason})


def retry(
    id: Any,
    from_: Union[str, Sequence[str]],
    override: Optional[Mapping[str, Any]],
    cancel: bool,
    new: Any,
    by: Optional[str],
    reason: Optional[str],
) -> Request:
    """The id of the new job makes the request repeatable."""
    body = {
        "new_id": new_id() if new is None else text_of(new, "job"),
        # A single text other than these two is the name of a task, as in hub-client.
        "from": from_ if from_ in ("failure", "start") else _texts(from_),
        "override": override or None,
        "cancel": cancel or None,
        "by": by,
        "reason": reason,
    }
    return _post("jobs/%s/retry" % text_of(id, "job"), body)


def signal(id: Any, name: str, data: Any, key: Optional[str], broadcast: bool, by: Optional[str]) -> Request:
    """The key makes the signal repeatable, so there is always one."""
    body = {"name": name, "key": new_id() if key is None else key, "broadcast": broadcast or None, "by": by}
    return _post("jobs/%s/signal" % text_of(id, "job"), body, data)


def approve(task: Any, choice: str, input: Any, by: Optional[str]) -> Request:
    """Answers the question of a task."""
    body = {"choice": choice, "input": input, "by": by}
    return _post("tasks/%s/approve" % text_of(task, "task"), body)


def post_result(task: Any, data: Any, error: Optional[str]) -> Request:
    """Ends a task. The same result is accepted again."""
    path = "tasks/%s/result" % text_of(task, "task")
    if error is None:
        return _post(path, {"status": "SUCCESS"}, data, has_data=True)
    if data is not None:
        raise Refused("a result has data or an error, not both")
    return _post(path, {"status": "FAILED", "msg": error})


def repair(
    task: Any, action: str, by: Optional[str], reason: Optional[str], data: Any = None, has_data: bool = False
) -> Request:
    """A repetition would be refused, although the first request was executed."""
    path = "tasks/%s/%s" % (text_of(task, "task"), action)
    return _post(path, {"by": by, "reason": reason}, data, may_repeat=False, has_data=has_data)


def define(
    job: AnyJob, name: Optional[str], aliases: Union[str, Iterable[str]], by: Optional[str], dry_run: bool
) -> Request:
    """The same text makes no further version."""
    text = job_text(job)
    name = _name_in(text) if name is None else name
    query: Query = [("alias", each) for each in _texts(aliases)]
    query += [("by", by)] if by is not None else []
    query += [("dry_run", "true")] if dry_run else []
    return Request("PUT", "definitions/" + _segment(name, "definition"), query, text)


def _name_in(text: bytes) -> str:
    value = json_of(text, None)
    name = value.get("name") if isinstance(value, dict) else None
    if not isinstance(name, str):
        raise InvalidJob("the text has no name: pass name=…")
    return name


def set_schedule(text: bytes, name: Optional[str], by: Optional[str], dry_run: bool) -> Request:
    """The same text changes nothing."""
    query: Query = [("by", by)] if by is not None else []
    query += [("dry_run", "true")] if dry_run else []
    return Request("PUT", _schedule(_name_in(text) if name is None else name), query, text)


def schedule(name: str) -> Request:
    """One schedule."""
    return _get(_schedule(name))


def schedules_page(limit: int, after: Optional[str]) -> Request:
    """A page of the schedules."""
    return _get("schedules", [("limit", str(limit))] + ([("after", after)] if after is not None else []))


def remove_schedule(name: str) -> Request:
    """A repetition would be refused, although the first request was executed."""
    return Request("DELETE", _schedule(name), may_repeat=False)


def place_of_schedule(name: str) -> str:
    """The path of a schedule, to pause and resume it."""
    return _schedule(name)


def trigger(name: str, id: Any) -> Request:
    """The id of the job makes the request repeatable."""
    return Request("POST", _schedule(name) + "/trigger", [("id", new_id() if id is None else text_of(id, "job"))])


def _schedule(name: str) -> str:
    return "schedules/" + _segment(name, "schedule")


def definition(reference: str) -> Request:
    """One version of a definition."""
    return _get("definitions/" + _segment(reference, "definition"))


def definitions_page(limit: int, after: Optional[str]) -> Request:
    """A page of the definitions."""
    return _get("definitions", [("limit", str(limit))] + ([("after", after)] if after is not None else []))


def alias(name: str, alias: str, version: Optional[int]) -> Request:
    """Lets an alias stand for a version. None removes it."""
    path = "definitions/%s/aliases/%s" % (_segment(name, "definition"), _segment(alias, "alias"))
    if version is None:
        # A repetition would be refused if the alias is gone.
        return Request("DELETE", path, may_repeat=False)
    return Request("PUT", path, body=encode(plain({"version": version})))


def workers() -> Request:
    """The live workers."""
    return _get("workers")


def health(part: str = "") -> Request:
    """The health of the dispatcher. "Not ready" is an answer, too."""
    return _get("health" + part)._replace(accepted=(503,) if part == "/ready" else ())


def openapi() -> Request:
    """The OpenAPI document."""
    return _get("openapi.json")


def _get(path: str, query: Sequence[Tuple[str, str]] = ()) -> Request:
    return Request("GET", path, query)


def _post(
    path: str, body: Mapping[str, Any], data: Any = None, may_repeat: bool = True, has_data: bool = False
) -> Request:
    given = {key: value for key, value in body.items() if value is not None}
    if data is not None or has_data:
        given["data"] = data
    return Request("POST", path, body=encode(plain(given)), may_repeat=may_repeat)


def _view(fields: Union[str, Iterable[str], None], data: bool, tasks: bool) -> Query:
    query: Query = []
    if fields is not None:
        query.append(("fields", ",".join(_texts(fields))))
    return query + ([] if data else [("data", "false")]) + ([] if tasks else [("tasks", "false")])


def _texts(given: Union[str, Iterable[str], None]) -> List[str]:
    return [] if given is None else [given] if isinstance(given, str) else list(given)


def _segment(text: str, what: str) -> str:
    """A name as a part of a path."""
    if not isinstance(text, str) or text in ("", ".", ".."):
        raise Refused("%r is not the name of a %s" % (text, what))
    return urllib.parse.quote(text, safe="@")
