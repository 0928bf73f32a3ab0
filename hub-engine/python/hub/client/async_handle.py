"""The handle of a job, for asyncio."""

from typing import Any, AsyncIterator, Iterable, Mapping, Optional, Sequence, TYPE_CHECKING, Tuple, Union

from hub.client.definition_types import Explanation
from hub.client.events import Event
from hub.client.types import Cancelled, Id, JobPriority, JobRecord, JobSummary, SignalReceipt, TaskRecord

if TYPE_CHECKING:
    from hub.client.async_hub import AsyncHub

__all__ = ["AsyncJobHandle"]


class AsyncJobHandle:
    """A job of a Hub. The methods are those of AsyncHub, for this job.

    id: the id of the job.
    warnings: the reasons why tasks will wait, such as a task module that no worker has.
    """

    def __init__(self, hub: "AsyncHub", id: str, warnings: Sequence[str] = ()) -> None:
        self.hub = hub
        self.id = id
        self.warnings: Tuple[str, ...] = tuple(warnings)

    async def wait(
        self,
        timeout: Optional[float] = None,
        *,
        fields: Union[str, Iterable[str], None] = None,
        data: bool = True,
        tasks: bool = True,
    ) -> JobRecord:
        """Waits until the job has ended, and returns its record. Raises Timeout after `timeout` seconds."""
        return await self.hub.wait(self.id, timeout, fields=fields, data=data, tasks=tasks)

    async def result(self, timeout: Optional[float] = None) -> Any:
        """Waits until the job has ended, and returns its output. Raises JobFailed or JobCancelled."""
        return await self.hub.result(self.id, timeout)

    async def record(
        self, *, fields: Union[str, Iterable[str], None] = None, data: bool = True, tasks: bool = True
    ) -> JobRecord:
        """The status record."""
        return await self.hub.record(self.id, fields=fields, data=data, tasks=tasks)

    async def summary(self) -> JobSummary:
        """The summary, as in a listing."""
        return await self.hub.summary(self.id)

    async def status(self) -> str:
        """The present status."""
        return (await self.hub.summary(self.id))["status"]

    def tasks(
        self,
        *,
        of: Optional[str] = None,
        fields: Union[str, Iterable[str], None] = None,
        data: bool = True,
        limit: Optional[int] = None,
    ) -> AsyncIterator[TaskRecord]:
        """The records of the tasks; with `of`, of the items of a task."""
        return self.hub.tasks(self.id, of=of, fields=fields, data=data, limit=limit)

    async def explain(self, task: Optional[str] = None) -> Explanation:
        """What the job and its tasks wait for."""
        return await self.hub.explain(self.id, task)

    async def document(self) -> str:
        """The text as it was submitted."""
        return await self.hub.document(self.id)

    def events(self) -> AsyncIterator[Event]:
        """Changes of the job and its tasks from now on, until the job has ended."""
        return self.hub._watch_to_end(self.id)

    async def cancel(
        self, *, now: bool = False, handlers: bool = False, by: Optional[str] = None, reason: Optional[str] = None
    ) -> Cancelled:
        """Cancels the job."""
        return await self.hub.cancel(self.id, now=now, handlers=handlers, by=by, reason=reason)

    async def remove(self) -> Id:
        """Removes the job, which has ended."""
        return await self.hub.remove(self.id)

    async def pause(self, *, by: Optional[str] = None, reason: Optional[str] = None) -> Id:
        """Pauses the job."""
        return await self.hub.pause(self.id, by=by, reason=reason)

    async def resume(self, *, by: Optional[str] = None, reason: Optional[str] = None) -> Id:
        """Resumes the job."""
        return await self.hub.resume(self.id, by=by, reason=reason)

    async def set_priority(self, priority: int, *, by: Optional[str] = None, reason: Optional[str] = None) -> JobPriority:
        """Changes the priority."""
        return await self.hub.set_priority(self.id, priority, by=by, reason=reason)

    async def retry(
        self,
        *,
        from_: Union[str, Sequence[str]] = "failure",
        override: Optional[Mapping[str, Any]] = None,
        cancel: bool = False,
        new_id: Any = None,
        by: Optional[str] = None,
        reason: Optional[str] = None,
    ) -> "AsyncJobHandle":
        """Retries the job, which has ended, as a new job."""
        return await self.hub.retry(
            self.id, from_=from_, override=override, cancel=cancel, new_id=new_id, by=by, reason=reason
        )

    async def signal(
        self, name: str, data: Any = None, *, key: Optional[str] = None, broadcast: bool = False, by: Optional[str] = None
    ) -> SignalReceipt:
        """Sends a signal to the job."""
        return await self.hub.signal(self.id, name, data, key=key, broadcast=broadcast, by=by)

    async def task(self, name: str) -> TaskRecord:
        """The record of a task. Raises KeyError if the job has no such task. It reads the list of the tasks."""
        async for task in self.hub.tasks(self.id):
            if task["name"] == name:
                return task
        raise KeyError("the job %s has no task %r" % (self.id, name))

    def __repr__(self) -> str:
        return "<job %s at %s>" % (self.id, self.hub._settings.address.url)
