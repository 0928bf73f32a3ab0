"""What both sides share: the clock, and the worker as a process of its own."""

import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

# The processes that run tasks: as many as Hub's worker has slots.
PROCESSES = 2
# Messages that a worker has before it needs them. Both say in their documentation that short tasks want more than
# the few that are their default.
PREFETCH = 64


def arguments():
    """Broker, and how many tasks, jobs and single tasks to wait for."""
    broker, *counts = sys.argv[1:5]
    return (broker, *map(int, counts))


def report(tasks, jobs, waits, submit_tasks, submit_jobs, submit_one):
    """Measures and prints. Each function returns when everything it has submitted has ended."""
    submit_tasks(50)
    submit_jobs(5)
    result = {
        "tasks_per_second": tasks / timed(lambda: submit_tasks(tasks)),
        "jobs_per_second": jobs / timed(lambda: submit_jobs(jobs)),
        "task_seconds": statistics.median(timed(submit_one) for _ in range(waits)),
    }
    print(json.dumps(result))


def timed(act):
    begun = time.perf_counter()
    act()
    return time.perf_counter() - begun


@contextlib.contextmanager
def worker(command, broker):
    """Runs a worker meanwhile. It is the one started here that ends with it."""
    environment = {**os.environ, "COMPARE_BROKER": broker}
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            yield process
        except BaseException:
            log.seek(0)
            sys.stderr.write(log.read().decode(errors="replace"))
            raise
        finally:
            process.terminate()
            process.wait(timeout=60)
