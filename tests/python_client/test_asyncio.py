"""The client for asyncio: the same operations, cancellation, several event loops, many coroutines."""

import asyncio
import inspect
import json
import threading
import unittest
from unittest import mock

from fake import Close, FakeServerTest, Hold, answer, refusal

from hub.client import (
    AsyncHub, AsyncJobHandle, Hub, JobFailed, JobHandle, NotFound, Refused, ServerError, Timeout, Unavailable
)

ID = "01a218e7-7c46-77ab-ad19-7532b1c12e7b"
HEALTH = {"version": "0.2.0"}
BUSY = refusal(503, "unavailable", [("Retry-After", "0")])


class AsyncioTest(FakeServerTest):
    def run_with(self, server, work, **options):
        async def main():
            async with AsyncHub(server.url, **{"timeout": 10.0, **options}) as hub:
                return await work(hub)

        with mock.patch("hub.client.steps.backoff", return_value=0.0):
            return asyncio.run(main())

    def test_the_clients_have_the_same_operations(self):
        for blocking, asynchronous in [(Hub, AsyncHub), (JobHandle, AsyncJobHandle)]:
            names = {name for name in vars(blocking) if not name.startswith("_")}
            self.assertEqual(names, {name for name in vars(asynchronous) if not name.startswith("_")})
            for name in names - {"status"}:
                one, other = getattr(blocking, name), getattr(asynchronous, name)
                self.assertEqual(list(inspect.signature(one).parameters), list(inspect.signature(other).parameters), name)
                self.assertTrue(inspect.getdoc(other), name)

    def test_a_job(self):
        summary, record = {"id": ID, "status": "SUCCESS"}, {"id": ID, "status": "SUCCESS", "output": 7}
        server = self.serve(Close(), answer({"id": ID, "warnings": ["w"]}, 201), answer(summary), BUSY, answer(record))

        async def work(hub):
            job = await hub.submit({"name": "j"})
            return job.id, job.warnings, await job.result(timeout=60)

        self.assertEqual(self.run_with(server, work), (ID, ("w",), 7))
        self.assertEqual(server.requests[0].target, server.requests[1].target)

    def test_listings_and_refusals(self):
        server = self.serve(answer({"jobs": [1], "next": "x"}), answer({"jobs": [2]}), refusal(404, "not_found"))

        async def work(hub):
            jobs = [job async for job in hub.list("status:failed")]
            with self.assertRaises(NotFound):
                await hub.record(ID)
            return jobs

        self.assertEqual(self.run_with(server, work), [1, 2])

    def test_failures(self):
        tasks = [{"name": "a", "status": "FAILED", "msg": "boom"}]
        record = answer({"id": ID, "name": "j", "status": "FAILED", "tasks": tasks})

        async def fail(hub):
            await hub.result(ID, timeout=0.1)

        cases = [
            ([answer({"id": ID, "status": "FAILED"}), record, record], JobFailed), ([answer(b"<html>")], ServerError), ([Hold()], Timeout),
            ([], Unavailable),
        ]
        for script, kind in cases:
            with self.assertRaises(kind):
                self.run_with(self.serve(*script), fail, timeout=0.3, retries=0)
        server = self.serve()
        server.close()
        with self.assertRaisesRegex(Unavailable, "is hub-dispatcher running"):
            self.run_with(server, lambda hub: hub.health(), retries=1)

    def test_a_cancellation_closes_the_connection_at_once(self):
        arrived = threading.Event()

        def script(request):
            if "wait=" not in request.target:
                return answer(HEALTH)
            arrived.set()
            return Hold()

        server = self.serve(script)

        async def work(hub):
            await hub.health()
            waiting = asyncio.ensure_future(hub.wait(ID))
            await asyncio.get_running_loop().run_in_executor(None, arrived.wait)
            waiting.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await waiting
            await hub.health()

        self.run_with(server, work)
        self.assertEqual([request.connection for request in server.requests], [1, 1, 2])

    def test_many_coroutines_wait_at_the_same_time(self):
        number = 200
        all_are_there = threading.Barrier(number)

        def script(request):
            return answer({"id": request.target, "status": "SUCCESS", "output": request.target})

        server = self.serve(script)
        answer_now = server._answer

        def answer_together(connection, request):
            # No answer comes before all requests are there, so threads of a pool would not do.
            if "wait=" in request.target:
                all_are_there.wait(60)
            return answer_now(connection, request)

        server._answer = answer_together

        async def work(hub):
            ids = ["01a218e7-7c46-77ab-ad19-%012x" % at for at in range(number)]
            found = await asyncio.gather(*(hub.wait(id) for id in ids))
            return [id in record["id"] for id, record in zip(ids, found)]

        self.assertEqual(self.run_with(server, work, timeout=60), [True] * number)

    def test_a_client_outlives_an_event_loop(self):
        server = self.serve(lambda _: answer(HEALTH))
        hub = AsyncHub(server.url)

        async def work():
            found = [await hub.health(), await hub.health()]
            await hub.close()
            return found

        for _ in range(2):
            self.assertEqual(asyncio.run(work()), [HEALTH, HEALTH])
        self.assertEqual([request.connection for request in server.requests], [1, 1, 2, 2])

    def test_events(self):
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
        data = json.dumps({"id": ID, "name": "j", "status": "SUCCESS"}).encode()

        def script(request):
            if "/events" in request.target:
                task = b'id: 2\nevent: task\ndata: {"id": "x"}\n\n'
                return Hold(head + b":\nid: 1\n\n" + task + b"id: 3\nevent: job\ndata: " + data + b"\n\n")
            return answer({"id": ID, "status": "RUNNING"})

        server = self.serve(script)

        async def work(hub):
            return [event.kind async for event in AsyncJobHandle(hub, ID).events()]

        self.assertEqual(self.run_with(server, work), ["task", "job"])
        with Hub(server.url) as hub:
            self.assertEqual([event.kind for event in hub.job(ID).events()], ["task", "job"])

    def test_a_job_that_has_ended_has_no_events(self):
        head = b"HTTP/1.1 200 OK\r\n\r\n:\nid: 1\n\n"
        server = self.serve(lambda request: Hold(head) if "/events" in request.target else answer({"id": ID, "status": "FAILED"}))

        async def work(hub):
            return [event async for event in AsyncJobHandle(hub, ID).events()]

        self.assertEqual(self.run_with(server, work), [])

    def test_wrong_arguments_are_refused_before_anything_is_sent(self):
        server = self.serve()

        async def work(hub):
            for wrong in [hub.record("x"), hub.submit({"x": float("nan")})]:
                with self.assertRaises((Refused, ValueError)):
                    await wrong

        self.run_with(server, work)
        self.assertEqual(server.requests, [])


if __name__ == "__main__":
    unittest.main()
