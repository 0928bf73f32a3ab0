"""The types of answers and the operations are those of the OpenAPI document. HUB_TEST_URL is the address of a running Hub."""

import inspect
import os
import typing
import unittest

from hub.client import AsyncHub, Hub, definition_types, schedule_types, types

URL = os.environ.get("HUB_TEST_URL")

# The types by the names of the schemas. Schemas of bodies and of the job format are missing: the client has arguments for
# them, and the builder.
SCHEMAS = {
    "Id": types.Id, "Submitted": types.Submitted, "JobRecord": types.JobRecord, "TaskRecord": types.TaskRecord,
    "TaskError": types.TaskError, "ItemCounts": types.ItemCounts, "Attempt": types.Attempt, "RepairRecord": types.RepairRecord,
    "JobSummary": types.JobSummary, "Worker": types.WorkerRecord, "Health": types.Health, "Cancelled": types.Cancelled,
    "JobPriority": types.JobPriority, "PauseRecord": types.PauseRecord, "SignalReceipt": types.SignalReceipt,
    "ReceivedSignal": types.ReceivedSignal, "ApprovalAnswer": types.ApprovalAnswer, "Origin": types.Origin,
    "Parent": types.Parent, "Version": definition_types.Version, "Definition": definition_types.Definition,
    "Defined": definition_types.Defined, "Alias": definition_types.Alias, "Explanation": definition_types.Explanation,
    "TaskGroup": definition_types.TaskGroup, "Reason": definition_types.Reason,
    "ScheduleSummary": schedule_types.ScheduleSummary, "ScheduleRecord": schedule_types.ScheduleRecord,
    "ScheduleSet": schedule_types.ScheduleSet, "ScheduleName": schedule_types.ScheduleName,
}
# Texts with a fixed set of values.
WORDS = {"JobStatus": types.JobStatus, "TaskStatus": types.TaskStatus}
# What users have written is a dict.
DICTS = {"Job", "Schedule"}
# The methods by the operations of the document.
METHODS = {
    "listJobs": "list", "submitJob": "submit", "getJob": "record", "getSummary": "summary", "listTasks": "tasks",
    "explainJob": "explain", "getDocumentOfJob": "document", "removeJob": "remove", "cancelJob": "cancel", "pauseJob": "pause",
    "resumeJob": "resume", "setPriority": "set_priority", "pausePool": "pause_pool", "resumePool": "resume_pool",
    "retryJob": "retry", "signalJob": "signal", "approveTask": "approve", "retryTask": "retry_task", "skipTask": "skip_task",
    "failTask": "fail_task", "postResult": "post_result", "listDefinitions": "definitions", "getDefinition": "definition",
    "putDefinition": "apply", "putAlias": "set_alias", "removeAlias": "remove_alias", "watchEvents": "events",
    "listSchedules": "schedules", "getSchedule": "schedule", "putSchedule": "apply_schedule", "removeSchedule": "remove_schedule",
    "pauseSchedule": "pause_schedule", "resumeSchedule": "resume_schedule", "triggerSchedule": "trigger_schedule",
    "listWorkers": "workers", "getHealth": "health", "isAlive": "is_alive", "isReady": "is_ready", "getDocument": "openapi",
}
# Names of arguments that differ from those of the document, and what the client does itself.
RENAMED = {
    "from": "from_", "submitJob.wait": None, "submitJob.Idempotency-Key": None, "getJob.wait": None, "getSummary.wait": None,
    "listJobs.after": None, "listTasks.after": None, "listDefinitions.after": None, "listSchedules.after": None, "watchEvents.Last-Event-ID": "after",
    "retryJob.id": None, "signalJob.id": None, "approveTask.id": None, "postResult.id": None, "postResult.v": None,
    "postResult.status": "error", "postResult.msg": "error",
    # complete_task() has the data.
    "skipTask.data": None, "retryTask.data": None, "failTask.data": None,
}
PLACE = "#/components/schemas/"


@unittest.skipUnless(URL, "HUB_TEST_URL is not set")
class Document(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        with Hub(URL) as hub:
            cls.document = hub.openapi()
        cls.schemas = cls.document["components"]["schemas"]

    def test_types_have_the_keys_of_their_schemas(self):
        for name, kind in SCHEMAS.items():
            with self.subTest(name):
                self.check_object(self.schemas[name], kind, name)

    def test_words(self):
        for name, kind in WORDS.items():
            self.assertEqual(set(typing.get_args(kind)), set(self.schemas[name]["enum"]), name)

    def test_every_answer_has_a_type(self):
        for path, methods in self.document["paths"].items():
            for operation in methods.values():
                name = operation["operationId"]
                returned = typing.get_type_hints(getattr(Hub, METHODS[name]))["return"]
                for status, answer in operation["responses"].items():
                    schema = next(iter(answer["content"].values()))["schema"]
                    if status[0] == "2" and "$ref" in schema:
                        self.check_answer(schema["$ref"][len(PLACE):], returned, name)

    def check_answer(self, schema, returned, name):
        if schema.endswith("Page"):
            (entries,) = [value["items"] for key, value in self.schemas[schema]["properties"].items() if key != "next"]
            (entry,) = typing.get_args(returned)
            self.check(entries, entry, name)
        elif name not in ("submitJob", "retryJob", "triggerSchedule", "getDocumentOfJob", "isReady"):
            self.assertIs(returned, SCHEMAS[schema], name)

    def test_the_clients_have_every_operation(self):
        operations = [operation for methods in self.document["paths"].values() for operation in methods.values()]
        self.assertEqual({operation["operationId"] for operation in operations}, set(METHODS))
        for operation in operations:
            name = operation["operationId"]
            for client in (Hub, AsyncHub):
                arguments = set(inspect.signature(getattr(client, METHODS[name])).parameters)
                given = [parameter["name"] for parameter in operation["parameters"] if parameter["in"] != "path"]
                body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
                body = self.schemas.get(body.get("$ref", "")[len(PLACE):], {})
                if name not in ("submitJob", "putDefinition", "putSchedule"):
                    given += body.get("properties", {})
                for key in given:
                    expected = RENAMED.get("%s.%s" % (name, key), RENAMED.get(key, key))
                    self.assertTrue(expected is None or expected in arguments, "%s has no argument for %s" % (name, key))

    def check_object(self, schema, kind, where):
        hints = typing.get_type_hints(kind)
        self.assertEqual(set(hints), set(schema["properties"]), where)
        self.assertEqual(required_keys(kind), set(schema.get("required", [])), where)
        for key, value in schema["properties"].items():
            self.check(value, hints[key], "%s.%s" % (where, key))

    def check(self, schema, hint, where):
        """Checks the type of a key."""
        given = schema.get("type")
        if "$ref" in schema:
            name = schema["$ref"][len(PLACE):]
            expected = SCHEMAS.get(name) or WORDS.get(name)
            self.assertEqual(hint, typing.Dict[str, typing.Any] if name in DICTS else expected, where)
        elif "const" in schema or "enum" in schema:
            expected = [schema["const"]] if "const" in schema else schema["enum"]
            self.assertEqual(list(typing.get_args(hint)), expected, where)
        elif isinstance(given, list):
            kinds = set(typing.get_args(hint))
            self.assertEqual(len(kinds), len(given), where)
            self.assertEqual("null" in given, type(None) in kinds, where)
            self.assertEqual({SIMPLE.get(each, dict) for each in given}, {typing.get_origin(each) or each for each in kinds}, where)
        elif given == "array":
            self.assertIs(typing.get_origin(hint), list, where)
            self.check(schema.get("items", {}), typing.get_args(hint)[0], where)
        elif given == "object" and "properties" in schema and typing.get_origin(hint) is None:
            self.check_object(schema, hint, where)
        elif given == "object":
            self.assertIs(typing.get_origin(hint), dict, where)
            if "additionalProperties" in schema:
                self.check(schema["additionalProperties"], typing.get_args(hint)[1], where)
        else:
            self.assertIs(hint, SIMPLE.get(given, typing.Any), where)


SIMPLE = {"string": str, "integer": int, "number": float, "boolean": bool, "null": type(None)}


def required_keys(kind):
    """The required keys of a type. Python 3.8 knows only whether a class is total."""
    if hasattr(kind, "__required_keys__"):
        return set(kind.__required_keys__)
    total = getattr(inspect.getmodule(kind), "_" + kind.__name__, None)
    return set(typing.get_type_hints(total or kind)) if total or kind.__total__ else set()


if __name__ == "__main__":
    unittest.main()
