"""The builder writes the job format: references, escapes, options. What it cannot write is refused with the place."""

import datetime
import decimal
import enum
import json
import unittest
import uuid
from dataclasses import dataclass

from hub.client import (
    Each, InvalidJob, Job, failure, first, index, item, job_id, parse_time, secret
)


class Colour(str, enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 7


class Shape(enum.Enum):
    ROUND = "round"


@dataclass
class Point:
    x: int


class References(unittest.TestCase):
    def setUp(self):
        self.job = Job("etl")
        self.a = self.job.task("add", 1, 2)

    def written(self, *args, **options):
        self.job.task("other", *args, **options)
        return self.job.document()["tasks"][-1]

    def test_attributes_and_paths(self):
        a = self.a
        given = [a.data, a.data["x"][0], a.status, a.error["type"], a.id, a.name, {"deep": ({"er": a.data[7]},)}]
        expected = [
            "_add.data", "_add.data.x.0", "_add.status", "_add.error.type", "_add.id", "add", {"deep": [{"er": "_add.data.7"}]}
        ]
        self.assertEqual(self.written(*given)["args"], expected)

    def test_what_hub_knows(self):
        given = [item, item["a"][0], index, first.data["x"], first.name, failure["msg"], job_id, secret("pw"), self.job.input]
        expected = [
            "_.item", "_.item.a.0", "_.index", "_.first.data.x", "_.first.name", "_.failure.msg", "_.job.id", "_.secret.pw",
            "_.input",
        ]
        self.assertEqual(self.written(*given)["args"], expected)
        self.assertEqual(self.written(self.job.input.day, self.job.input["day"][0])["args"], ["_.input.day", "_.input.day.0"])

    def test_texts_with_underscores_are_escaped_where_references_may_stand(self):
        for text in ["_", "_x", "__x", "_add.data", "_.item"]:
            self.assertEqual(self.written(text, kwargs={"_k": [text]})["args"], ["_" + text])
            self.assertEqual(self.written(kwargs={"_k": [text]})["kwargs"], {"_k": ["_" + text]})
        self.assertEqual(self.written("a_b", "")["args"], ["a_b", ""])
        self.assertEqual(self.written(meta={"k": "_x"})["meta"], {"k": "_x"})
        task = self.job.shell("echo _add.data", env={"X": "_y", "Z": self.a.data})
        self.assertEqual(self.job.document()["tasks"][-1]["env"], {"X": "__y", "Z": "_add.data"})
        self.assertEqual((task.name, self.job.document()["tasks"][-1]["shell"]), ("shell", "echo _add.data"))

    def test_names_beyond_ascii_can_be_referred_to(self):
        with_blank = self.job.task("load", name="größe laden")
        self.assertEqual(self.written(with_blank.data["größe"])["args"], ["_größe laden.data.größe"])

    def test_what_no_reference_can_express_is_refused(self):
        hidden = self.job.task("add", name="_hidden")
        for wrong in [
            lambda: self.a.data["a.b"], lambda: self.a.data[""], lambda: self.a.data[-1], lambda: self.a.data[1.5],
            lambda: self.a.data[True], lambda: self.a.status["x"], lambda: hidden.data,
        ]:
            with self.assertRaises(InvalidJob):
                wrong()

    def test_references_are_not_values(self):
        for wrong in [
            lambda: f"{self.a.data}", lambda: bool(self.a.data), lambda: list(self.a.data), lambda: 1 in self.a.data,
            lambda: self.a.data == 1 and True, lambda: {self.a.data: 1}, lambda: "x" + self.a.data,
        ]:
            with self.assertRaises(TypeError):
                wrong()

    def test_a_task_is_not_its_data(self):
        with self.assertRaisesRegex(InvalidJob, r"task other\.args\[0\]\[0\].*task\.data"):
            self.written([self.a])

    def test_references_to_another_job_are_refused(self):
        other = Job("other").task("add")
        with self.assertRaisesRegex(InvalidJob, "belongs to the job 'other'"):
            self.written(other.data)
        with self.assertRaisesRegex(InvalidJob, "is not a task of the job"):
            self.written(depends=other)

    def test_conditions(self):
        data = self.a.data
        cases = [
            (data == 1, {"eq": ["_add.data", 1]}),
            (1 == data, {"eq": ["_add.data", 1]}),
            (data != "_x", {"ne": ["_add.data", "__x"]}),
            (3 < data, {"gt": ["_add.data", 3]}),
            (data["n"] <= 3, {"le": ["_add.data.n", 3]}),
            ((data > 1) & ~(data >= 5) | data.is_empty(), {
                "any": [{"all": [{"gt": ["_add.data", 1]}, {"not": {"ge": ["_add.data", 5]}}]}, {"empty": "_add.data"}]}),
            (data.is_in([1, 2]), {"in": ["_add.data", [1, 2]]}),
            (data.contains("x"), {"contains": ["_add.data", "x"]}),
            (data.starts_with("x"), {"starts_with": ["_add.data", "x"]}),
            (data["k"].exists(), {"exists": "_add.data.k"}),
            (data, "_add.data"),
            (False, False),
            ({"lt": [data, 5]}, {"lt": ["_add.data", 5]}),
        ]
        for condition, expected in cases:
            self.assertEqual(self.written(when=condition)["when"], expected)


class Tasks(unittest.TestCase):
    def test_a_default_name_gets_a_number(self):
        job = Job("j")
        names = [job.task("add").name, job.task("add").name, job.task("add", name="add_3").name, job.task("add").name]
        self.assertEqual(names, ["add", "add_2", "add_3", "add_4"])
        self.assertEqual([task.get("task_name") for task in job.document()["tasks"]], [None, "add", "add", "add"])
        self.assertEqual(job.task("pack.module").name, "pack_module")

    def test_wrong_names_are_refused(self):
        job = Job("j")
        job.task("add")
        for name in ["add", "a.b", ""]:
            with self.assertRaises(InvalidJob):
                job.task("add", name=name)

    def test_dependencies(self):
        job = Job("j")
        a, b = job.task("a"), job.task("b")
        job.task("c", depends=a)
        job.task("d", depends=[a, "b"])
        job.task("e", depends=())
        self.assertEqual([task.get("depends") for task in job.document()["tasks"][2:]], [["a"], ["a", "b"], []])
        with self.assertRaisesRegex(InvalidJob, "did you mean b"):
            job.task("f", depends="bb")
        with self.assertRaises(InvalidJob):
            job.task("f", depends=[1])

    def test_kinds_of_tasks(self):
        job = Job("j")
        n = job.task("numbers", 3)
        job.command("seq", 1, n.data, output="json", cwd="x")
        job.http("https://example.com/", method="POST", headers={"X": secret("token")}, body={"n": n.data}, name="post")
        job.wait(until=datetime.timedelta(hours=6))
        job.wait(signal="delivered", count=2, timeout="2d", on_timeout="skip")
        job.wait(approval={"message": {"n": n.data}, "choices": ["_yes", "no"]}, name="ask")
        job.wait(approval="Go?", name="again")
        job.task("square", item, for_each=Each(n.data, parallel=2, when=item > 1))
        job.task("square", item["value"], for_each={"in": 1}, name="object")
        expected = [
            {"name": "command", "command": ["seq", 1, "_numbers.data"], "cwd": "x", "output": "json"},
            {"name": "post", "http": {"method": "POST", "url": "https://example.com/", "headers": {"X": "_.secret.token"},
                                      "body": {"n": "_numbers.data"}}},
            {"name": "until", "wait": {"until": 21600}},
            {"name": "delivered", "wait": {"signal": "delivered", "count": 2, "timeout": "2d", "on_timeout": "skip"}},
            {"name": "ask", "wait": {"approval": {"choices": ["_yes", "no"], "message": {"n": "_numbers.data"}}}},
            {"name": "again", "wait": {"approval": {"message": "Go?"}}},
            {"name": "square", "args": ["_.item"], "for_each": {"in": "_numbers.data", "parallel": 2, "when": {"gt": ["_.item", 1]}}},
            {"name": "object", "task_name": "square", "args": ["_.item.value"], "for_each": {"in": {"in": 1}}},
        ]
        self.assertEqual(job.document()["tasks"][1:], expected)
        for wrong in [{}, {"signal": "x", "until": 1}]:
            with self.assertRaises(InvalidJob):
                job.wait(**wrong)

    def test_sub_jobs(self):
        day = Job("day.v1", labels={"team": "data"})
        day.output = day.task("square", day.input.day).data
        job = Job("month")
        days = job.task("numbers", 3)
        loaded = job.sub_job(day, inputs={"day": item}, for_each=days.data, name="load")
        job.sub_job("etl@7", detached=True)
        job.sub_job(day)
        job.output = loaded.data
        tasks = job.document()["tasks"]
        self.assertEqual(tasks[1]["job"], day.document())
        self.assertEqual((tasks[1]["inputs"], tasks[1]["for_each"]), ({"day": "_.item"}, "_numbers.data"))
        self.assertEqual(tasks[2], {"name": "etl", "job": "etl@7", "detached": True})
        self.assertEqual(tasks[3]["name"], "day_v1")
        with self.assertRaises(InvalidJob):
            job.sub_job(job)

    def test_options(self):
        noon = datetime.datetime(2026, 12, 24, 12, tzinfo=datetime.timezone(datetime.timedelta(hours=1)))
        job = Job("j", start_at=noon, deadline=datetime.timedelta(milliseconds=1500), key="k", **{"x-owner": "me"})
        job.task(
            "add",
            retry={"maximum_attempts": 5, "initial_interval": datetime.timedelta(seconds=1), "retry_on": [OSError]},
            timeout=datetime.timedelta(minutes=10),
            delay="5s",
            cache={"ttl": datetime.timedelta(days=1), "key": ["_x"]},
            recover={"fallback": {"why": failure["type"]}, "match": [ValueError, "TIMED_OUT"]},
            pool="gpu",
        )
        job.task("mail", failure["msg"], handler="on_failure")
        document = job.document()
        self.assertEqual(
            [document[key] for key in ("start_at", "deadline", "key", "x-owner")], ["2026-12-24T11:00:00Z", 1.5, "k", "me"]
        )
        self.assertEqual(document["on_failure"], [{"name": "mail", "args": ["_.failure.msg"]}])
        self.assertEqual(document["tasks"], [{
            "name": "add", "timeout": 600, "delay": "5s", "pool": "gpu",
            "retry": {"maximum_attempts": 5, "initial_interval": 1, "retry_on": ["OSError"]},
            "cache": {"ttl": 86400, "key": ["__x"]},
            "recover": {"fallback": {"why": "_.failure.type"}, "match": ["ValueError", "TIMED_OUT"]},
        }])
        with self.assertRaisesRegex(InvalidJob, "did you mean retry"):
            job.task("add", retrry=5)
        with self.assertRaisesRegex(InvalidJob, "no time zone"):
            Job("j", start_at=datetime.datetime(2026, 1, 1))
        with self.assertRaises(InvalidJob):
            job.task("add", handler="later")

    def test_a_job_needs_a_task(self):
        with self.assertRaises(InvalidJob):
            Job("j").document()

    def test_a_document_is_a_copy(self):
        job = Job("j")
        given = {"a": [1]}
        job.task("add", given)
        given["a"].append(2)
        document = job.document()
        document["tasks"][0]["args"] = None
        self.assertEqual(json.loads(job.json())["tasks"][0]["args"], [{"a": [1]}])


class Values(unittest.TestCase):
    def test_json_values_are_kept(self):
        job = Job("j")
        job.task("add", None, True, 2**70, 1.5, "é\u0000\U0001f600", (1, 2), {}, Colour.RED, Level.HIGH)
        expected = [None, True, 2**70, 1.5, "é\u0000\U0001f600", [1, 2], {}, "red", 7]
        self.assertEqual(json.loads(job.json())["tasks"][0]["args"], expected)

    def test_other_values_are_refused_with_advice(self):
        loop = []
        loop.append(loop)
        now = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)
        cases = [
            (float("nan"), "nan"), (float("-inf"), "-inf"), (now, "isoformat"), (now.date(), "isoformat"),
            (decimal.Decimal("0.1"), "str"), (uuid.uuid4(), "str"), (b"x", "decode"), ({1}, "sorted"), (Point(1), "asdict"),
            (Shape.ROUND, "value.value"), (iter([]), "list"), (datetime.timedelta(1), "total_seconds"),
            ({1: 2}, "str"), ("\ud800", "surrogate"), (loop, "levels"), (object(), "text, a number"),
        ]
        for value, advice in cases:
            with self.assertRaisesRegex(InvalidJob, advice):
                Job("j").task("add", {"deep": [value]})

    def test_times_of_records(self):
        utc = datetime.timezone.utc
        self.assertEqual(parse_time("2026-11-26T17:29:13.543Z"), datetime.datetime(2026, 11, 26, 17, 29, 13, 543000, utc))
        self.assertEqual(parse_time("2026-11-26T18:29:13+01:00").astimezone(utc).hour, 17)
        self.assertIsNone(parse_time(None))
        for wrong in ["", "2026-11-26", "2026-11-26T17:29:13", "now"]:
            with self.assertRaises(ValueError):
                parse_time(wrong)


if __name__ == "__main__":
    unittest.main()
