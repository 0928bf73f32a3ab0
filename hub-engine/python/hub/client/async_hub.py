"""The client for asyncio. It has the operations of the blocking client.

    from hub.client import AsyncHub

    async with AsyncHub("http://127.0.0.1:8420") as hub:
        record = await (await hub.submit(job)).wait()
"""

import asyncio
import pathlib
import ssl
from typing import Any, AsyncIterator, Iterable, List, Mapping, Optional, Sequence, Type, TypeVar, Union

from hub.client import following, operations, settings as defaults
from hub.client.asyncio_transport import AsyncioTransport
from hub.client.definition_types import Alias, Defined, Definition, DefinitionSummary, Explanation
from hub.client.events import Event, Watch
from hub.client.async_handle import AsyncJobHandle
from hub.client.ids import text_of
from hub.client.message import BadAnswer, Lost, Request
from hub.client.operations import AnyJob
from hub.client.pages import Pages
from hub.client.reading import list_of
from hub.client.schedule_types import ScheduleName, ScheduleRecord, ScheduleSet, ScheduleSummary
from hub.client.settings import Settings
from hub.client.steps import Steps, ask, run_async
from hub.client.types import (
    Cancelled, Health, Id, JobPriority, JobRecord, JobSummary, PoolName, SignalReceipt, Submitted, TaskRecord,
    WorkerRecord,
)

__all__ = ["AsyncHub"]

_T = TypeVar("_T")


class AsyncHub:
    """A Hub behind its HTTP API, for asyncio. The coroutines of an event loop can share it, but threads cannot.

    url: http://HOST:PORT. By default HUB_BROKER, or http://127.0.0.1:8420.
    token: by default the content of the file HUB_HTTP_TOKEN_FILE, or HUB_HTTP_TOKEN.
    timeout: the time limit of each request in seconds. Large answers have a second more for each 8 KiB.
    retries: how often a request that may be repeated is sent again if the dispatcher is not available.
    context: the TLS settings of https. By default the authorities of the system, and those in HUB_CA_FILE.
    maximum_answer_bytes: larger answers are refused.

    Proxies of the environment are not used. Ids are texts or UUIDs; handles and records stand for their ids.
    """

    def __init__(
        self,
        url: Optional[str] = None,
        *,
        token: Optional[str] = None,
        timeout: float = defaults.DEFAULT_TIMEOUT,
        retries: int = defaults.DEFAULT_RETRIES,
        context: Optional[ssl.SSLContext] = None,
        maximum_answer_bytes: int = defaults.DEFAULT_MAXIMUM_ANSWER_BYTES,
    ) -> None:
        self._settings = Settings(url, token, timeout, retries, context, maximum_answer_bytes)
        self._transport = AsyncioTransport(self._settings)

    async def submit(self, job: AnyJob, *, id: Any = None) -> AsyncJobHandle:
        """Submits a job: a Job, a dict, JSON text, or the pathlib.Path of a JSON file.

        The job has this id, or a new one. The same job under the same id again has no effect, so lost answers are repeated.
        """
        return await self._submit(operations.submit(operations.job_text(job), id))

    async def start(
        self,
        definition: str,
        inputs: Optional[Mapping[str, Any]] = None,
        *,
        key: Optional[str] = None,
        labels: Optional[Mapping[str, str]] = None,
        priority: Optional[int] = None,
        start_at: Any = None,
        deadline: Any = None,
        meta: Optional[Mapping[str, Any]] = None,
        id: Any = None,
    ) -> AsyncJobHandle:
        """Starts a definition: "etl", "etl@7" or "etl@prod". A second start with the same key returns the first job."""
        options = {
            "key": key, "labels": labels, "priority": priority, "start_at": start_at, "deadline": deadline, "meta": meta
        }
        return await self._submit(operations.submit(operations.start_text(definition, inputs, options), id))

    def job(self, id: Any) -> AsyncJobHandle:
        """The handle of a job. Nothing is sent."""
        return AsyncJobHandle(self, text_of(id, "job"))

    async def wait(
        self,
        job: Any,
        timeout: Optional[float] = None,
        *,
        fields: Union[str, Iterable[str], None] = None,
        data: bool = True,
        tasks: bool = True,
    ) -> JobRecord:
        """Waits until a job has ended, and returns its record. Raises Timeout after `timeout` seconds."""
        record: JobRecord = await self._run(following.wait(self._settings, job, timeout, fields, data, tasks))
        return record

    async def result(self, job: Any, timeout: Optional[float] = None) -> Any:
        """Waits until a job has ended, and returns its output. Raises JobFailed or JobCancelled if it has not succeeded."""
        return await self._run(following.result(self._settings, job, timeout))

    async def record(
        self, job: Any, *, fields: Union[str, Iterable[str], None] = None, data: bool = True, tasks: bool = True
    ) -> JobRecord:
        """The status record of a job. `data=False` omits values of users, `tasks=False` the tasks; `fields` selects keys."""
        return await self._answer(JobRecord, operations.record(job, fields, data, tasks))

    async def summary(self, job: Any) -> JobSummary:
        """The summary of a job, as in a listing."""
        return await self._answer(JobSummary, operations.summary(job), "id", "status")

    def list(
        self,
        filter: Optional[str] = None,
        *,
        status: Union[str, Iterable[str], None] = None,
        name: Optional[str] = None,
        since: Any = None,
        until: Any = None,
        sub_jobs: bool = False,
        limit: Optional[int] = None,
    ) -> AsyncIterator[JobSummary]:
        """The jobs that match, newest first, in any number: further pages are requested on demand.

        filter: such as "status:failed label.team=data started>-24h". since, until: aware datetimes, dates or texts.
        """

        def page(size: int, after: Any) -> Request:
            return operations.jobs_page(filter, status, name, since, until, sub_jobs, size, after)

        return self._pages(Pages("jobs", page, limit))

    def tasks(
        self,
        job: Any,
        *,
        of: Optional[str] = None,
        fields: Union[str, Iterable[str], None] = None,
        data: bool = True,
        limit: Optional[int] = None,
    ) -> AsyncIterator[TaskRecord]:
        """The records of the tasks of a job; with `of`, of the items of a task with for_each."""

        def page(size: int, after: Any) -> Request:
            return operations.tasks_page(job, of, fields, data, size, after)

        return self._pages(Pages("tasks", page, limit))

    async def explain(self, job: Any, task: Optional[str] = None) -> Explanation:
        """What a job and its tasks wait for, or why they ended as they did."""
        return await self._answer(Explanation, operations.explain(job, task), "text")

    async def document(self, job: Any) -> str:
        """The text of a job as it was submitted."""
        return (await self._run(ask(self._settings, operations.document(job)))).body.decode("utf-8")

    async def cancel(
        self,
        job: Any,
        *,
        now: bool = False,
        handlers: bool = False,
        by: Optional[str] = None,
        reason: Optional[str] = None,
    ) -> Cancelled:
        """Cancels a job. `now` kills running tasks without a grace period, and `handlers` stops the handlers, too."""
        return await self._answer(Cancelled, operations.cancel(job, now, handlers, by, reason), "id", "status")

    async def remove(self, job: Any) -> Id:
        """Removes a job that has ended."""
        return await self._answer(Id, operations.remove(job), "id")

    async def pause(self, job: Any, *, by: Optional[str] = None, reason: Optional[str] = None) -> Id:
        """Pauses a job: none of its tasks is handed out, and those that run go on."""
        return await self._answer(Id, operations.pause(operations.place_of_job(job), "pause", by, reason), "id")

    async def resume(self, job: Any, *, by: Optional[str] = None, reason: Optional[str] = None) -> Id:
        """Resumes a job."""
        return await self._answer(Id, operations.pause(operations.place_of_job(job), "resume", by, reason), "id")

    async def pause_pool(self, pool: str, *, by: Optional[str] = None, reason: Optional[str] = None) -> PoolName:
        """Pauses a pool: none of its tasks is handed out."""
        return await self._answer(PoolName, operations.pause(operations.place_of_pool(pool), "pause", by, reason), "pool")

    async def resume_pool(self, pool: str, *, by: Optional[str] = None, reason: Optional[str] = None) -> PoolName:
        """Resumes a pool."""
        return await self._answer(PoolName, operations.pause(operations.place_of_pool(pool), "resume", by, reason), "pool")

    async def set_priority(
        self, job: Any, priority: int, *, by: Optional[str] = None, reason: Optional[str] = None
    ) -> JobPriority:
        """Changes the priority of a job, from -1000 to 1000."""
        return await self._answer(JobPriority, operations.priority(job, priority, by, reason), "id", "priority")

    async def retry(
        self,
        job: Any,
        *,
        from_: Union[str, Sequence[str]] = "failure",
        override: Optional[Mapping[str, Any]] = None,
        cancel: bool = False,
        new_id: Any = None,
        by: Optional[str] = None,
        reason: Optional[str] = None,
    ) -> AsyncJobHandle:
        """Retries a job that has ended, as a new job. Tasks that have succeeded are kept.

        from_: "failure", "start", or the names of tasks that run again, too. override: the data of tasks by name.
        cancel: a job that has not ended is cancelled first. If it does not end within `timeout`, NotEnded is raised.
        """
        request = operations.retry(job, from_, override, cancel, new_id, by, reason)
        return self._handle(await self._run(following.retry(self._settings, request, self._settings.timeout)))

    async def signal(
        self,
        job: Any,
        name: str,
        data: Any = None,
        *,
        key: Optional[str] = None,
        broadcast: bool = False,
        by: Optional[str] = None,
    ) -> SignalReceipt:
        """Sends a signal to a job. A second signal with the same key has no effect; the default is a new key."""
        return await self._answer(SignalReceipt, operations.signal(job, name, data, key, broadcast, by), "id", "outcome")

    async def approve(self, task: Any, choice: str = "approve", *, input: Any = None, by: Optional[str] = None) -> Id:
        """Answers the question of a task. The first answer counts."""
        return await self._answer(Id, operations.approve(task, choice, input, by), "id")

    async def post_result(self, task: Any, data: Any = None, *, error: Optional[str] = None) -> Id:
        """Ends a launched or running task from outside: with data, or with the message of an error."""
        return await self._answer(Id, operations.post_result(task, data, error), "id")

    async def retry_task(self, task: Any, *, by: Optional[str] = None, reason: Optional[str] = None) -> Id:
        """Starts the next attempt of a task that waits for it, or that is held, now."""
        return await self._answer(Id, operations.repair(task, "retry", by, reason), "id")

    async def skip_task(self, task: Any, *, by: Optional[str] = None, reason: Optional[str] = None) -> Id:
        """Ends a task that waits as SKIPPED."""
        return await self._answer(Id, operations.repair(task, "skip", by, reason), "id")

    async def complete_task(self, task: Any, data: Any, *, by: Optional[str] = None, reason: Optional[str] = None) -> Id:
        """Ends a task that waits as SUCCESS with this data."""
        return await self._answer(Id, operations.repair(task, "skip", by, reason, data, has_data=True), "id")

    async def fail_task(self, task: Any, *, by: Optional[str] = None, reason: Optional[str] = None) -> Id:
        """Fails a task that waits for its next attempt or for an operator."""
        return await self._answer(Id, operations.repair(task, "fail", by, reason), "id")

    async def apply(
        self,
        job: AnyJob,
        *,
        name: Optional[str] = None,
        alias: Union[str, Iterable[str]] = (),
        by: Optional[str] = None,
        dry_run: bool = False,
    ) -> Defined:
        """Makes a version of a definition from a job, unless the newest version has the same text.

        name: by default the name of the job. alias: one or more aliases that stand for this version from now on.
        """
        return await self._answer(Defined, operations.define(job, name, alias, by, dry_run), "name", "version")

    def definitions(self, *, limit: Optional[int] = None) -> AsyncIterator[DefinitionSummary]:
        """The definitions by name."""
        return self._pages(Pages("definitions", operations.definitions_page, limit))

    async def definition(self, reference: str) -> Definition:
        """One version of a definition, with its job: "etl", "etl@7" or "etl@prod"."""
        return await self._answer(Definition, operations.definition(reference), "name", "version")

    async def set_alias(self, name: str, alias: str, version: int) -> Alias:
        """Lets an alias of a definition stand for this version."""
        return await self._answer(Alias, operations.alias(name, alias, version), "name", "alias")

    async def remove_alias(self, name: str, alias: str) -> Alias:
        """Removes an alias of a definition."""
        return await self._answer(Alias, operations.alias(name, alias, None), "name", "alias")

    async def apply_schedule(
        self,
        schedule: Union[Mapping[str, Any], str, bytes, pathlib.PurePath],
        *,
        name: Optional[str] = None,
        by: Optional[str] = None,
        dry_run: bool = False,
    ) -> ScheduleSet:
        """Creates or changes a schedule: a dict, JSON text, or the pathlib.Path of a JSON file. Its job can be a Job."""
        text = operations.schedule_text(schedule)
        return await self._answer(ScheduleSet, operations.set_schedule(text, name, by, dry_run), "name", "change")

    def schedules(self, *, limit: Optional[int] = None) -> AsyncIterator[ScheduleSummary]:
        """The schedules by name."""
        return self._pages(Pages("schedules", operations.schedules_page, limit))

    async def schedule(self, name: str) -> ScheduleRecord:
        """One schedule, with its next times and its skipped ones."""
        return await self._answer(ScheduleRecord, operations.schedule(name), "name", "upcoming")

    async def pause_schedule(self, name: str, *, by: Optional[str] = None, reason: Optional[str] = None) -> ScheduleName:
        """Pauses a schedule. Its jobs go on."""
        request = operations.pause(operations.place_of_schedule(name), "pause", by, reason)
        return await self._answer(ScheduleName, request, "name")

    async def resume_schedule(self, name: str, *, by: Optional[str] = None, reason: Optional[str] = None) -> ScheduleName:
        """Resumes a schedule. Times in between are not caught up."""
        request = operations.pause(operations.place_of_schedule(name), "resume", by, reason)
        return await self._answer(ScheduleName, request, "name")

    async def trigger_schedule(self, name: str, *, id: Any = None) -> AsyncJobHandle:
        """Starts a job of a schedule now, whatever its times, its overlap and its pause."""
        return await self._submit(operations.trigger(name, id))

    async def remove_schedule(self, name: str) -> ScheduleName:
        """Removes a schedule. Its jobs go on."""
        return await self._answer(ScheduleName, operations.remove_schedule(name), "name")

    async def workers(self) -> List[WorkerRecord]:
        """The live workers."""
        request = operations.workers()
        found: List[WorkerRecord] = list_of(
            (await self._run(ask(self._settings, request))).body, request.where(self._settings)
        )
        return found

    async def health(self) -> Health:
        """The health of the dispatcher."""
        return await self._answer(Health, operations.health(), "version")

    async def is_alive(self) -> bool:
        """Whether the dispatcher answers. Raises Unavailable if there is no connection."""
        return await self._run(following.ready(self._settings, "/live"))

    async def is_ready(self) -> bool:
        """Whether the dispatcher can work: its broker and its store are available."""
        return await self._run(following.ready(self._settings, "/ready"))

    async def openapi(self) -> Any:
        """The OpenAPI document of the HTTP API."""
        return await self._answer(dict, operations.openapi())

    def events(self, job: Any = None, *, after: Optional[int] = None) -> AsyncIterator[Event]:
        """Changes of jobs and tasks as they happen, without an end. After an interruption the stream goes on by itself.

        after: the number of an event after which the stream begins. An event "reset" means that events were missed.
        """
        watch = Watch(self._settings, job, after)
        return (event async for event in self._watch(watch) if event is not None)

    async def close(self) -> None:
        """Closes the connections that are not in use. The client can be used afterwards."""
        await self._transport.close()

    async def __aenter__(self) -> "AsyncHub":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def __repr__(self) -> str:
        return "<AsyncHub %s>" % self._settings.address.url

    def __reduce__(self) -> Any:
        raise TypeError("an AsyncHub has connections and cannot be pickled: create one in each process")

    async def _watch(self, watch: Watch) -> AsyncIterator[Optional[Event]]:
        """The events. None shows that a connection was opened."""
        while True:
            try:
                async with await self._transport.stream(watch.request(), self._settings.timeout) as stream:
                    if stream.status == 200:
                        yield None
                        async for part in stream.parts():
                            for event in watch.feed(part):
                                yield event
                        pause = watch.pause_after_end()
                    else:
                        pause = watch.pause_after_refusal(stream.status, stream.headers, await stream.read())
            except (Lost, BadAnswer) as error:
                pause = watch.pause_after(error)
            await asyncio.sleep(pause)

    async def _watch_to_end(self, job: str) -> AsyncIterator[Event]:
        """The events of a job until it has ended."""
        watch = Watch(self._settings, job, None)
        async for event in self._watch(watch):
            if event is not None:
                yield event
            # What happened before the connection, or was missed, has no event.
            if event is None or event.kind == "reset":
                if (await self.summary(job))["status"] in following.ENDED:
                    return
            elif watch.is_end(event):
                return

    async def _submit(self, request: Request) -> AsyncJobHandle:
        return self._handle(await self._answer(Submitted, request, "id"))

    def _handle(self, submitted: Mapping[str, Any]) -> AsyncJobHandle:
        return AsyncJobHandle(self, str(submitted["id"]), submitted.get("warnings", ()))

    async def _pages(self, pages: Pages) -> AsyncIterator[Any]:
        while not pages.is_over:
            for entry in pages.read(await self._answer(dict, pages.request(), pages.key)):
                yield entry

    async def _answer(self, _: Type[_T], request: Request, *keys: str) -> _T:
        """The object of the answer, which has this type."""
        answer: _T = await self._run(following.answer(self._settings, request, *keys))
        return answer

    async def _run(self, steps: Steps[_T]) -> _T:
        return await run_async(steps, self._transport)
