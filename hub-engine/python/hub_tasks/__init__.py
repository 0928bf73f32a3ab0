"""The task modules as a package: tasks, and processes that tasks start, import them as ``hub_tasks.NAME``."""

from hub.importing import prepare

__path__ = prepare(__file__)
