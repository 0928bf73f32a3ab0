//! JSON texts that the keys of random jobs can have, and some that they cannot have.

// Every start that is a time is before every deadline that is one.
pub(crate) const STARTS: &[&str] = &["1", "\"10m\"", "\"2026-12-01\"", "\"2026-12-01T10:30:00.25+01:00\"", "null"];
pub(crate) const DEADLINES: &[&str] =
    &["0.5", "\"366d\"", "\"2126-12-01t10:30:00z\"", "\"2126-12-01 10:30:00-05:30\"", "null"];
pub(crate) const BAD_MOMENTS: &[&str] = &[
    "0",
    "-1",
    "31622401",
    "\"\"",
    "\"soon\"",
    "\"2026-11-27T00:00\"",
    "\"2026-11-27T00:00:00\"",
    "\"27.11.2026\"",
    "true",
    "[]",
    "{}",
];

pub(crate) const RETRIES: &[&str] = &[
    "1",
    "1000",
    "{}",
    "null",
    r#"{"maximum_attempts": 5, "initial_interval": "250ms", "backoff_coefficient": 1.5, "maximum_interval": 60}"#,
    r#"{"jitter": 0, "retry_on": ["OSError", "TIMED_OUT"], "non_retryable": [], "exhausted": "hold", "hold_for": "2d"}"#,
];
pub(crate) const BAD_RETRIES: &[&str] = &[
    "0",
    "1001",
    "1.5",
    "\"3\"",
    "true",
    "[]",
    r#"{"attempts": 3}"#,
    r#"{"x-a": 3}"#,
    r#"{"maximum_attempts": 0}"#,
    r#"{"initial_interval": 0}"#,
    r#"{"initial_interval": "soon"}"#,
    r#"{"backoff_coefficient": 0.9}"#,
    r#"{"jitter": 1.1}"#,
    r#"{"retry_on": "OSError"}"#,
    r#"{"retry_on": [""]}"#,
    r#"{"exhausted": "wait"}"#,
];

pub(crate) const TIMEOUTS: &[&str] = &[
    "1",
    "0.5",
    "\"10m\"",
    "{}",
    "null",
    r#"{"start_to_close": "10m", "schedule_to_start": "1h", "schedule_to_close": "2h", "heartbeat": 30, "grace": "1s"}"#,
];
pub(crate) const BAD_TIMEOUTS: &[&str] = &[
    "0",
    "-1",
    "31622401",
    "\"\"",
    "\"soon\"",
    "true",
    "[]",
    r#"{"start_to_finish": "1m"}"#,
    r#"{"x-a": 3}"#,
    r#"{"heartbeat": 0}"#,
    r#"{"grace": "never"}"#,
    r#"{"schedule_to_close": []}"#,
];
pub(crate) const WAITS: &[&str] = &[
    "null",
    r#"{"until": "90s"}"#,
    r#"{"until": 0.5, "signal": null, "timeout": null}"#,
    r#"{"until": "2026-11-23T22:01:43.5+01:00"}"#,
    r#"{"until": "2026-11-23"}"#,
    r#"{"until": "_@T.data.time"}"#,
    r#"{"signal": "größe", "count": 1000}"#,
    r#"{"signal": "s", "timeout": "1h", "on_timeout": {"data": ["_@T"]}}"#,
    r#"{"signal": "s", "count": null, "timeout": 1, "on_timeout": "skip"}"#,
    r#"{"approval": {}, "on_timeout": null}"#,
    r#"{"approval": {"message": {"q": ["_@T.data"]}, "choices": ["ja", "@a"], "fail_on": []}, "timeout": "1h"}"#,
];
pub(crate) const BAD_WAITS: &[&str] = &[
    "{}",
    "[]",
    "\"1h\"",
    "true",
    r#"{"until": null}"#,
    r#"{"until": "soon"}"#,
    r#"{"until": "2026-11-23T22:01"}"#,
    r#"{"until": "__a"}"#,
    r#"{"until": "_@T.dta"}"#,
    r#"{"until": []}"#,
    r#"{"until": "1h", "signal": "s"}"#,
    r#"{"until": "1h", "timeout": "1h"}"#,
    r#"{"until": "1h", "count": 1}"#,
    r#"{"signal": ""}"#,
    r#"{"signal": 1}"#,
    r#"{"signal": "s", "count": 0}"#,
    r#"{"signal": "s", "count": 1001}"#,
    r#"{"signal": "s", "on_timeout": "skip"}"#,
    r#"{"signal": "s", "timeout": 1, "on_timeout": "go"}"#,
    r#"{"signal": "s", "timeout": 1, "on_timeout": {"data": 1, "x": 1}}"#,
    r#"{"signal": "s", "timeout": 1, "on_timeout": 1}"#,
    r#"{"signal": "s", "approval": {}}"#,
    r#"{"approval": "Go?"}"#,
    r#"{"approval": {"choices": []}}"#,
    r#"{"approval": {"choices": ["a", "a"]}}"#,
    r#"{"approval": {"choices": [1]}}"#,
    r#"{"approval": {"schema": {}}}"#,
    r#"{"approval": {"message": "_@T.dta"}}"#,
    r#"{"x-a": 1}"#,
];

pub(crate) const CACHES: &[&str] = &[
    "null",
    r#"{"ttl": "24h"}"#,
    r#"{"ttl": 0.5, "key": null, "version": null, "refresh": null}"#,
    r#"{"ttl": "1h30m", "key": ["_@T.data", {"a": "__x"}], "version": "ä", "refresh": true}"#,
    r#"{"ttl": "366d", "key": "_.job.name", "version": -1.50}"#,
];
pub(crate) const BAD_CACHES: &[&str] = &[
    "{}",
    "\"24h\"",
    "[]",
    "true",
    r#"{"ttl": null}"#,
    r#"{"ttl": 0}"#,
    r#"{"ttl": "soon"}"#,
    r#"{"key": 1}"#,
    r#"{"ttl": 1, "key": "_@T.dta"}"#,
    r#"{"ttl": 1, "key": ["_.secret.x"]}"#,
    r#"{"ttl": 1, "version": []}"#,
    r#"{"ttl": 1, "version": true}"#,
    r#"{"ttl": 1, "refresh": "yes"}"#,
    r#"{"ttl": 1, "x-a": 1}"#,
];

pub(crate) const NAMES: &[&str] = &["\"j\"", "\"a b\"", "\"ä.b/c\\\\d\"", "\"\\u0041\"", "\"@a\"", "\"_\""];
pub(crate) const BAD_NAMES: &[&str] =
    &["\"\"", "5", "[]", "\"a\\nb\"", "\"\\u0000\"", "\"\\u007f\"", "\"@ab\"", "\"@e\""];
/// Names of tasks, each followed by a number.
pub(crate) const TASK_NAMES: [&str; 6] = ["t", "ä ", "A-", "_", "x_y", "{}"];
pub(crate) const BAD_TASK_NAMES: [&str; 10] =
    ["\"\"", "\"a.b\"", "\"a/b\"", "\"a\\\\b\"", "\"a\\tb\"", "\"@ab\"", "\"@e\"", "null", "1", "[]"];
pub(crate) const PRIORITIES: &[&str] = &["0", "-0", "-1000", "1000", "7", "null"];
pub(crate) const BAD_PRIORITIES: &[&str] =
    &["1001", "-1001", "1.5", "1.0", "1e2", "\"1\"", "true", "[]", "99999999999999999999"];
pub(crate) const TEMPLATES: &[&str] =
    &["null", "1.50", "\"\"", "\"_@T.data\"", "\"__\"", r#"{"a": "_@T.name", "b": ["_@T.data.0.ä b"]}"#];
pub(crate) const BAD_TEMPLATES: &[&str] = &[
    "\"_\"",
    "\"_@T\"",
    "\"_@T.\"",
    "\"_@T.dta\"",
    "\"_@T.data.\"",
    "\"_@T.data..a\"",
    "\"_@T.status.0\"",
    "\"_.data\"",
    "\"_.secret.x\"",
    "\"_absent.data\"",
    "\"__0.data\"",
    r#"{"a": ["_@T"]}"#,
];
pub(crate) const LISTS: &[&str] = &[
    "[]",
    "null",
    r#"["_@T.data", "_@T.id", "_@T.name", "_@T.status", "_@T.error"]"#,
    r#"["_.secret.a-B_1", {"a": ["_.secret.x"]}]"#,
    r#"["_@T.data.a.0", "_@T.error.kind", "__", "__a", "___a.b", "\u005f@T.data"]"#,
    r#"[[1, "a"], {"": ["_@T.data.\n"]}, 1e3, true]"#,
];
/// Keys that cannot stand beside `wait`.
pub(crate) const BESIDE_WAIT: [&str; 15] = [
    "task_name",
    "args",
    "kwargs",
    "command",
    "shell",
    "http",
    "env",
    "cwd",
    "output",
    "pool",
    "priority",
    "for_each",
    "retry",
    "timeout",
    "cache",
];
/// Keys that do not go together with `job`.
pub(crate) const BESIDE_JOB: [&str; 12] =
    ["task_name", "args", "kwargs", "command", "shell", "http", "env", "cwd", "output", "wait", "pool", "cache"];
/// Invalid keys in jobs and tasks: unknown, planned, or set by Hub.
pub(crate) const BAD_KEYS: [&str; 8] = ["nme", "X-a", "x", "timeouts", "schedule", "id", "status", ""];
/// Valid user-defined keys.
pub(crate) const OWN_KEYS: [&str; 3] = ["x-", "x-a", "x-ä.b"];
