"""A client of the HTTP API of Hub: submits jobs, waits for them, and controls them. It needs only the standard library.

    from hub.client import Hub, Job

    job = Job("etl")
    a = job.task("add", 1, 2)
    b = job.task("multiply", a.data, 2)
    job.output = b.data

    print(Hub("http://127.0.0.1:8420").submit(job).result(timeout=60))
"""

from hub.client.async_handle import AsyncJobHandle
from hub.client.async_hub import AsyncHub
from hub.client.errors import (
    Conflict, HubError, InvalidJob, JobCancelled, JobFailed, NotEnded, NotFound, Problem, Refused, ServerError, Timeout,
    Unauthorized, Unavailable,
)
from hub.client.events import Event
from hub.client.handle import JobHandle
from hub.client.hub import Hub
from hub.client.job import Job, Task
from hub.client.options import Each
from hub.client.references import Condition, Reference, failure, first, index, item, job_id, job_name, scheduled_at, secret
from hub.client.times import parse_time

__all__ = [
    "AsyncHub", "AsyncJobHandle", "Condition", "Conflict", "Each", "Event", "Hub", "HubError", "InvalidJob", "Job",
    "JobCancelled", "JobFailed", "JobHandle", "NotEnded", "NotFound", "Problem", "Reference", "Refused", "ServerError", "Task",
    "Timeout", "Unauthorized", "Unavailable", "failure", "first", "index", "item", "job_id", "job_name", "parse_time",
    "scheduled_at", "secret",
]
