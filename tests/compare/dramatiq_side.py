"""Measures Dramatiq."""

import collections
import os
import pathlib
import socket
import sys
import tempfile

from measure import PREFETCH, PROCESSES, arguments, report, worker

broker, tasks, jobs, waits = arguments()
directory = tempfile.TemporaryDirectory()
address = str(pathlib.Path(directory.name) / "ended")
os.environ.update(COMPARE_BROKER=broker, dramatiq_queue_prefetch=str(PREFETCH // PROCESSES))

from dramatiq import pipeline  # noqa: E402 (the tasks read the broker's address when they are imported)

from dramatiq_tasks import add, multiply  # noqa: E402

TIMEOUT = 1800

ended = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
ended.settimeout(TIMEOUT)
ended.bind(address)


def wait_for(expected):
    """Waits for as many ends as there are results expected, in whatever order."""
    counts = collections.Counter(map(str, expected))
    for _ in range(counts.total()):
        text = ended.recv(1000).decode()
        assert counts[text] > 0, f"Dramatiq has computed something else: {text}"
        counts[text] -= 1


def submit_tasks(count):
    for at in range(count):
        add.send(at, 1)
    wait_for(at + 1 for at in range(count))


def submit_jobs(count):
    for _ in range(count):
        pipeline([add.message(1, 2), multiply.message(2)]).run()
    wait_for(6 for _ in range(count))


def submit_one():
    add.send(1, 2)
    wait_for([3])


os.environ["COMPARE_TELL"] = address
command = [sys.executable, "-m", "dramatiq", "dramatiq_tasks", "--processes", str(PROCESSES), "--threads", "1"]
with worker(command, broker):
    report(tasks, jobs, waits, submit_tasks, submit_jobs, submit_one)
