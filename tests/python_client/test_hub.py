"""The client with a real Hub: HUB_TEST_URL is its address, and its task modules are those of etc/tasks."""

import asyncio
import datetime
import json
import os
import pathlib
import threading
import unittest
import uuid

from hub.client import (
    AsyncHub, Conflict, Each, Hub, Job, JobCancelled, JobFailed, NotFound, Refused, Timeout, failure, item, parse_time
)

URL = os.environ.get("HUB_TEST_URL")
ROOT = pathlib.Path(__file__).resolve().parents[2]
# Time limit of a wait in seconds.
LIMIT = 60


def sum_product():
    job = Job("sum_product")
    a = job.task("add", 1, 2)
    job.output = [job.task("multiply", a.data, 2).data]
    return job


def waiting(**options):
    """A job that waits for a signal, and then for an approval."""
    job = Job("waiting", **options)
    go = job.wait(signal="go")
    ask = job.wait(approval="Go on?", name="ask", depends=go)
    job.output = {"go": go.data, "choice": ask.data["choice"], "input": ask.data["input"]}
    return job


@unittest.skipUnless(URL, "HUB_TEST_URL is not set")
class HubTest(unittest.TestCase):
    def setUp(self):
        self.hub = Hub(URL)
        self.addCleanup(self.hub.close)
        # A name that no other test has.
        self.own = "t" + uuid.uuid4().hex

    def running(self, job):
        """Submits a job, and waits until its first task runs or waits."""
        handle = self.hub.submit(job)
        for _ in self.hub.events(handle.id, after=0):
            if handle.task("go")["status"] == "RUNNING":
                return handle

    def test_results(self):
        job = self.hub.submit(sum_product())
        self.assertEqual(job.result(LIMIT), [6])
        record = job.wait()
        self.assertEqual([task["data"] for task in record["tasks"]], [3, 6])
        self.assertLessEqual(parse_time(record["submitted_at"]), parse_time(record["ended_at"]))
        self.assertEqual((job.status, job.warnings), ("SUCCESS", ()))
        self.assertEqual(json.loads(job.document()), sum_product().document())
        self.assertEqual(set(job.record(fields=["status", "output"])), {"status", "output"})
        self.assertNotIn("output", job.record(data=False, tasks=False))
        self.assertEqual(job.explain()["counts"]["SUCCESS"], 2)
        self.assertEqual([task["name"] for task in job.tasks(fields="name")], ["add", "multiply"])

    def test_files_and_texts(self):
        path = ROOT / "etc/jobs/sum_product.json"
        for given in [path, path.read_text(), path.read_bytes(), json.loads(path.read_text())]:
            self.assertEqual(self.hub.submit(given).result(LIMIT), [6])

    def test_the_same_id_and_the_same_key_are_the_same_job(self):
        id = uuid.uuid4()
        self.assertEqual([self.hub.submit(sum_product(), id=id).id for _ in range(2)], [str(id)] * 2)
        with self.assertRaises(Conflict):
            self.hub.submit(waiting(), id=id)
        job = sum_product().document()
        job["key"] = self.own
        one, other = self.hub.submit(job), self.hub.submit(job)
        self.assertEqual(one.id, other.id)
        self.assertEqual([found["id"] for found in self.hub.list("key:" + self.own)], [one.id])
        with self.assertRaises(Conflict):
            self.hub.submit({**job, "priority": 1})

    def test_values_arrive_as_they_are(self):
        values = ["_x", "__y", "_square.data", "größe \U0001f600 \u0000", 2**70, 1.5, None, True, {"_k": ["_v"]}, [[]]]
        job = Job("values")
        job.output = {"values": values, "nothing": None}
        job.task("square", 2)
        self.assertEqual(self.hub.submit(job).result(LIMIT), {"values": values, "nothing": None})

    def test_what_the_builder_writes_is_valid(self):
        day = Job("day")
        day.output = day.task("multiply", day.input.day, day.input.factor).data
        job = Job("all", labels={"team": "data"}, timeout=datetime.timedelta(minutes=5), deadline="1h")
        numbers = job.task("numbers", 3, name="zahlen ä", retry={"maximum_attempts": 2, "retry_on": [OSError]})
        squares = job.task("square", item, for_each=Each(numbers.data, parallel=2, when=item > 0))
        loaded = job.sub_job(day, inputs={"day": item, "factor": 10}, for_each=numbers.data, name="load")
        skipped = job.task("add", 1, 2, when=(squares.data[0] == 1) & squares.data.is_empty())
        failed = job.task("flaky", 1, recover={"fallback": {"why": failure["type"]}}, cache=datetime.timedelta(hours=1))
        echo = job.command("echo", "_x", numbers.data[0], env={"X": "_y"})
        shell = job.shell("printf '[1, %s]' $N", env={"N": numbers.data[0]}, output="json", delay=0.01)
        job.wait(until="1ms", depends=shell)
        job.task("add", failure["count"], 1, name="end", handler="finally")
        job.output = [squares.data, loaded.data, skipped.status, failed.data["why"], echo.data, shell.data]
        expected = [[1, 4, 9], [10, 20, 30], "SKIPPED", "ConnectionError", "_x 1", [1, 1]]
        handle = self.hub.submit(job)
        self.assertEqual(handle.result(LIMIT), expected)
        self.assertEqual([task["data"] for task in handle.tasks(of="square")], [1, 4, 9])

    def test_a_refused_job_has_problems(self):
        with self.assertRaises(Refused) as caught:
            self.hub.submit('{"name": "j",\n "tasks": [{"name": "a", "args": ["_b.data"], "depnds": []}]}')
        problems = caught.exception.problems
        self.assertEqual((caught.exception.status, caught.exception.kind, len(problems)), (422, "invalid_job", 2))
        self.assertEqual({problem.line for problem in problems}, {2})
        self.assertTrue(any(problem.suggestion and "depends" in problem.suggestion for problem in problems))

    def test_failures(self):
        job = Job("failing")
        job.task("add", 1, "two")
        job.task("square", 2)
        with self.assertRaises(JobFailed) as caught:
            self.hub.submit(job).result(LIMIT)
        self.assertEqual([task["name"] for task in caught.exception.failed_tasks], ["add"])
        self.assertIn("TypeError", caught.exception.failed_tasks[0]["error"]["type"])
        self.assertIn("\n  add: ", str(caught.exception))
        (found,) = self.hub.list("status:failed name:failing", limit=1)
        self.assertEqual(found["first_failure"]["task"], "add")
        fixed = self.hub.retry(caught.exception.record["id"], override={"add": 3}, reason="a test")
        record = fixed.wait(LIMIT)
        self.assertEqual((record["status"], record["origin"]["try"], record["origin"]["reason"]), ("SUCCESS", 2, "a test"))

    def test_unknown_things(self):
        unknown = uuid.uuid4()
        for call in [
            lambda: self.hub.record(unknown), lambda: self.hub.wait(unknown, 1), lambda: self.hub.cancel(unknown),
            lambda: self.hub.explain(unknown), lambda: self.hub.definition(self.own), lambda: self.hub.post_result(unknown),
        ]:
            with self.assertRaises(NotFound):
                call()
        with self.assertRaisesRegex(Refused, "the filter is wrong"):
            list(self.hub.list("status:faild"))

    def test_signals_and_approvals(self):
        job = self.running(waiting())
        with self.assertRaisesRegex(Timeout, "RUNNING"):
            job.wait(timeout=0.01)
        self.assertEqual(job.signal("go", {"n": 1}, key="k")["outcome"], "delivered")
        self.assertEqual(job.signal("go", {"n": 1}, key="k")["outcome"], "repeated")
        ask = job.task("ask")
        self.hub.approve(ask, input=[1], by="kim")
        self.assertEqual(job.result(LIMIT), {"go": {"n": 1}, "choice": "approve", "input": [1]})
        with self.assertRaises(Conflict):
            self.hub.approve(ask["id"], "reject")
        self.assertEqual(job.remove()["id"], job.id)
        with self.assertRaises(NotFound):
            job.record()

    def test_control(self):
        job = self.running(waiting())
        self.assertEqual(job.pause(by="kim", reason="r")["id"], job.id)
        self.assertEqual(job.record()["pauses"]["self"]["by"], "kim")
        job.resume()
        self.assertEqual(job.set_priority(7)["priority"], 7)
        self.hub.complete_task(job.task("go"), {"n": 2})
        self.hub.skip_task(job.task("ask")["id"])
        with self.assertRaises(JobFailed):
            # The output refers to the data of a skipped task.
            job.result(LIMIT)
        self.assertEqual(job.task("go")["data"], {"n": 2})
        self.assertEqual(job.task("go")["repairs"][0]["action"], "skip")

    def test_cancel(self):
        job = self.running(waiting())
        self.assertIn(job.cancel(reason="r", by="kim")["status"], ("CANCELLING", "CANCELLED"))
        with self.assertRaises(JobCancelled):
            job.result(LIMIT)
        with self.assertRaises(Conflict):
            job.cancel()
        again = self.running(waiting())
        retried = again.retry(cancel=True)
        self.assertNotEqual(retried.id, again.id)
        self.assertEqual(again.status, "CANCELLED")
        retried.cancel(now=True)

    def test_pools(self):
        self.assertEqual(self.hub.pause_pool(self.own, reason="r"), {"pool": self.own})
        self.assertIn(self.own, [pool["name"] for pool in self.hub.health()["paused_pools"]])
        self.hub.resume_pool(self.own)

    def test_tasks_from_outside(self):
        job = self.running(waiting())
        with self.assertRaises((Conflict, Refused)):
            self.hub.post_result(job.task("go"), 1)
        job.cancel()
        job = Job("held")
        held = job.task("flaky", 9, retry={"maximum_attempts": 1, "exhausted": "hold"})
        job.output = held.data
        handle = self.hub.submit(job)
        for _ in self.hub.events(handle.id, after=0):
            if "held_until" in handle.task("flaky"):
                break
        self.hub.fail_task(handle.task("flaky"), by="kim")
        self.assertEqual(handle.wait(LIMIT)["status"], "FAILED")

    def test_definitions(self):
        job = Job(self.own, input_schema={"type": "object", "required": ["a"], "properties": {"a": {"type": "integer"}}})
        job.output = job.task("multiply", job.input.a, 2).data
        self.assertTrue(self.hub.apply(job, dry_run=True)["created"])
        defined = self.hub.apply(job, alias="prod", by="kim")
        self.assertEqual((defined["version"], defined["created"], defined["moved_aliases"]), (1, True, {"prod": None}))
        self.assertFalse(self.hub.apply(job)["created"])
        started = self.hub.start(self.own + "@prod", {"a": 4}, labels={"run": "x"}, key=self.own)
        self.assertEqual(started.result(LIMIT), 8)
        self.assertEqual(self.hub.start(self.own + "@prod", {"a": 4}, labels={"run": "x"}, key=self.own).id, started.id)
        self.assertEqual(started.record()["definition"], self.own + "@1")
        with self.assertRaises(Refused) as caught:
            self.hub.start(self.own, {"a": "x"})
        self.assertEqual([problem.path for problem in caught.exception.problems], ["$.inputs.a"])
        job.task("square", 2)
        self.assertEqual(self.hub.apply(job)["version"], 2)
        self.assertEqual(self.hub.set_alias(self.own, "prod", 2)["version"], 2)
        found = self.hub.definition(self.own + "@prod")
        self.assertEqual((found["version"], len(found["versions"]), found["job"]["name"]), (2, 2, self.own))
        self.assertEqual([each["aliases"] for each in self.hub.definitions() if each["name"] == self.own], [{"prod": 2}])
        self.assertEqual(self.hub.remove_alias(self.own, "prod")["alias"], "prod")

    def test_schedules(self):
        job = Job("nightly")
        job.output = job.task("add", 1, 2).data
        schedule = {"name": self.own, "job": job, "every": datetime.timedelta(days=1), "paused": True}
        self.assertEqual(self.hub.apply_schedule(schedule, dry_run=True)["change"], "created")
        self.assertEqual([self.hub.apply_schedule(schedule)["change"] for _ in range(2)], ["created", "unchanged"])
        self.assertEqual(self.hub.resume_schedule(self.own), {"name": self.own})
        self.assertEqual(self.hub.pause_schedule(self.own, reason="r"), {"name": self.own})
        started = self.hub.trigger_schedule(self.own)
        self.assertEqual(started.result(LIMIT), 3)
        self.assertEqual(started.record()["schedule"]["name"], self.own)
        record = self.hub.schedule(self.own)
        self.assertEqual((record["paused"]["reason"], record["schedule"]["job"]["name"]), ("r", "nightly"))
        self.assertIn(self.own, [found["name"] for found in self.hub.schedules()])
        self.hub.remove_schedule(self.own)
        with self.assertRaises(NotFound):
            self.hub.schedule(self.own)
        with self.assertRaises(Refused) as caught:
            self.hub.apply_schedule({**schedule, "every": None, "cron": "* * *"})
        self.assertTrue(caught.exception.problems)

    def test_listings(self):
        label = {"own": self.own}
        jobs = []
        for _ in range(3):
            job = Job("listed", labels=label)
            job.task("add", 1, 2)
            jobs.append(self.hub.submit(job))
        for job in jobs:
            job.wait(LIMIT)
        found = list(self.hub.list("label.own=" + self.own))
        self.assertEqual([each["id"] for each in found], [job.id for job in reversed(jobs)])
        submitted = parse_time(found[0]["submitted_at"])
        later = submitted + datetime.timedelta(seconds=1)
        self.assertEqual(list(self.hub.list("label.own=" + self.own, since=later)), [])
        self.assertEqual(len(list(self.hub.list("label.own=" + self.own, until=later, status=["SUCCESS", "FAILED"], name="listed"))), 3)
        self.assertEqual(len(list(self.hub.list("label.own=" + self.own, limit=2))), 2)

    def test_the_dispatcher(self):
        self.assertTrue(self.hub.is_alive() and self.hub.is_ready())
        self.assertEqual((self.hub.health()["broker"], len(self.hub.workers()) > 0), ("up", True))

    def test_events(self):
        job = self.running(waiting())
        events = job.events()
        seen = threading.Event()
        kinds = []

        def watch():
            for event in events:
                kinds.append((event.kind, event.data.get("name"), event.data.get("status")))
                seen.set()

        thread = threading.Thread(target=watch)
        thread.start()
        # The stream may begin only after this signal, so the end is awaited, and not each event.
        job.signal("go")
        self.hub.approve(job.task("ask"))
        job.wait(LIMIT)
        thread.join(LIMIT)
        self.assertFalse(thread.is_alive())
        if kinds:
            self.assertEqual(kinds[-1], ("job", "waiting", "SUCCESS"))
        self.assertEqual(list(job.events()), [])

    def test_asyncio(self):
        async def main():
            async with AsyncHub(URL) as hub:
                jobs = await asyncio.gather(*(hub.submit(sum_product()) for _ in range(20)))
                results = await asyncio.gather(*(job.result(LIMIT) for job in jobs))
                events = [event async for event in jobs[0].events()]
                listed = [job["id"] async for job in hub.list("name:sum_product", limit=5)]
                with self.assertRaises(NotFound):
                    await hub.record(uuid.uuid4())
                return results, events, len(listed)

        self.assertEqual(asyncio.run(main()), ([[6]] * 20, [], 5))

    def test_large_jobs(self):
        job = Job("large")
        data = job.task("numbers", 2, meta={"x": "é" * 4_000_000})
        job.output = data.data
        self.assertEqual(self.hub.submit(job).result(LIMIT), [1, 2])
        too_large = {"name": "j", "meta": {"x": "x" * (17 << 20)}, "tasks": [{"name": "add"}]}
        with self.assertRaises(Refused) as caught:
            self.hub.submit(too_large)
        self.assertEqual(caught.exception.kind, "too_large")

        async def main():
            async with AsyncHub(URL) as hub:
                await hub.submit(too_large)

        with self.assertRaises(Refused):
            asyncio.run(main())


class Package(unittest.TestCase):
    def test_task_modules_do_not_load_the_client(self):
        import subprocess
        import sys

        code = "import sys, hub.lib.api, hub.child, hub.lib.testing\nprint([name for name in sys.modules if name.startswith(('hub.client', 'http.client'))])"
        output = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=True, universal_newlines=True).stdout
        self.assertEqual(output.strip(), "[]")
        code = code.replace("hub.lib.api, hub.child, hub.lib.testing", "hub.client").replace("'hub.client', 'http.client'", "'hub.lib', 'http', 'requests', 'email'")
        output = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=True, universal_newlines=True).stdout
        self.assertEqual(output.strip(), "[]")


if __name__ == "__main__":
    unittest.main()
