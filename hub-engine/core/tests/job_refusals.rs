//! Every kind of malformed job is reported with its code and place.

mod job_support;

use hub_core::job::{Job, Limits};
use job_support::{code, refuse};

/// A job and all its problems in the order of the text: `code path`, or `code path @line:column`.
type Row = (&'static str, &'static [&'static str]);

const NOT_JSON: &[Row] = &[
    ("", &["not_json $ @1:1"]),
    (" \n ", &["not_json $ @1:1"]),
    ("{", &["not_json $ @1:1"]),
    ("{\"name\": \"j\"", &["not_json $ @1:12"]),
    ("{\"name\": \"j\"}}", &["not_json $ @1:14"]),
    ("{} {}", &["not_json $ @1:4"]),
    ("{\"name\": \"j\",}", &["not_json $ @1:14"]),
    ("{\"name\": 'j'}", &["not_json $ @1:10"]),
    ("{name: \"j\"}", &["not_json $ @1:2"]),
    ("// a job\n{}", &["not_json $ @1:1"]),
    ("{\n  \"name\": \"j\" /* j */\n}", &["not_json $ @2:15"]),
    ("{\"a\": 01}", &["not_json $ @1:8"]),
    ("{\"a\": +1}", &["not_json $ @1:7"]),
    ("{\"a\": .5}", &["not_json $ @1:7"]),
    ("{\"a\": 1.}", &["not_json $ @1:9"]),
    ("{\"a\": 0x10}", &["not_json $ @1:8"]),
    ("{\"a\": 1e999}", &["not_json $"]),
    ("{\"a\": NaN}", &["not_json $ @1:7"]),
    ("{\"a\": -Infinity}", &["not_json $ @1:8"]),
    ("{\"a\": nul}", &["not_json $"]),
    ("{\"a\": \"\u{1}\"}", &["not_json $"]),
    ("{\"a\": \"line\nbreak\"}", &["not_json $"]),
    ("{\"a\": \"\\x41\"}", &["not_json $"]),
    ("{\"a\": \"\\ud800\"}", &["not_json $"]),
    ("{\"a\": \"\\ud800\\ud800\"}", &["not_json $"]),
    ("{\"a\": \"\\udc00\"}", &["not_json $"]),
    ("{\"a\": [1 2]}", &["not_json $ @1:10"]),
    ("\u{feff}{}", &["not_json $ @1:1"]),
    ("{\"ü\": ü}", &["not_json $ @1:7"]),
];

const SHAPE: &[Row] = &[
    ("null", &["wrong_type $ @1:1"]),
    ("[]", &["wrong_type $ @1:1"]),
    ("\"job\"", &["wrong_type $ @1:1"]),
    ("{}", &["missing_key $ @1:1", "no_tasks $ @1:1"]),
    (r#"{"name": "j"}"#, &["no_tasks $"]),
    (r#"{"name": "j", "tasks": null}"#, &["no_tasks $"]),
    (r#"{"name": "j", "tasks": []}"#, &["no_tasks $.tasks @1:24"]),
    (r#"{"name": "j", "tasks": {}}"#, &["wrong_type $.tasks @1:24"]),
    (r#"{"name": "j", "tasks": "add"}"#, &["wrong_type $.tasks"]),
    (
        r#"{"name": "j", "tasks": [1, null, [], "add"]}"#,
        &[
            "wrong_type $.tasks[0] @1:25",
            "wrong_type $.tasks[1] @1:28",
            "wrong_type $.tasks[2] @1:34",
            "wrong_type $.tasks[3] @1:38",
        ],
    ),
    (r#"{"tasks": [{"name": "a"}]}"#, &["missing_key $ @1:1"]),
    (r#"{"name": null, "tasks": [{"name": "a"}]}"#, &["missing_key $"]),
    (r#"{"name": 5, "tasks": [{"name": "a"}]}"#, &["wrong_type $.name @1:10"]),
    (r#"{"name": "", "tasks": [{"name": "a"}]}"#, &["bad_name $.name @1:10"]),
    (r#"{"name": "a\nb", "tasks": [{"name": "a"}]}"#, &["bad_name $.name"]),
    (r#"{"name": "a\u0000b", "tasks": [{"name": "a"}]}"#, &["bad_name $.name"]),
    (r#"{"name": "j", "name": "k", "tasks": [{"name": "a"}]}"#, &["duplicate_key $.name @1:15"]),
    (r#"{"name": "j", "tasks": [{"name": "a"}], "tasks": []}"#, &["duplicate_key $.tasks @1:41"]),
    (r#"{"name": "j", "tasks": [{"name": "a"}], "key": 7}"#, &["wrong_type $.key"]),
    (r#"{"name": "j", "tasks": [{"name": "a"}], "key": ""}"#, &["bad_name $.key"]),
    (r#"{"name": "j", "tasks": [{"name": "a"}], "priority": "high"}"#, &["wrong_type $.priority"]),
    (r#"{"name": "j", "tasks": [{"name": "a"}], "priority": 1.5}"#, &["wrong_type $.priority"]),
    (r#"{"name": "j", "tasks": [{"name": "a"}], "priority": 1e2}"#, &["wrong_type $.priority"]),
    (r#"{"name": "j", "tasks": [{"name": "a"}], "priority": 1001}"#, &["out_of_range $.priority"]),
    (r#"{"name": "j", "tasks": [{"name": "a"}], "priority": -99999999999}"#, &["out_of_range $.priority"]),
    (r#"{"name": "j", "tasks": [{"name": "a"}], "meta": 1}"#, &["wrong_type $.meta"]),
    (r#"{"name": "j", "tasks": [{"name": "a"}], "labels": ["a"]}"#, &["wrong_type $.labels"]),
    (r#"{"name": "j", "tasks": [{"name": "a"}], "labels": {"a b": ""}}"#, &["bad_name $.labels[\"a b\"]"]),
    (
        r#"{"name": "j", "tasks": [{"name": "a"}], "labels": {"a": 1, "b": null}}"#,
        &["wrong_type $.labels.a", "wrong_type $.labels.b"],
    ),
    (r#"{"name": "j", "tasks": [{"name": "a"}], "labels": {"a": "1", "a": "2"}}"#, &["duplicate_key $.labels.a"]),
    (r#"{"name": "j", "tasks": [{"name": "a"}], "labels": {"a": "b\nc"}}"#, &["out_of_range $.labels.a"]),
    (r#"{"name": "j", "tasks": [{"name": "a"}], "$schema": {}}"#, &[r#"wrong_type $["$schema"] @1:52"#]),
    (r#"{"name": "j", "tasks": [{"name": "a"}], "for_each": 1}"#, &["unknown_key $.for_each @1:41"]),
    (r#"{"name": "j", "tasks": [{"name": "a"}], "taks": []}"#, &["unknown_key $.taks @1:41"]),
    (r#"{"name": "j", "tasks": [{"name": "a"}], "a.b": 1}"#, &[r#"unknown_key $["a.b"]"#]),
    (r#"{"name": "j", "tasks": [{"name": "a"}], "depends": []}"#, &["unknown_key $.depends"]),
    (
        r#"{"name": "j", "tasks": [{"name": "a"}], "id": "x", "status": "SUCCESS", "data": 1}"#,
        &["reserved_key $.id", "reserved_key $.status", "reserved_key $.data"],
    ),
    (
        r#"{"name": "j", "tasks": [{"name": "a"}], "concurrency": {}, "schedule": "* * * * *"}"#,
        &["unsupported_key $.concurrency", "unknown_key $.schedule"],
    ),
    (
        r#"{"name": "j", "tasks": [{"name": "a"}], "inputs": [1], "input_schema": true}"#,
        &["wrong_type $.inputs @1:51", "wrong_type $.input_schema"],
    ),
    (r#"{"name": "j", "tasks": [{"name": "a"}], "inputs": {"x": 1, "x": 2}}"#, &["duplicate_key $.inputs.x @1:60"]),
    (r#"{"name": "j", "tasks": [{"name": "a"}], "deadline": 0}"#, &["out_of_range $.deadline @1:53"]),
    (r#"{"name": "j", "tasks": [{"name": "a"}], "deadline": "0s"}"#, &["out_of_range $.deadline"]),
    (r#"{"name": "j", "tasks": [{"name": "a"}], "deadline": "tomorrow"}"#, &["out_of_range $.deadline"]),
    (r#"{"name": "j", "tasks": [{"name": "a"}], "deadline": "2026-02-30"}"#, &["out_of_range $.deadline"]),
    (r#"{"name": "j", "tasks": [{"name": "a"}], "deadline": true}"#, &["wrong_type $.deadline"]),
    (r#"{"name": "j", "tasks": [{"name": "a"}], "start_at": "367d"}"#, &["out_of_range $.start_at"]),
    (r#"{"name": "j", "tasks": [{"name": "a"}], "start_at": ["1h"]}"#, &["wrong_type $.start_at"]),
    (
        r#"{"name": "j", "tasks": [{"name": "a"}], "deadline": "2026-12-01", "start_at": "2026-12-01T00:00:00Z"}"#,
        &["out_of_range $.deadline @1:53"],
    ),
    (
        r#"{"name": "j", "tasks": [{"name": "a", "deadline": 60}], "pauses": {}, "deadline_at": "2026-12-01"}"#,
        &["unsupported_key $.tasks[0].deadline", "reserved_key $.pauses", "reserved_key $.deadline_at"],
    ),
];

/// The content of the only task of a job.
const TASK: &[Row] = &[
    ("", &["missing_key $.tasks[0] @1:24"]),
    (r#""name": null"#, &["missing_key $.tasks[0]"]),
    (r#""name": 1"#, &["wrong_type $.tasks[0].name @1:33"]),
    (r#""name": """#, &["bad_name $.tasks[0].name"]),
    (r#""name": "a.b""#, &["bad_name $.tasks[0].name"]),
    (r#""name": "a\tb""#, &["bad_name $.tasks[0].name"]),
    (r#""name": "a/b""#, &["bad_name $.tasks[0].name"]),
    (r#""name": "a\\b""#, &["bad_name $.tasks[0].name"]),
    (r#""name": "..""#, &["bad_name $.tasks[0].name"]),
    (r#""name": "a", "task_name": "../../etc/passwd""#, &["bad_name $.tasks[0].task_name @1:51"]),
    (r#""name": "a", "task_name": """#, &["bad_name $.tasks[0].task_name @1:51"]),
    (r#""name": "a", "task_name": "..""#, &["bad_name $.tasks[0].task_name"]),
    (r#""name": "a", "task_name": ".""#, &["bad_name $.tasks[0].task_name"]),
    (r#""name": "a", "task_name": ".hidden""#, &["bad_name $.tasks[0].task_name"]),
    (r#""name": "a", "task_name": "a\u0000b""#, &["bad_name $.tasks[0].task_name"]),
    (r#""name": "a", "task_name": "C:\\x""#, &["bad_name $.tasks[0].task_name"]),
    (r#""name": "a", "task_name": 1"#, &["wrong_type $.tasks[0].task_name"]),
    (r#""name": "a", "args": 1"#, &["wrong_type $.tasks[0].args"]),
    (r#""name": "a", "args": {"x": 1}"#, &["wrong_type $.tasks[0].args"]),
    (r#""name": "a", "kwargs": [1]"#, &["wrong_type $.tasks[0].kwargs"]),
    (r#""name": "a", "kwargs": {"x": 1, "x": 2}"#, &["duplicate_key $.tasks[0].kwargs.x"]),
    (r#""name": "a", "depends": "b""#, &["wrong_type $.tasks[0].depends"]),
    (r#""name": "a", "depends": {"b": 1}"#, &["wrong_type $.tasks[0].depends"]),
    (
        r#""name": "a", "depends": [1, "b", null]"#,
        &["wrong_type $.tasks[0].depends[0]", "unknown_task $.tasks[0].depends[1]", "wrong_type $.tasks[0].depends[2]"],
    ),
    (r#""name": "a", "depends": ["a"]"#, &["cycle $.tasks[0].depends[0]"]),
    (r#""name": "a", "pool": "" "#, &["bad_name $.tasks[0].pool"]),
    (r#""name": "a", "pool": "a b""#, &["bad_name $.tasks[0].pool"]),
    (r#""name": "a", "pool": 3"#, &["wrong_type $.tasks[0].pool"]),
    (r#""name": "a", "priority": true"#, &["wrong_type $.tasks[0].priority"]),
    (r#""name": "a", "priority": -1001"#, &["out_of_range $.tasks[0].priority"]),
    (r#""name": "a", "meta": [1]"#, &["wrong_type $.tasks[0].meta"]),
    (r#""name": "a", "meta": {}, "meta": {}"#, &["duplicate_key $.tasks[0].meta"]),
    (r#""name": "a", "depend": []"#, &["unknown_key $.tasks[0].depend"]),
    (r#""name": "a", "owner": "me""#, &["unknown_key $.tasks[0].owner"]),
    (r#""name": "a", "output": []"#, &["conflicting_keys $.tasks[0].output"]),
    (r#""name": "a", "$schema": "a""#, &[r#"unknown_key $.tasks[0]["$schema"]"#]),
    (
        r#""name": "a", "id": "x", "parent_id": "y", "msg": "", "error": {}, "worker": "w""#,
        &[
            "reserved_key $.tasks[0].id",
            "reserved_key $.tasks[0].parent_id",
            "reserved_key $.tasks[0].msg",
            "reserved_key $.tasks[0].error",
            "reserved_key $.tasks[0].worker",
        ],
    ),
    (
        r#""name": "a", "on_failure": {}, "deadline": [], "concurrency": {}"#,
        &[
            "unknown_key $.tasks[0].on_failure",
            "unsupported_key $.tasks[0].deadline",
            "unsupported_key $.tasks[0].concurrency",
        ],
    ),
    // Items.
    (r#""name": "a", "args": ["_.item"]"#, &["bad_reference $.tasks[0].args[0] @1:47"]),
    (r#""name": "a", "for_each": 3, "args": ["_.items"]"#, &["bad_reference $.tasks[0].args[0]"]),
    (r#""name": "a", "for_each": 3, "args": ["_.index.0"]"#, &["bad_reference $.tasks[0].args[0]"]),
    (r#""name": "a", "for_each": 3, "args": ["_.item..x"]"#, &["bad_reference $.tasks[0].args[0]"]),
    (r#""name": "a", "for_each": 3, "when": {"eq": ["_.item", 1]}"#, &["bad_reference $.tasks[0].when.eq[0]"]),
    (r#""name": "a", "args": ["_.job"]"#, &["bad_reference $.tasks[0].args[0]"]),
    (r#""name": "a", "args": ["_.job.id.x"]"#, &["bad_reference $.tasks[0].args[0]"]),
    (r#""name": "a", "for_each": "_a.data""#, &["cycle $.tasks[0].for_each"]),
    (r#""name": "a", "for_each": "_b.data""#, &["unknown_task $.tasks[0].for_each"]),
    (r#""name": "a", "for_each": "abc""#, &["out_of_range $.tasks[0].for_each @1:50"]),
    (r#""name": "a", "for_each": true"#, &["out_of_range $.tasks[0].for_each"]),
    (r#""name": "a", "for_each": -1"#, &["out_of_range $.tasks[0].for_each"]),
    (r#""name": "a", "for_each": 1.5"#, &["out_of_range $.tasks[0].for_each"]),
    (r#""name": "a", "for_each": 100001"#, &["out_of_range $.tasks[0].for_each"]),
    (r#""name": "a", "for_each": {}"#, &["missing_key $.tasks[0].for_each"]),
    (
        r#""name": "a", "for_each": {"items": [1]}"#,
        &["missing_key $.tasks[0].for_each", "unknown_key $.tasks[0].for_each.items"],
    ),
    (r#""name": "a", "for_each": {"in": 3, "label": "x"}"#, &["unsupported_key $.tasks[0].for_each.label"]),
    (r#""name": "a", "for_each": {"in": 3, "parallel": 0}"#, &["out_of_range $.tasks[0].for_each.parallel"]),
    (r#""name": "a", "for_each": {"in": 3, "parallel": "3"}"#, &["wrong_type $.tasks[0].for_each.parallel"]),
    (r#""name": "a", "for_each": {"in": 3, "batch": 0}"#, &["out_of_range $.tasks[0].for_each.batch"]),
    (r#""name": "a", "for_each": {"in": 3, "fail_fast": "yes"}"#, &["wrong_type $.tasks[0].for_each.fail_fast"]),
    (
        r#""name": "a", "for_each": {"in": 3, "tolerated_failures": "101%"}"#,
        &["out_of_range $.tasks[0].for_each.tolerated_failures"],
    ),
    (
        r#""name": "a", "for_each": {"in": 3, "tolerated_failures": "5"}"#,
        &["out_of_range $.tasks[0].for_each.tolerated_failures"],
    ),
    (
        r#""name": "a", "for_each": {"in": 3, "tolerated_failures": "-1%"}"#,
        &["out_of_range $.tasks[0].for_each.tolerated_failures"],
    ),
    (
        r#""name": "a", "for_each": {"in": 3, "tolerated_failures": -1}"#,
        &["out_of_range $.tasks[0].for_each.tolerated_failures"],
    ),
    (
        r#""name": "a", "for_each": {"in": 3, "tolerated_failures": true}"#,
        &["wrong_type $.tasks[0].for_each.tolerated_failures"],
    ),
    (r#""name": "a", "for_each": {"in": 3, "when": "yes"}"#, &["wrong_type $.tasks[0].for_each.when"]),
    // Time limits.
    (r#""name": "a", "timeout": 0"#, &["out_of_range $.tasks[0].timeout @1:49"]),
    (r#""name": "a", "timeout": "never""#, &["out_of_range $.tasks[0].timeout"]),
    (r#""name": "a", "timeout": -1"#, &["out_of_range $.tasks[0].timeout"]),
    (r#""name": "a", "timeout": true"#, &["wrong_type $.tasks[0].timeout"]),
    (r#""name": "a", "timeout": ["1s"]"#, &["wrong_type $.tasks[0].timeout"]),
    (r#""name": "a", "timeout": {"start_to_end": 1}"#, &["unknown_key $.tasks[0].timeout.start_to_end"]),
    (r#""name": "a", "timeout": {"grace": "0s"}"#, &["out_of_range $.tasks[0].timeout.grace"]),
    (r#""name": "a", "timeout": {"heartbeat": "367d"}"#, &["out_of_range $.tasks[0].timeout.heartbeat"]),
    (
        r#""name": "a", "timeout": {"start_to_close": "2m", "schedule_to_close": "1m"}"#,
        &["out_of_range $.tasks[0].timeout.start_to_close @1:68"],
    ),
    (
        r#""name": "a", "timeout": {"start_to_close": "1m", "heartbeat": "2m", "schedule_to_start": 3, "schedule_to_close": "70s"}"#,
        &["out_of_range $.tasks[0].timeout.heartbeat"],
    ),
    (
        r#""name": "a", "timeout": {"schedule_to_close": "1m", "schedule_to_start": "61s"}"#,
        &["out_of_range $.tasks[0].timeout.schedule_to_start"],
    ),
    // Retry policies.
    (r#""name": "a", "retry": 0"#, &["out_of_range $.tasks[0].retry @1:47"]),
    (r#""name": "a", "retry": 1001"#, &["out_of_range $.tasks[0].retry"]),
    (r#""name": "a", "retry": -1"#, &["out_of_range $.tasks[0].retry"]),
    (r#""name": "a", "retry": 1.5"#, &["wrong_type $.tasks[0].retry"]),
    (r#""name": "a", "retry": "5""#, &["wrong_type $.tasks[0].retry"]),
    (r#""name": "a", "retry": true"#, &["wrong_type $.tasks[0].retry"]),
    (r#""name": "a", "retry": []"#, &["wrong_type $.tasks[0].retry"]),
    (r#""name": "a", "retry": {"max_attempts": 3}"#, &["unknown_key $.tasks[0].retry.max_attempts"]),
    (r#""name": "a", "retry": {"x-note": 3}"#, &["unknown_key $.tasks[0].retry.x-note"]),
    (r#""name": "a", "retry": {"maximum_attempts": 0}"#, &["out_of_range $.tasks[0].retry.maximum_attempts"]),
    (
        r#""name": "a", "retry": {"maximum_attempts": 99999999999999999999}"#,
        &["out_of_range $.tasks[0].retry.maximum_attempts"],
    ),
    (r#""name": "a", "retry": {"initial_interval": "0s"}"#, &["out_of_range $.tasks[0].retry.initial_interval"]),
    (r#""name": "a", "retry": {"initial_interval": 0}"#, &["out_of_range $.tasks[0].retry.initial_interval"]),
    (r#""name": "a", "retry": {"initial_interval": -1}"#, &["out_of_range $.tasks[0].retry.initial_interval"]),
    (r#""name": "a", "retry": {"initial_interval": "soon"}"#, &["out_of_range $.tasks[0].retry.initial_interval"]),
    (r#""name": "a", "retry": {"initial_interval": "5 s"}"#, &["out_of_range $.tasks[0].retry.initial_interval"]),
    (r#""name": "a", "retry": {"initial_interval": "367d"}"#, &["out_of_range $.tasks[0].retry.initial_interval"]),
    (r#""name": "a", "retry": {"initial_interval": 1e300}"#, &["out_of_range $.tasks[0].retry.initial_interval"]),
    (r#""name": "a", "retry": {"initial_interval": []}"#, &["wrong_type $.tasks[0].retry.initial_interval"]),
    (
        r#""name": "a", "retry": {"initial_interval": "1m", "maximum_interval": "1s"}"#,
        &["out_of_range $.tasks[0].retry.maximum_interval"],
    ),
    (r#""name": "a", "retry": {"backoff_coefficient": 0.5}"#, &["out_of_range $.tasks[0].retry.backoff_coefficient"]),
    (r#""name": "a", "retry": {"backoff_coefficient": 1e300}"#, &["out_of_range $.tasks[0].retry.backoff_coefficient"]),
    (r#""name": "a", "retry": {"backoff_coefficient": "2"}"#, &["wrong_type $.tasks[0].retry.backoff_coefficient"]),
    (r#""name": "a", "retry": {"jitter": 1.1}"#, &["out_of_range $.tasks[0].retry.jitter"]),
    (r#""name": "a", "retry": {"jitter": -0.1}"#, &["out_of_range $.tasks[0].retry.jitter"]),
    (r#""name": "a", "retry": {"retry_on": "OSError"}"#, &["wrong_type $.tasks[0].retry.retry_on"]),
    (r#""name": "a", "retry": {"retry_on": [1]}"#, &["wrong_type $.tasks[0].retry.retry_on[0]"]),
    (r#""name": "a", "retry": {"non_retryable": [""]}"#, &["bad_name $.tasks[0].retry.non_retryable[0]"]),
    (r#""name": "a", "retry": {"exhausted": "wait"}"#, &["out_of_range $.tasks[0].retry.exhausted"]),
    (r#""name": "a", "retry": {"hold_for": "1h"}"#, &["out_of_range $.tasks[0].retry.hold_for"]),
    // Trigger rules.
    (r#""name": "a", "trigger_rule": "all_sucess""#, &["out_of_range $.tasks[0].trigger_rule @1:54"]),
    (r#""name": "a", "trigger_rule": 1"#, &["wrong_type $.tasks[0].trigger_rule"]),
    (r#""name": "a", "trigger_rule": "one_failed""#, &["out_of_range $.tasks[0].trigger_rule"]),
    (
        r#""name": "a", "trigger_rule": "all_failed", "args": ["_b.name"]}, {"name": "b""#,
        &["out_of_range $.tasks[0].trigger_rule"],
    ),
    (
        r#""name": "a", "trigger_rule": "one_done", "args": ["_b.data"]}, {"name": "b""#,
        &["out_of_range $.tasks[0].trigger_rule"],
    ),
    (
        r#""name": "a", "trigger_rule": "always", "kwargs": {"x": ["_b.error"]}}, {"name": "b""#,
        &["out_of_range $.tasks[0].trigger_rule"],
    ),
    (
        r#""name": "a", "trigger_rule": "one_success", "depends": ["b"], "when": "_b.data"}, {"name": "b""#,
        &["out_of_range $.tasks[0].trigger_rule"],
    ),
    // Conditions and delays.
    (r#""name": "a", "when": 1"#, &["wrong_type $.tasks[0].when"]),
    (r#""name": "a", "when": []"#, &["wrong_type $.tasks[0].when"]),
    (r#""name": "a", "when": "true""#, &["wrong_type $.tasks[0].when"]),
    (r#""name": "a", "when": "_b.data""#, &["unknown_task $.tasks[0].when"]),
    (r#""name": "a", "when": "_a.data""#, &["cycle $.tasks[0].when"]),
    (r#""name": "a", "when": "_b.data"}, {"name": "b", "when": {"eq": ["_a.data", 1]}"#, &["cycle $.tasks[0]"]),
    (r#""name": "a", "when": {}"#, &["wrong_type $.tasks[0].when"]),
    (r#""name": "a", "when": {"eq": [1, 2], "ne": [1, 2]}"#, &["wrong_type $.tasks[0].when"]),
    (r#""name": "a", "when": {"equals": [1, 2]}"#, &["unknown_key $.tasks[0].when.equals"]),
    (r#""name": "a", "when": {"eq": [1]}"#, &["wrong_type $.tasks[0].when.eq"]),
    (r#""name": "a", "when": {"eq": [1, 2, 3]}"#, &["wrong_type $.tasks[0].when.eq"]),
    (r#""name": "a", "when": {"eq": 1}"#, &["wrong_type $.tasks[0].when.eq"]),
    (r#""name": "a", "when": {"all": []}"#, &["out_of_range $.tasks[0].when.all"]),
    (r#""name": "a", "when": {"all": true}"#, &["wrong_type $.tasks[0].when.all"]),
    (r#""name": "a", "when": {"any": [true, {"all": [1]}]}"#, &["wrong_type $.tasks[0].when.any[1].all[0]"]),
    (r#""name": "a", "when": {"not": [true]}"#, &["wrong_type $.tasks[0].when.not"]),
    (r#""name": "a", "when": {"exists": "x"}"#, &["wrong_type $.tasks[0].when.exists"]),
    (r#""name": "a", "when": {"exists": ["_b.data"]}}, {"name": "b""#, &["wrong_type $.tasks[0].when.exists"]),
    (r#""name": "a", "when": {"exists": "_b.dta"}}, {"name": "b""#, &["bad_reference $.tasks[0].when.exists"]),
    (r#""name": "a", "delay": "-1s""#, &["out_of_range $.tasks[0].delay"]),
    (r#""name": "a", "delay": true"#, &["wrong_type $.tasks[0].delay"]),
    (r#""name": "a", "delay": "_a.data""#, &["cycle $.tasks[0].delay"]),
    (r#""name": "a", "delay": 31622401"#, &["out_of_range $.tasks[0].delay"]),
    (r#""name": "a", "args": ["_foo"]"#, &["bad_reference $.tasks[0].args[0] @1:47"]),
    (r#""name": "a", "args": ["_"]"#, &["bad_reference $.tasks[0].args[0]"]),
    (r#""name": "a", "args": ["_."]"#, &["bad_reference $.tasks[0].args[0]"]),
    (r#""name": "a", "args": ["_.data"]"#, &["bad_reference $.tasks[0].args[0]"]),
    (r#""name": "a", "args": ["_a.dat"]"#, &["bad_reference $.tasks[0].args[0]"]),
    (r#""name": "a", "args": ["_b.data"]"#, &["unknown_task $.tasks[0].args[0]"]),
    (r#""name": "a", "args": ["_a.id.x"]"#, &["bad_reference $.tasks[0].args[0]"]),
    (r#""name": "a", "args": ["_a.status.0"]"#, &["bad_reference $.tasks[0].args[0]"]),
    (r#""name": "a", "args": ["_b.data."]"#, &["bad_reference $.tasks[0].args[0]"]),
    (r#""name": "a", "args": ["_b.data..x"]"#, &["bad_reference $.tasks[0].args[0]"]),
    (r#""name": "a", "args": ["_a.data"]"#, &["cycle $.tasks[0].args[0]"]),
    (r#""name": "a", "kwargs": {"x": "_a.error.kind"}"#, &["cycle $.tasks[0].kwargs.x"]),
    (r#""name": "a", "args": ["\u005fb.data"]"#, &["unknown_task $.tasks[0].args[0]"]),
    (r#""name": "a", "args": [[{"x y": [0, "_foo"]}]]"#, &[r#"bad_reference $.tasks[0].args[0][0]["x y"][1]"#]),
];

const GRAPH: &[Row] = &[
    (
        r#"{"name": "j", "tasks": [{"name": "a"}, {"name": "b"}, {"name": "a"}, {"name": "a"}]}"#,
        &["duplicate_task $.tasks[2].name @1:64", "duplicate_task $.tasks[3].name @1:79"],
    ),
    (
        r#"{"name": "j", "tasks": [{"name": "a", "depends": ["b"]}, {"name": "b", "depends": ["a"]}]}"#,
        &["cycle $.tasks[0] @1:25"],
    ),
    (
        r#"{"name": "j", "tasks": [{"name": "a", "args": ["_b.data"]}, {"name": "b", "kwargs": {"x": ["_a.status"]}}]}"#,
        &["cycle $.tasks[0]"],
    ),
    (
        r#"{"name": "j", "tasks": [{"name": "a"}], "output": ["_b.data", {"x": "_a.datum"}, "_c"]}"#,
        &["unknown_task $.output[0]", "bad_reference $.output[1].x", "bad_reference $.output[2]"],
    ),
    (r#"{"name": "j", "tasks": [{"name": "a"}], "output": "_b.data"}"#, &["unknown_task $.output"]),
];

#[test]
fn each_malformed_job_is_refused_for_the_right_reason() {
    let tasks = TASK.iter().map(|(task, expected)| (format!(r#"{{"name": "j", "tasks":[{{{task}}}]}}"#), *expected));
    let whole = [NOT_JSON, SHAPE, GRAPH].concat().into_iter().map(|(text, expected)| (text.to_owned(), expected));
    let mut rows = 0;
    for (text, expected) in whole.chain(tasks) {
        rows += 1;
        let found = refuse(&text);
        assert_eq!(found.len(), expected.len(), "{text}\n{found:#?}");
        for (problem, expected) in found.iter().zip(expected) {
            let plain = format!("{} {}", code(problem), problem.path);
            let placed = format!("{plain} @{}:{}", problem.line.unwrap(), problem.column.unwrap());
            assert!([plain, placed.clone()].iter().any(|said| said == expected), "{text}\n{placed}, not {expected}");
        }
    }
    assert!(rows >= 60, "{rows}");
}

#[test]
fn all_problems_are_reported_in_the_order_of_the_text() {
    let text = r#"{
  "name": "j",
  "tsks": [],
  "tasks": [
    {"name": "add", "args": ["_mul.data"], "depends": ["ad"]},
    {"name": "ärger", "status": "SUCCESS", "args": ["ü", "_add.dta"]},
    {"name": "mul", "args": "_add.data"},
    {"name": "x", "depends": ["y"]}, {"name": "y", "depends": ["x"], "prioritty": 5}
  ],
  "output": "_nul.data"
}"#;
    let problems = Job::parse(text, &Limits::default()).unwrap_err();
    let said: Vec<String> = problems.to_string().lines().map(str::to_owned).collect();
    assert_eq!(
        said,
        [
            r#"3:3: $.tsks: unknown key "tsks" (did you mean "tasks"?)"#,
            r#"5:56: $.tasks[0].depends[0]: no task is named "ad" (did you mean "add"?)"#,
            r#"6:23: $.tasks[1].status: "status" is set by Hub (remove it, and put your own data in "meta")"#,
            r#"6:58: $.tasks[1].args[1]: "_add.dta": a task has no "dta"; it has data, id, name, status, error (did you mean "data"?)"#,
            r#"7:29: $.tasks[2].args: "args" must be a list, not a string (put it in brackets: [ ])"#,
            r"8:5: $.tasks[3]: dependency cycle: x → y → x",
            r#"8:70: $.tasks[4].prioritty: unknown key "prioritty" (did you mean "priority"?)"#,
            r#"10:13: $.output: "_nul.data" refers to a task that is not in the job (did you mean "mul"?)"#,
        ]
    );
}

#[test]
fn suggestions_explain_what_to_do() {
    let hints = [
        (r#"{"name": "j", "tasks": [{"name": "a", "args": ["_a"]}]}"#, r#"did you mean "_a.data"?"#),
        (
            r#"{"name": "j", "tasks": [{"name": "a", "args": ["_private"]}]}"#,
            r#"for the text itself write "__private""#,
        ),
        (r#"{"name": "j", "tasks": [{"name": "a", "args": ["_a.id.x"]}]}"#, "end the reference after .id"),
        (
            r#"{"name": "j", "tasks": [{"name": "a", "retries": 3}]}"#,
            r#"put your own keys in "meta", or begin them with "x-""#,
        ),
        (r#"{"name": "j", "tasks": [{"name": "a"}], "args": []}"#, "it belongs in a task"),
        (r#"{"name": "j", "tasks": [{"name": "a"}], "trigger_rule": 1}"#, "it belongs in a task"),
        (r#"{"name": "j", "tasks": [{"name": "a", "key": "k"}]}"#, "it belongs to the job, beside \"tasks\""),
        (r#"{"name": "j", "tasks": [{"name": "a"}], "schema": "a"}"#, r#"did you mean "$schema"?"#),
        ("{\"a\": None}", "JSON has true, false and null, but neither NaN nor Infinity"),
        ("{\"a\": 1,}", "remove the comma before it"),
        ("# job\n{}", "JSON has no comments"),
    ];
    for (text, hint) in hints {
        assert_eq!(refuse(text)[0].suggestion.as_deref(), Some(hint), "{text}");
    }
}

#[test]
fn invalid_utf8_is_reported_with_its_place() {
    let mut bytes = "{\n \"näme\": \"".as_bytes().to_vec();
    bytes.extend([0xff, 0xfe]);
    let problems: Vec<_> = Job::parse_bytes(&bytes, &Limits::default()).unwrap_err().into_iter().collect();
    assert_eq!((code(&problems[0]).as_str(), problems[0].line, problems[0].column), ("not_utf8", Some(2), Some(11)));
    assert!(problems[0].message.contains("byte 13 "), "{}", problems[0].message);
}

#[test]
fn each_group_of_cyclic_tasks_is_reported_once() {
    let found = refuse(
        r#"{"name": "j", "tasks": [
            {"name": "a", "depends": ["b", "long"]}, {"name": "b", "args": ["_a.data"]},
            {"name": "long", "depends": ["a"]},
            {"name": "behind", "depends": ["b", "beyond"]}, {"name": "beyond", "depends": ["behind"]},
            {"name": "free", "args": ["_behind.id", "_behind.name"]}]}"#,
    );
    let said: Vec<&str> = found.iter().map(|problem| problem.message.as_str()).collect();
    assert_eq!(said, ["dependency cycle: a → b → a", "dependency cycle: behind → beyond → behind",]);
}

#[test]
fn problems_have_a_json_form() {
    let found = refuse(r#"{"name": "j", "tasks": [{"name": "a", "depnds": []}]}"#);
    assert_eq!(
        serde_json::to_value(&found).unwrap(),
        serde_json::json!([{
            "code": "unknown_key", "path": "$.tasks[0].depnds", "line": 1, "column": 39,
            "message": "unknown key \"depnds\"", "suggestion": "did you mean \"depends\"?"
        }])
    );
}
