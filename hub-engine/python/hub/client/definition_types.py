"""The types of definitions and of explanations, as in the OpenAPI document of Hub."""

from typing import Any, Dict, List, Literal, Optional, TypedDict

from hub.client.types import JobStatus, TaskStatus


class _Version(TypedDict):
    version: int
    created_at: str


class Version(_Version, total=False):
    """One version of a definition."""

    by: str
    aliases: List[str]


class _Definition(TypedDict):
    name: str
    version: int
    created_at: str
    versions: List[Version]
    job: Dict[str, Any]


class Definition(_Definition, total=False):
    """One version of a definition, with its job."""

    by: str
    aliases: List[str]


class _DefinitionSummary(TypedDict):
    name: str
    version: int
    created_at: str


class DefinitionSummary(_DefinitionSummary, total=False):
    """A definition in a listing: its newest version, and the versions of its aliases."""

    by: str
    aliases: Dict[str, int]


class _Defined(TypedDict):
    name: str
    version: int
    created: bool


class Defined(_Defined, total=False):
    """The answer to apply. moved_aliases has the version that each alias stood for before, or None."""

    moved_aliases: Dict[str, Optional[int]]
    warnings: List[str]


class _Alias(TypedDict):
    name: str
    alias: str


class Alias(_Alias, total=False):
    """An alias of a definition. It has no version if it was removed."""

    version: int


Gate = Literal[
    "trigger_rule", "start", "when", "delay", "for_each", "wait", "sub_job", "retry", "cache", "pool", "broker"
]
ReasonKind = Literal[
    "upstream", "handler", "job_start", "job_paused", "stopping", "cancelling", "time", "signal", "approval", "launched",
    "sub_job", "delay", "retry", "held", "parallel", "items", "equal_task", "pool_paused", "no_worker", "no_module",
    "kind_not_allowed", "no_room", "message_removed", "on_broker", "running", "in_progress", "ended",
]


class TaskNow(TypedDict):
    """A task and its status."""

    name: str
    status: TaskStatus


class Tasks(TypedDict):
    """The first tasks of a list, and the number of the others."""

    first: List[TaskNow]
    more: int


class Texts(TypedDict):
    """The first texts of a list, and the number of the others."""

    first: List[str]
    more: int


class _NewestFailure(TypedDict):
    msg: str


class NewestFailure(_NewestFailure, total=False):
    """The newest failure of a task."""

    kind: str
    type: str


class _Root(TypedDict):
    task: str
    status: TaskStatus


class Root(_Root, total=False):
    """The task because of which another one did not run."""

    msg: str


class _Reason(TypedDict):
    kind: ReasonKind


class Reason(_Reason, total=False):
    """A reason as data. Which keys it has depends on its kind."""

    rule: str
    open: Tasks
    counts: Dict[str, Any]
    job: str
    name: str
    question: str
    choices: Texts
    error: NewestFailure
    allow: str
    modules: Texts
    root: Root
    through: Texts
    confirmed: bool
    now: bool
    handlers: bool
    by: str
    reason: str
    msg: str
    task: str
    pool: str
    module: str
    nearest: str
    worker: str
    list: str
    at: str
    until: str
    ended: int
    count: int
    came: int
    failures: int
    parallel: int
    active: int
    waiting: int
    total: int
    success: int
    failed: int
    skipped: int
    cancelled: int
    data_bytes: int
    on_broker: int
    workers: int
    slots: int


class GateState(TypedDict):
    """A gate of a task."""

    gate: Gate
    state: Literal["absent", "passed", "holds", "not_reached"]


class _Limit(TypedDict):
    timeout: str
    ms: int


class Limit(_Limit, total=False):
    """A time limit that has not passed."""

    until: str


class _TaskGroup(TypedDict):
    count: int
    names: List[str]
    status: TaskStatus
    text: str
    gate: Optional[str]
    reason: Reason


class TaskGroup(_TaskGroup, total=False):
    """Tasks that wait for the same."""

    since: str
    gates: List[GateState]
    limits: List[Limit]
    commands: List[str]


class _Explanation(TypedDict):
    id: str
    name: str
    status: JobStatus
    text: str
    reasons: List[Reason]
    counts: Dict[str, int]
    tasks: List[TaskGroup]
    more: int


class Explanation(_Explanation, total=False):
    """What a job and its tasks wait for, or why they ended as they did."""

    commands: List[str]
