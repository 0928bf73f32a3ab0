"""The handle of a job."""

from typing import Any, Iterable, Iterator, Mapping, Optional, Sequence, TYPE_CHECKING, Tuple, Union

from hub.client.definition_types import Explanation
from hub.client.events import Event
from hub.client.types import Cancelled, Id, JobPriority, JobRecord, JobSummary, SignalReceipt, TaskRecord

if TYPE_CHECKING:
    from hub.client.hub import Hub

__all__ = ["JobHandle"]


class JobHandle:
    """A job of a Hub. The methods are those of Hub, for this job.

    id: the id of the job.
    warnings: the reasons why tasks will wait, such as a task module that no worker has.
    """

    def __init__(self, hub: "Hub", id: str, warnings: Sequence[str] = ()) -> None:
        self.hub = hub
        self.id = id
        self.warnings: Tuple[str, ...] = tuple(warnings)

    def wait(
        self,
        timeout: Optional[float] = None,
        *,
        fields: Union[str, Iterable[str], None] = None,
        data: bool = True,
        tasks: bool = True,
    ) -> JobRecord:
        """Waits until the job has ended, and returns its record. Raises Timeout after `timeout` seconds."""
        return self.hub.wait(self.id, timeout, fields=fields, data=data, tasks=tasks)

    def result(self, timeout: Optional[float] = None) -> Any:
        """Waits until the job has ended, and returns its output. Raises JobFailed or JobCancelled."""
        return self.hub.result(self.id, timeout)

    def record(
        self, *, fields: Union[str, Iterable[str], None] = None, data: bool = True, tasks: bool = True
    ) -> JobRecord:
        """The status record."""
        return self.hub.record(self.id, fields=fields, data=data, tasks=tasks)

    def summary(self) -> JobSummary:
        """The summary, as in a listing."""
        return self.hub.summary(self.id)

    @property
    def status(self) -> str:
        """The present status. Each access sends a request."""
        return self.hub.summary(self.id)["status"]

    def tasks(
        self,
        *,
        of: Optional[str] = None,
        fields: Union[str, Iterable[str], None] = None,
        data: bool = True,
        limit: Optional[int] = None,
    ) -> Iterator[TaskRecord]:
        """The records of the tasks; with `of`, of the items of a task."""
        return self.hub.tasks(self.id, of=of, fields=fields, data=data, limit=limit)

    def explain(self, task: Optional[str] = None) -> Explanation:
        """What the job and its tasks wait for."""
        return self.hub.explain(self.id, task)

    def document(self) -> str:
        """The text as it was submitted."""
        return self.hub.document(self.id)

    def events(self) -> Iterator[Event]:
        """Changes of the job and its tasks from now on, until the job has ended."""
        return self.hub._watch_to_end(self.id)

    def cancel(
        self, *, now: bool = False, handlers: bool = False, by: Optional[str] = None, reason: Optional[str] = None
    ) -> Cancelled:
        """Cancels the job."""
        return self.hub.cancel(self.id, now=now, handlers=handlers, by=by, reason=reason)

    def remove(self) -> Id:
        """Removes the job, which has ended."""
        return self.hub.remove(self.id)

    def pause(self, *, by: Optional[str] = None, reason: Optional[str] = None) -> Id:
        """Pauses the job."""
        return self.hub.pause(self.id, by=by, reason=reason)

    def resume(self, *, by: Optional[str] = None, reason: Optional[str] = None) -> Id:
        """Resumes the job."""
        return self.hub.resume(self.id, by=by, reason=reason)

    def set_priority(self, priority: int, *, by: Optional[str] = None, reason: Optional[str] = None) -> JobPriority:
        """Changes the priority."""
        return self.hub.set_priority(self.id, priority, by=by, reason=reason)

    def retry(
        self,
        *,
        from_: Union[str, Sequence[str]] = "failure",
        override: Optional[Mapping[str, Any]] = None,
        cancel: bool = False,
        new_id: Any = None,
        by: Optional[str] = None,
        reason: Optional[str] = None,
    ) -> "JobHandle":
        """Retries the job, which has ended, as a new job."""
        return self.hub.retry(
            self.id, from_=from_, override=override, cancel=cancel, new_id=new_id, by=by, reason=reason
        )

    def signal(
        self, name: str, data: Any = None, *, key: Optional[str] = None, broadcast: bool = False, by: Optional[str] = None
    ) -> SignalReceipt:
        """Sends a signal to the job."""
        return self.hub.signal(self.id, name, data, key=key, broadcast=broadcast, by=by)

    def task(self, name: str) -> TaskRecord:
        """The record of a task. Raises KeyError if the job has no such task. It reads the list of the tasks."""
        for task in self.hub.tasks(self.id):
            if task["name"] == name:
                return task
        raise KeyError("the job %s has no task %r" % (self.id, name))

    def __repr__(self) -> str:
        return "<job %s at %s>" % (self.id, self.hub._settings.address.url)
