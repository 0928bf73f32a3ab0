"""The types of schedules, as in the OpenAPI document of Hub."""

from typing import Any, Dict, List, Literal, TypedDict

from hub.client.types import PauseRecord


class LastJob(TypedDict):
    """The job that a schedule started last, and its time."""

    at: str
    job: str


class _ScheduleSummary(TypedDict):
    name: str
    running: int
    waiting: int
    started: int
    skipped: int
    failures: int


class ScheduleSummary(_ScheduleSummary, total=False):
    """A schedule in a listing."""

    definition: str
    next_at: str
    paused: PauseRecord
    last: LastJob


class Upcoming(TypedDict):
    """A time of a schedule, in UTC and in its own time zone."""

    at: str
    local: str


class _Skip(TypedDict):
    at: str
    reason: Literal["OVERLAP", "SUPERSEDED", "BUFFER_FULL", "MISSED", "WITHDRAWN", "REFUSED", "EXISTS"]


class Skip(_Skip, total=False):
    """A time of a schedule that was skipped."""

    msg: str


class _ScheduleRecord(_ScheduleSummary):
    created_at: str
    changed_at: str
    upcoming: List[Upcoming]
    jobs: List[str]
    skips: List[Skip]
    schedule: Dict[str, Any]


class ScheduleRecord(_ScheduleRecord, total=False):
    """A schedule with everything about it."""

    definition: str
    next_at: str
    paused: PauseRecord
    last: LastJob
    by: str


class _ScheduleSet(TypedDict):
    name: str
    change: Literal["created", "changed", "unchanged"]
    upcoming: List[Upcoming]


class ScheduleSet(_ScheduleSet, total=False):
    """The answer to apply_schedule."""

    warnings: List[str]


class ScheduleName(TypedDict):
    """The name of a schedule."""

    name: str
