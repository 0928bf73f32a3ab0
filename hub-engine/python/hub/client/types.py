"""The types of answers. They are those of the OpenAPI document of Hub, which a test compares with them.

Records are plain dicts. Keys that are absent from the document's `required` can be absent. With `fields`, `data=False` or
`tasks=False`, a record has only the selected keys.
"""

from typing import Any, Dict, List, Literal, Optional, TypedDict, Union

JobStatus = Literal["PENDING", "RUNNING", "PAUSED", "CANCELLING", "SUCCESS", "FAILED", "CANCELLED"]
TaskStatus = Literal["PENDING", "SUBMITTED", "RUNNING", "SUCCESS", "FAILED", "CANCELLED", "UPSTREAM_FAILED", "SKIPPED"]
Handlers = Literal["on_failure", "finally"]


class Id(TypedDict):
    """The id of a job or a task."""

    id: str


class PoolName(TypedDict):
    """The name of a pool."""

    pool: str


class _Cause(TypedDict):
    kind: str
    msg: str


class Cause(_Cause, total=False):
    """The failure of the attempt before a timeout."""

    type: str


class _TaskError(TypedDict):
    kind: str


class TaskError(_TaskError, total=False):
    """Why a task or an attempt failed."""

    type: str
    bases: List[str]
    retry: Any
    traceback: str
    which: Literal["start_to_close", "schedule_to_start", "schedule_to_close", "heartbeat"]
    cause: Cause


class _ItemCounts(TypedDict):
    total: int
    success: int
    failed: int
    skipped: int
    cancelled: int


class ItemCounts(_ItemCounts, total=False):
    """How many items a task with for_each has, and how they have ended."""

    data_bytes: int


class _Attempt(TypedDict):
    number: int
    ended_at: str
    msg: str


class Attempt(_Attempt, total=False):
    """A failed attempt."""

    started_at: str
    worker: str
    error: TaskError
    log: str


class _RepairRecord(TypedDict):
    action: Literal["retry", "skip", "fail"]
    at: str


class RepairRecord(_RepairRecord, total=False):
    """What an operator has done."""

    by: str
    reason: str


class _ReceivedSignal(TypedDict):
    name: str
    at: str


class ReceivedSignal(_ReceivedSignal, total=False):
    """A signal that has arrived."""

    by: str
    data: Any


class ApprovalAnswer(TypedDict):
    """The answer to the question of an approval."""

    choice: str
    by: Optional[str]
    at: str
    input: Any


class CachedFrom(TypedDict):
    """The task whose kept result another one has taken."""

    job: str
    task: str


class ModuleDefaults(TypedDict, total=False):
    """The defaults of a task module."""

    retry: Union[int, Dict[str, Any]]
    timeout: Union[str, float, Dict[str, Any]]


class _TaskRecord(TypedDict):
    id: str
    parent_id: str
    name: str
    task_name: str
    status: TaskStatus
    args: List[Any]


class TaskRecord(_TaskRecord, total=False):
    """The record of a task."""

    handler: Handlers
    kwargs: Dict[str, Any]
    depends: List[str]
    data: Any
    recovered: Literal[True]
    msg: str
    error: TaskError
    log: str
    waiting_reason: str
    attempt: int
    issue: int
    attempts: List[Attempt]
    repairs: List[RepairRecord]
    retry_at: str
    held_until: str
    delayed_until: str
    progress: Any
    waits_until: str
    signals: List[ReceivedSignal]
    answer: ApprovalAnswer
    worker: str
    submitted_at: str
    started_at: str
    ended_at: str
    pool: str
    priority: int
    items: ItemCounts
    meta: Dict[str, Any]
    trigger_rule: Any
    when: Any
    delay: Any
    retry: Any
    timeout: Any
    for_each: Any
    recover: Any
    wait: Any
    command: List[Any]
    shell: str
    http: Dict[str, Any]
    env: Dict[str, Any]
    cwd: str
    output: str
    kept_from: str
    defaults: ModuleDefaults
    overridden: Literal[True]
    job: Union[Dict[str, Any], str]
    inputs: Dict[str, Any]
    detached: Literal[True]
    child: str
    cache: Any
    cached_from: CachedFrom
    not_cached: str


class _CancelRecord(TypedDict):
    at: str


class CancelRecord(_CancelRecord, total=False):
    """The cancellation of a job."""

    now: bool
    handlers: bool
    by: str
    reason: str


class _PauseRecord(TypedDict):
    at: str


class PauseRecord(_PauseRecord, total=False):
    """Why a job is paused."""

    by: str
    reason: str


class _PriorityChange(TypedDict):
    priority: int
    at: str


class PriorityChange(_PriorityChange, total=False):
    """The newest change of a priority."""

    by: str
    reason: str


_Origin = TypedDict("_Origin", {"job": str, "root": str, "try": int})


class Origin(_Origin, total=False):
    """The job that a job is a retry of. The number of the try is the key "try"."""

    by: str
    reason: str


class _Parent(TypedDict):
    job: str
    task: str
    root: str
    priority: int


class Parent(_Parent, total=False):
    """The task that runs a sub-job."""

    detached: Literal[True]


class _ScheduledBy(TypedDict):
    name: str
    uid: str
    scheduled_at: str


class ScheduledBy(_ScheduledBy, total=False):
    """The schedule that started a job, and the time that it was started for."""

    triggered: bool


class _JobRecord(TypedDict):
    id: str
    name: str
    task_name: Literal[""]
    status: JobStatus
    tasks: List[TaskRecord]
    output: Any
    submitted_at: str


class JobRecord(_JobRecord, total=False):
    """The record of a job. It also has the keys of the job that begin with "x-"."""

    msg: str
    started_at: str
    ended_at: str
    cancel: CancelRecord
    phase: Handlers
    verdict: Any
    handler_deadline: Any
    pauses: Dict[str, PauseRecord]
    start_at: Any
    starts_at: str
    deadline: Any
    deadline_at: str
    key: str
    priority: int
    priority_change: PriorityChange
    retry: Any
    timeout: Any
    signals: List[ReceivedSignal]
    meta: Dict[str, Any]
    origin: Origin
    parent: Parent
    inputs: Dict[str, Any]
    labels: Dict[str, str]
    definition: str
    schedule: ScheduledBy


class _Submitted(TypedDict):
    id: str


class Submitted(_Submitted, total=False):
    """The answer to a submission."""

    record: JobRecord
    warnings: List[str]


class _FirstFailure(TypedDict):
    task: str
    msg: str


class FirstFailure(_FirstFailure, total=False):
    """The first task that failed."""

    kind: str
    type: str


class _JobSummary(TypedDict):
    id: str
    name: str
    status: JobStatus
    tasks: int
    tasks_ended: int
    submitted_at: str
    ended_at: Optional[str]


class JobSummary(_JobSummary, total=False):
    """A job in a listing."""

    msg: str
    first_failure: FirstFailure


class Cancelled(TypedDict):
    """The answer to a cancel."""

    id: str
    status: JobStatus


class JobPriority(TypedDict):
    """The answer to a change of the priority."""

    id: str
    priority: int


class SignalReceipt(TypedDict):
    """What has become of a signal."""

    id: str
    outcome: Literal["delivered", "kept", "repeated", "dropped"]


class _WorkerRecord(TypedDict):
    id: str
    host: str
    pid: int
    pools: List[str]
    slots: int
    running: int
    tasks: List[str]
    broken: Dict[str, str]
    allow: List[Literal["modules", "command", "http"]]
    last_seen: str


class WorkerRecord(_WorkerRecord, total=False):
    """A live worker."""

    shortage: str


class _PausedPool(TypedDict):
    name: str
    at: str


class PausedPool(_PausedPool, total=False):
    """A pool that is paused."""

    by: str
    reason: str


class _Health(TypedDict):
    broker: Literal["up", "blocked", "down"]
    store: Literal["up", "failing"]
    version: str
    incarnation: int
    live_jobs: int
    live_bytes: int
    workers: int
    tasks_in_flight: int
    tasks_ready: int


class Health(_Health, total=False):
    """The health of a dispatcher."""

    paused_pools: List[PausedPool]
