"""Requests to servers that are slow, broken or hostile: what is repeated, and which exceptions say what."""

import json
import os
import pickle
import signal
import ssl
import threading
import uuid
from unittest import mock

from fake import Close, Drip, FakeServerTest, Hold, Request, answer, refusal

from hub.client import (
    Conflict, Hub, HubError, InvalidJob, JobCancelled, JobFailed, NotEnded, NotFound, Problem, Refused, ServerError, Timeout,
    Unauthorized, Unavailable,
)
from hub.client.ids import new_id

ID = "01a218e7-7c46-77ab-ad19-7532b1c12e7b"
HEALTH = {"version": "0.2.0"}
JOB = {"name": "j", "tasks": [{"name": "add"}]}
BUSY = refusal(503, "unavailable", [("Retry-After", "2")])


class TransportTest(FakeServerTest):
    def setUp(self):
        # Delays are recorded and take no time.
        patched = mock.patch("hub.client.steps.time.sleep")
        self.pauses = patched.start()
        self.addCleanup(patched.stop)
        environment = mock.patch.dict(os.environ)
        environment.start()
        self.addCleanup(environment.stop)
        for name in ("HUB_BROKER", "HUB_HTTP_TOKEN", "HUB_HTTP_TOKEN_FILE", "HUB_CA_FILE"):
            os.environ.pop(name, None)

    def hub(self, server, **options):
        hub = Hub(server.url, **{"timeout": 10.0, **options})
        self.addCleanup(hub.close)
        return hub


class Repetitions(TransportTest):
    def test_busy_then_ready(self):
        server = self.serve(BUSY, BUSY, answer(HEALTH))
        self.assertEqual(self.hub(server).health(), HEALTH)
        self.assertEqual([int(call.args[0]) for call in self.pauses.mock_calls], [2, 2])

    def test_repetitions_end(self):
        server = self.serve(lambda _: BUSY)
        with self.assertRaises(Unavailable) as caught:
            self.hub(server, retries=2).health()
        self.assertEqual((len(server.requests), caught.exception.status, caught.exception.kind), (3, 503, "unavailable"))

    def test_a_hostile_delay_is_limited(self):
        server = self.serve(refusal(503, "unavailable", [("Retry-After", "9" * 30)]), answer(HEALTH))
        self.hub(server).health()
        self.assertLess(self.pauses.mock_calls[0].args[0], 31)

    def test_a_lost_answer_is_repeated_with_the_same_id_and_text(self):
        for lost in [Close(), Close(b"HTTP/1.1 201 "), Close(b"HTTP/1.1 201 X\r\nContent-Length: 50\r\n\r\n{"), BUSY]:
            server = self.serve(lost, answer({"id": ID}, 201))
            self.assertEqual(self.hub(server).submit(JOB).id, ID)
            first, second = server.requests
            self.assertEqual((first.target, first.body), (second.target, second.body))
            self.assertEqual(uuid.UUID(first.target.partition("?id=")[2]).version, 7)

    def test_what_may_not_be_repeated_is_not(self):
        calls = [
            lambda hub: hub.cancel(ID), lambda hub: hub.remove(ID), lambda hub: hub.retry_task(ID),
            lambda hub: hub.skip_task(ID), lambda hub: hub.complete_task(ID, 1), lambda hub: hub.fail_task(ID),
            lambda hub: hub.remove_alias("etl", "prod"), lambda hub: hub.remove_schedule("nightly"),
        ]
        for call in calls:
            for lost in [Close(), BUSY]:
                server = self.serve(lost, answer({"id": ID}))
                with self.assertRaises(Unavailable):
                    call(self.hub(server))
                self.assertEqual(len(server.requests), 1)

    def test_what_may_be_repeated_is(self):
        calls = [
            (lambda hub: hub.signal(ID, "go"), {"id": ID, "outcome": "kept"}), (lambda hub: hub.approve(ID), {"id": ID}),
            (lambda hub: hub.post_result(ID, 1), {"id": ID}), (lambda hub: hub.retry(ID), {"id": ID}),
            (lambda hub: hub.pause(ID), {"id": ID}), (lambda hub: hub.set_priority(ID, 1), {"id": ID, "priority": 1}),
            (lambda hub: hub.apply(JOB), {"name": "j", "version": 1}),
            (lambda hub: hub.apply_schedule({"name": "n"}), {"name": "n", "change": "created"}),
            (lambda hub: hub.trigger_schedule("n"), {"id": ID}),
        ]
        for call, value in calls:
            server = self.serve(Close(), answer(value))
            call(self.hub(server))
            first, second = server.requests
            self.assertEqual((first.target, first.body), (second.target, second.body))

    def test_no_connection(self):
        server = self.serve()
        server.close()
        for call in (lambda hub: hub.health(), lambda hub: hub.cancel(ID)):
            self.pauses.reset_mock()
            with self.assertRaisesRegex(Unavailable, "is hub-dispatcher running with --http there"):
                call(self.hub(server, retries=3))
            self.assertEqual(len(self.pauses.mock_calls), 3, "without a connection nothing was executed")

    def test_timeouts_are_not_repeated(self):
        server = self.serve(Hold())
        with self.assertRaises(Timeout) as caught:
            self.hub(server, timeout=0.2).health()
        self.assertIsInstance(caught.exception, TimeoutError)
        self.assertEqual(len(server.requests), 1)

    def test_a_job_that_is_being_cancelled_for_its_retry(self):
        server = self.serve(refusal(409, "not_ended"), refusal(409, "not_ended"), answer({"id": ID}, 201))
        self.assertEqual(self.hub(server).retry(ID, cancel=True, from_="load").id, ID)
        bodies = [json.loads(request.body) for request in server.requests]
        self.assertTrue(bodies[0] == bodies[1] == bodies[2])
        self.assertEqual((bodies[0]["from"], bodies[0]["cancel"]), (["load"], True))
        server = self.serve(refusal(409, "conflict"))
        with self.assertRaises(Conflict) as caught:
            self.hub(server).retry(ID)
        self.assertNotIsInstance(caught.exception, NotEnded)


class Answers(TransportTest):
    def test_refusals(self):
        problem = {"code": "c", "path": "$.tasks[0]", "message": "wrong", "line": 1, "column": 5, "suggestion": "right"}
        cases = [
            (refusal(422, "invalid_job", problems=[problem, 7]), Refused), (refusal(400, "invalid_request"), Refused),
            (refusal(404, "not_found"), NotFound), (refusal(409, "conflict"), Conflict), (refusal(413, "too_large"), Refused),
            (refusal(429, "too_many"), Refused), (refusal(401, "unauthorized"), Unauthorized),
            (refusal(403, "unauthorized"), Unauthorized), (refusal(504, "timed_out"), Timeout),
            (refusal(500, "internal"), ServerError), (refusal(418, "new_kind"), Refused),
        ]
        for given, kind in cases:
            server = self.serve(given)
            with self.assertRaises(HubError) as caught:
                self.hub(server).submit(JOB)
            self.assertIs(type(caught.exception), kind)
            self.assertIn("POST /api/v1/jobs at " + server.url, str(caught.exception))
        server = self.serve(cases[0][0])
        with self.assertRaises(Refused) as caught:
            self.hub(server).submit(JOB)
        self.assertEqual(caught.exception.problems[0], Problem("c", "$.tasks[0]", "wrong", 1, 5, "right"))
        self.assertIn("$.tasks[0] (line 1, column 5): wrong: right", str(caught.exception))

    def test_answers_that_are_not_those_of_a_hub(self):
        cases = [
            answer(b"<html>"), answer(b"{"), answer(b'{"version": NaN}'), answer(b"\xff"), answer([]), answer({}),
            answer(b"[" * 100_000), answer({"x": 1}, 301, [("Location", "http://example.com")]), answer(b"", 204),
            Close(b"220 smtp\r\n"), answer(b"", 404),
        ]
        for given in cases:
            server = self.serve(lambda _, given=given: given)
            with self.assertRaises(ServerError, msg=given):
                self.hub(server).health()
            self.assertEqual(len(server.requests), 1)

    def test_a_proxy_without_a_dispatcher(self):
        server = self.serve(answer(b"<html>Bad Gateway", 502))
        with self.assertRaises(Unavailable):
            self.hub(server).health()

    def test_huge_answers(self):
        head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        for given in [answer(b" " * 2000), Hold(head + b"7d0\r\n" + b" " * 2000)]:
            with self.assertRaisesRegex(ServerError, "larger than 1000 bytes"):
                self.hub(self.serve(given), maximum_answer_bytes=1000).health()

    def test_answers_that_drip(self):
        with self.assertRaises(Timeout):
            self.hub(self.serve(Drip(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 60_000)), timeout=0.3).health()

    def test_a_refusal_before_the_end_of_the_request(self):
        # The job is larger than the buffers of the system, and the server reads only the first line.
        server = self.serve(Hold(refusal(413, "too_large")))
        server._read = lambda file, number: file.readline() and Request("POST", "", {}, b"", number)
        with self.assertRaises(Refused) as caught:
            self.hub(server, retries=0).submit({"name": "j", "meta": {"x": "x" * 20_000_000}})
        self.assertEqual(caught.exception.status, 413)

    def test_text_beyond_ascii(self):
        server = self.serve(lambda request: answer({"id": ID}, 201) if request.method == "POST" else answer(request.body or b"{}"))
        self.hub(server).submit({"name": "größe \U0001f600"})
        self.assertEqual(json.loads(server.requests[0].body)["name"], "größe \U0001f600")
        server = self.serve(answer({"jobs": []}))
        list(self.hub(server).list('name:"größe &x=1"'))
        self.assertIn("filter=name%3A%22gr%C3%B6%C3%9Fe+%26x%3D1%22", server.requests[0].target)

    def test_names_cannot_leave_their_place_in_the_path(self):
        server = self.serve(lambda _: answer({"name": "x", "version": 1, "pool": "x"}))
        hub = self.hub(server)
        hub.definition("../jobs?x#y")
        hub.pause_pool("a/b")
        self.assertEqual(
            [request.target for request in server.requests],
            ["/api/v1/definitions/..%2Fjobs%3Fx%23y", "/api/v1/pools/a%2Fb/pause"],
        )
        for wrong in [lambda: hub.record("../x"), lambda: hub.definition(".."), lambda: hub.record(None)]:
            with self.assertRaises(Refused):
                wrong()


class Following(TransportTest):
    def summary(self, status):
        return answer({"id": ID, "status": status})

    def record(self, status, **more):
        return answer({"id": ID, "name": "j", "status": status, "output": 7, "tasks": [], **more})

    def test_wait_goes_on_through_a_restart(self):
        server = self.serve(self.summary("RUNNING"), BUSY, Close(), self.summary("SUCCESS"), Close(), self.record("SUCCESS"))
        self.assertEqual(self.hub(server).wait(ID)["output"], 7)
        self.assertIn("wait=10.000", server.requests[0].target)

    def test_wait_ends_with_its_time(self):
        server = self.serve(lambda _: self.summary("RUNNING"))
        with self.assertRaisesRegex(Timeout, "has not ended within 0 s: it is RUNNING"):
            self.hub(server).wait(ID, timeout=0)

    def test_wait_does_not_wait_for_a_hub_that_never_answered(self):
        server = self.serve()
        server.close()
        with self.assertRaises(Unavailable):
            self.hub(server, retries=1).wait(ID)

    def test_wait_gives_up_if_the_hub_does_not_come_back(self):
        server = self.serve(self.summary("RUNNING"))
        with mock.patch("hub.client.following.PATIENCE", 0.0), self.assertRaises(Unavailable):
            self.hub(server, retries=0).wait(ID)

    def test_a_removed_job(self):
        server = self.serve(self.summary("FAILED"), refusal(404, "not_found"))
        with self.assertRaisesRegex(NotFound, "has ended with FAILED"):
            self.hub(server).wait(ID)

    def test_results(self):
        server = self.serve(self.summary("SUCCESS"), self.record("SUCCESS"))
        self.assertEqual(self.hub(server).result(ID), 7)
        tasks = [{"name": "a", "status": "FAILED", "msg": "boom"}, {"name": "b", "status": "FAILED", "recovered": True}]
        for status, kind in [("FAILED", JobFailed), ("CANCELLED", JobCancelled)]:
            record = self.record(status, msg="1 of 2 failed", tasks=tasks)
            server = self.serve(self.summary(status), record, record)
            with self.assertRaisesRegex(kind, "1 of 2 failed\n  a: boom$") as caught:
                self.hub(server).result(ID)
            self.assertEqual([task["name"] for task in caught.exception.failed_tasks], ["a"])
            self.assertEqual(caught.exception.record["status"], status)

    def test_pages(self):
        def page(request):
            after = request.target.partition("after=")[2].partition("&")[0]
            pages = {"": ([1, 2], "p2"), "p2": ([], "p3"), "p3": ([3], None)}
            jobs, following = pages[after]
            return answer({"jobs": jobs, **({"next": following} if following else {})})

        server = self.serve(page)
        self.assertEqual(list(self.hub(server).list()), [1, 2, 3])
        self.assertEqual(list(self.hub(server).list(limit=1)), [1])
        self.assertEqual(list(self.hub(server).list(limit=0)), [])
        server = self.serve(lambda _: answer({"jobs": [], "next": "same"}))
        with self.assertRaisesRegex(ServerError, "does not end"):
            list(self.hub(server).list())

    def test_events_continue_after_the_last_one(self):
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"

        def chunk(text):
            return b"%x\r\n%s\r\n" % (len(text), text)

        first = chunk(b"id: 5\nevent: job\ndata: {}\n\n") + chunk(b"id: 6\nevent: j")
        server = self.serve(Close(head + first), BUSY, Close(head + chunk(b"id: 6\nevent: task\ndata: {}\n\n") + b"0\r\n\r\n"))
        events = self.hub(server).events(after=4)
        with mock.patch("hub.client.hub.time.sleep"):
            self.assertEqual([(next(events).kind, next(events).number)], [("job", 6)])
        events.close()
        self.assertEqual([request.headers["last-event-id"] for request in server.requests], ["4", "5", "5"])
        server = self.serve(refusal(404, "not_found"))
        with self.assertRaises(NotFound):
            next(self.hub(server).events())
        server = self.serve(lambda _: BUSY)
        with mock.patch("hub.client.hub.time.sleep"), self.assertRaises(Unavailable):
            next(self.hub(server, retries=2).events())
        self.assertEqual(len(server.requests), 3, "before the first connection, the retries are limited")

    def test_events_go_on_through_a_long_restart(self):
        head = b"HTTP/1.1 200 OK\r\n\r\n:\nid: 3\n\n"
        event = b"id: 4\nevent: job\ndata: {}\n\n"
        server = self.serve(Close(head), *[BUSY] * 20, Close(head + event), *[BUSY] * 20)
        with mock.patch("hub.client.hub.time.sleep"):
            events = self.hub(server, retries=1).events()
            self.assertEqual(next(events).number, 4)
            with mock.patch("hub.client.events.PATIENCE", 0.0), self.assertRaises(Unavailable):
                next(events)


class Connections(TransportTest):
    def test_a_connection_is_used_again(self):
        server = self.serve(lambda _: answer(HEALTH))
        hub = self.hub(server)
        for _ in range(3):
            hub.health()
        self.assertEqual({request.connection for request in server.requests}, {1})

    def test_a_connection_that_was_closed_while_idle_is_not_used(self):
        def script(request):
            return Close(answer(HEALTH)) if len(server.requests) == 1 else answer({"id": ID, "status": "CANCELLING"})

        server = self.serve(script)
        hub = self.hub(server)
        hub.health()
        hub.cancel(ID)
        hub.summary(ID)
        self.assertEqual(len(server.requests), 3)

    def test_requests_that_may_not_be_repeated_have_a_new_connection(self):
        server = self.serve(lambda _: answer({"id": ID, "status": "CANCELLING", **HEALTH}))
        hub = self.hub(server)
        hub.health()
        hub.cancel(ID)
        self.assertEqual([request.connection for request in server.requests], [1, 2])

    def test_threads_share_a_client(self):
        server = self.serve(lambda request: answer({"id": request.target, "status": "x"}))
        hub, wrong = self.hub(server), []

        def work(number):
            for count in range(50):
                id = str(uuid.UUID(int=number * 1000 + count))
                if hub.summary(id)["id"] != "/api/v1/jobs/%s/summary" % id:
                    wrong.append(id)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual((wrong, len(server.requests)), ([], 400))

    def test_a_forked_process_does_not_use_the_connections_of_its_parent(self):
        server = self.serve(lambda _: answer(HEALTH))
        hub = self.hub(server)
        hub.health()
        child = os.fork()
        if child == 0:
            try:
                hub.health()
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        hub.health()
        self.assertEqual([request.connection for request in server.requests], [1, 2, 1])

    def test_an_interrupt_ends_a_wait_and_its_connection(self):
        def script(request):
            if "wait=" in request.target:
                os.kill(os.getpid(), signal.SIGINT)
                return Hold()
            return answer(HEALTH)

        server = self.serve(script)
        hub = self.hub(server)
        hub.health()
        with self.assertRaises(KeyboardInterrupt):
            hub.wait(ID)
        hub.health()
        self.assertEqual([request.connection for request in server.requests], [1, 1, 2])

    def test_proxies_of_the_environment_are_not_used(self):
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
            os.environ[name] = "http://127.0.0.1:1"
        self.assertEqual(self.hub(self.serve(answer(HEALTH))).health(), HEALTH)

    def test_exceptions_can_be_pickled_and_clients_cannot(self):
        problems = [Problem("c", "$", "m")]
        record = {"id": ID, "name": "j", "status": "FAILED", "tasks": [{"name": "a", "status": "FAILED"}]}
        for error in [kind("m", kind="k", status=1, problems=problems) for kind in (Refused, Timeout, Unavailable, InvalidJob)]:
            copy = pickle.loads(pickle.dumps(error))
            self.assertEqual((type(copy), str(copy), copy.problems, copy.kind), (type(error), str(error), error.problems, "k"))
        copy = pickle.loads(pickle.dumps(JobFailed(record)))
        self.assertEqual((copy.record, len(copy.failed_tasks)), (record, 1))
        with self.assertRaisesRegex(TypeError, "create one in each process"):
            pickle.dumps(Hub())


class Configuration(TransportTest):
    def test_the_address(self):
        for given in ["http://h:1", "h:1", "http://h:1/", "http://h:1/api/v1", "http://h:1/api"]:
            self.assertEqual(repr(Hub(given)), "<Hub http://h:1>")
        self.assertEqual(repr(Hub()), "<Hub http://127.0.0.1:8420>")
        self.assertEqual(repr(Hub("https://[::1]/hub/")), "<Hub https://[::1]/hub>")
        os.environ["HUB_BROKER"] = "http://h:2"
        self.assertEqual(repr(Hub()), "<Hub http://h:2>")
        os.environ["HUB_BROKER"] = "localhost"
        with self.assertRaisesRegex(Refused, "HUB_BROKER is the address of a broker"):
            Hub()
        for wrong in ["", "ftp://h", "http://", "http://u:p@h", "http://h?x=1", "http://h:x", "http://h:99999"]:
            with self.assertRaises(Refused, msg=wrong):
                Hub(wrong)
        for timeout in (0, -1, float("nan"), float("inf")):
            with self.assertRaises(ValueError):
                Hub("h", timeout=timeout)

    def test_the_token(self):
        server = self.serve(lambda _: answer(HEALTH))
        os.environ["HUB_HTTP_TOKEN"] = "of the variable"
        Hub(server.url).health()
        Hub(server.url, token="given").health()
        self.assertEqual([request.headers["authorization"] for request in server.requests], ["Bearer of the variable", "Bearer given"])
        for wrong in ["a\r\nX: y", "ä"]:
            with self.assertRaises(Refused) as caught:
                Hub(server.url, token=wrong)
            self.assertNotIn(wrong, str(caught.exception))
        os.environ["HUB_HTTP_TOKEN_FILE"] = "/does/not/exist"
        with self.assertRaisesRegex(Refused, "HUB_HTTP_TOKEN_FILE"):
            Hub(server.url)

    def test_a_server_without_tls(self):
        server = self.serve(lambda _: answer(HEALTH))
        server._read = lambda file, number: None
        with self.assertRaises(Unavailable):
            Hub(server.url.replace("http", "https"), timeout=5, context=ssl.create_default_context()).health()

    def test_jobs_in_other_forms(self):
        server = self.serve(lambda _: answer({"id": ID}, 201))
        hub = self.hub(server)
        hub.submit('{"name": "é"}')
        hub.submit(b'{"name":  1}')
        self.assertEqual([request.body for request in server.requests], ['{"name": "é"}'.encode(), b'{"name":  1}'])
        for wrong in ["job.json", 7, None]:
            with self.assertRaises(InvalidJob):
                hub.submit(wrong)

    def test_ids_are_in_the_order_of_their_creation(self):
        with mock.patch("hub.client.ids.time.time", side_effect=[1.0, 2.0]):
            one, two = new_id(), new_id()
        self.assertLess(one, two)
        self.assertEqual((uuid.UUID(one).version, uuid.UUID(one).variant), (7, uuid.RFC_4122))


if __name__ == "__main__":
    import unittest

    unittest.main()
