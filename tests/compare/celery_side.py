"""Measures Celery."""

import os
import sys

from measure import PROCESSES, arguments, report, worker

broker, tasks, jobs, waits = arguments()
os.environ["COMPARE_BROKER"] = broker

from celery import chain  # noqa: E402 (the tasks read the broker's address when they are imported)
from celery.result import ResultSet  # noqa: E402

from celery_tasks import add, multiply  # noqa: E402

TIMEOUT = 1800


def wait_for(results, expected):
    values = ResultSet(results).get(timeout=TIMEOUT)
    assert values == expected, f"Celery has computed something else: {values[:10]}"


def submit_tasks(count):
    wait_for([add.delay(at, 1) for at in range(count)], [at + 1 for at in range(count)])


def submit_jobs(count):
    wait_for([chain(add.s(1, 2), multiply.s(2)).apply_async() for _ in range(count)], [6] * count)


def submit_one():
    wait_for([add.delay(1, 2)], [3])


# Its remote control and events are of no use here, and would cost something.
command = [sys.executable, "-m", "celery", "-A", "celery_tasks", "worker", "--concurrency", str(PROCESSES)]
command += ["--without-gossip", "--without-mingle", "--loglevel", "WARNING"]
with worker(command, broker):
    report(tasks, jobs, waits, submit_tasks, submit_jobs, submit_one)
