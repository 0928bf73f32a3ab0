//! Texts of random jobs, most of them valid, the others with invalid keys of all kinds. They test the parser against the schema
//! of the job format.

use std::fmt::Write as _;

use crate::job_values::{
    BAD_CACHES, BAD_KEYS, BAD_MOMENTS, BAD_NAMES, BAD_PRIORITIES, BAD_RETRIES, BAD_TASK_NAMES, BAD_TEMPLATES,
    BAD_TIMEOUTS, BAD_WAITS, BESIDE_JOB, BESIDE_WAIT, CACHES, DEADLINES, LISTS, NAMES, OWN_KEYS, PRIORITIES, RETRIES,
    STARTS, TASK_NAMES, TEMPLATES, TIMEOUTS, WAITS,
};
use crate::simulator::dice::Dice;

/// A key of the format, and JSON texts that it can have. `@T` is the name of an earlier task, `@a` stands for 255 letters,
/// `@e` for 200 letters of two bytes each.
struct Key {
    name: &'static str,
    right: &'static [&'static str],
    wrong: &'static [&'static str],
}

/// The keys of a job, without its tasks.
const JOB: [Key; 16] = [
    Key { name: "name", right: NAMES, wrong: BAD_NAMES },
    Key { name: "key", right: NAMES, wrong: BAD_NAMES },
    Key { name: "output", right: TEMPLATES, wrong: BAD_TEMPLATES },
    Key { name: "priority", right: PRIORITIES, wrong: BAD_PRIORITIES },
    Key { name: "meta", right: &["{}", r#"{"a": "_a", "b": null}"#, "null"], wrong: &["[]", "1", "\"a\""] },
    Key { name: "retry", right: RETRIES, wrong: BAD_RETRIES },
    Key { name: "timeout", right: TIMEOUTS, wrong: BAD_TIMEOUTS },
    Key { name: "start_at", right: STARTS, wrong: BAD_MOMENTS },
    Key { name: "deadline", right: DEADLINES, wrong: BAD_MOMENTS },
    Key {
        name: "on_failure",
        right: &[
            "[]",
            "null",
            r#"[{"name": "alarm", "args": ["_.failure.msg"]}, {"name": "b c", "depends": ["alarm"]}]"#,
        ],
        wrong: &["{}", "1", "[1]", "[{}]", r#"[{"name": "alarm", "arg": 1}]"#],
    },
    Key {
        name: "finally",
        right: &["[]", "null", r#"[{"name": "clean up", "task_name": "add", "retry": 2}]"#],
        wrong: &["{}", "\"a\"", "[null]", r#"[{"name": "a.b"}]"#],
    },
    Key { name: "handler_deadline", right: &["\"1h\"", "90", "null"], wrong: &["0", "\"-1s\"", "[]", "\"soon\""] },
    Key {
        name: "inputs",
        right: &["{}", r#"{"day": "_x", "n": [1, {"a": null}]}"#, "null"],
        wrong: &["[]", "1", r#""x""#, "true"],
    },
    Key {
        name: "input_schema",
        right: &["{}", r#"{"type": "object", "required": ["n"]}"#, r#"{"type": "nonsense"}"#, "null"],
        wrong: &["[]", "true", "1", r#""x""#],
    },
    Key {
        name: "labels",
        right: &["{}", r#"{"team": "data", "a.b/c-d": "", "ä": "two words"}"#, r#"{"a": "@a"}"#, "null"],
        wrong: &[
            "[]",
            r#"{"a b": ""}"#,
            r#"{"a:b": ""}"#,
            r#"{"a*": ""}"#,
            r#"{"": ""}"#,
            r#"{"a": 1}"#,
            r#"{"a": null}"#,
            r#"{"a": "\n"}"#,
        ],
    },
    Key { name: "$schema", right: &["\"./job.schema.json\"", "\"\"", "null"], wrong: &["1", "{}", "true"] },
];

/// The keys of a task, without its name.
const TASK: [Key; 25] = [
    Key {
        name: "task_name",
        right: &["\"add\"", "\"report.v2\"", "\"ä _\"", "\"@a\"", "null"],
        wrong: &["\"\"", "\".\"", "\".a\"", "\"a/b\"", "\"a\\\\b\"", "\"a\\n\"", "\"\\u0085\"", "1", "[]", "\"@ab\""],
    },
    Key {
        name: "args",
        right: LISTS,
        wrong: &[
            "[\"__0.data\"]",
            "[\"_.secret\"]",
            "[\"_.secret.a.b\"]",
            "{}",
            "\"a\"",
            "1",
            "true",
            "[\"_\"]",
            "[[\"_@T.dta\"]]",
            "[{\"a\": \"_@T\"}]",
        ],
    },
    Key {
        name: "kwargs",
        right: &[
            r#"{"a": "_.secret.x"}"#,
            "{}",
            "null",
            r#"{"a": "_@T.data", "_a": 1}"#,
            r#"{"a": {"b": ["__a", "_@T.error.kind"]}}"#,
        ],
        wrong: &[
            "[]",
            "\"a\"",
            "1",
            r#"{"a": "__0.data"}"#,
            r#"{"a": "_@T.id.x"}"#,
            r#"{"a": {"b": ["_"]}}"#,
            r#"{"a": 1, "a": 2}"#,
        ],
    },
    Key {
        name: "depends",
        right: &["[]", "null", "[\"@T\"]", "[\"@T\", \"@T\"]"],
        wrong: &["\"@T\"", "{}", "[1]", "[null]", "[\"absent\"]"],
    },
    Key {
        name: "pool",
        right: &["\"default\"", "\"gpu-1.A_b\"", "null"],
        wrong: &["\"\"", "\"a b\"", "\"ä\"", "\"a\\n\"", "\"@a\"", "1", "[]"],
    },
    Key { name: "priority", right: PRIORITIES, wrong: BAD_PRIORITIES },
    Key {
        name: "trigger_rule",
        right: &["\"all_success\"", "\"all_done\"", "\"none_failed\"", "\"none_skipped\"", "null"],
        wrong: &["\"\"", "\"all_sucess\"", "\"ALL_DONE\"", "1", "[]", "{}"],
    },
    Key {
        name: "when",
        right: &[
            "true",
            "null",
            "\"_@T.data\"",
            r#"{"eq": ["_@T.data.a", 1]}"#,
            r#"{"all": [{"not": false}, {"any": [{"exists": "_@T.data.a"}, {"empty": []}]}, {"in": [1, [1]]}]}"#,
        ],
        wrong: &[
            "1",
            "[]",
            "{}",
            "\"a\"",
            "\"__a\"",
            r#"{"eq": [1]}"#,
            r#"{"eq": [1, 2], "ne": [1, 2]}"#,
            r#"{"equal": [1, 2]}"#,
            r#"{"all": []}"#,
            r#"{"not": [true]}"#,
            r#"{"exists": "a"}"#,
            r#"{"lt": ["_@T", 1]}"#,
        ],
    },
    Key {
        name: "delay",
        right: &["0", "1.5", "\"0s\"", "\"1h30m\"", "\"_@T.data\"", "null"],
        wrong: &["-1", "\"soon\"", "\"\"", "\"1 s\"", "31622401", "[]", "true", "\"__a\""],
    },
    Key { name: "retry", right: RETRIES, wrong: BAD_RETRIES },
    Key { name: "timeout", right: TIMEOUTS, wrong: BAD_TIMEOUTS },
    Key {
        name: "for_each",
        right: &[
            "3",
            "0",
            "-0",
            "[]",
            "[1, \"a\"]",
            "\"_@T.data\"",
            "[\"_@T.data.0\", \"__x\"]",
            "null",
            r#"{"in": {"a": 1}, "parallel": 20, "tolerated_failures": "5%", "fail_fast": true, "batch": 2}"#,
            r#"{"in": "_@T.data", "when": {"gt": ["_.item.size", 3]}, "tolerated_failures": 3}"#,
            r#"{"in": 5, "when": {"eq": ["_.index", "_@T.data"]}, "tolerated_failures": "12.5%"}"#,
        ],
        wrong: &[
            "1.5",
            "-1",
            "100001",
            "true",
            "\"abc\"",
            "\"\"",
            "\"__a\"",
            "[\"_\"]",
            "{}",
            r#"{"in": "a"}"#,
            r#"{"in": 3, "parallel": 0}"#,
            r#"{"in": 3, "batch": 1.5}"#,
            r#"{"in": 3, "tolerated_failures": "101%"}"#,
            r#"{"in": 3, "tolerated_failures": "5"}"#,
            r#"{"in": 3, "fail_fast": 1}"#,
            r#"{"in": 3, "when": "yes"}"#,
            r#"{"in": 3, "x-a": 1}"#,
        ],
    },
    Key {
        name: "command",
        right: &["null", "[\"true\"]", r#"["a", "b c", 1.5, "_@T.data", "__x", ""]"#, r#"["_@T.data.program"]"#],
        wrong: &[
            "[]",
            "[\"\"]",
            "[1]",
            "\"true\"",
            "{}",
            "[\"a\", \"_.secret.x\"]",
            "[\"a\", true]",
            "[\"a\", null]",
            "[\"a\", \"\\u0000\"]",
            "[[\"a\"]]",
            "[\"_@T\"]",
        ],
    },
    Key {
        name: "shell",
        right: &["null", "\"true\"", "\"echo _x.data\"", "\"_\"", "\"a\\nb\""],
        wrong: &["\"\"", "1", "[\"true\"]", "\"a\\u0000\"", "true"],
    },
    Key {
        name: "http",
        right: &[
            "null",
            r#"{"url": "http://a"}"#,
            r#"{"url": "_@T.data", "method": "POST", "headers": {"X-A": "_@T.data", "b": 1}, "body": ["_@T.data", null]}"#,
            r#"{"url": "http://a", "headers": {"Authorization": "_.secret.x"}}"#,
            r#"{"url": "https://a/b?c=ä", "method": null, "headers": {}, "body": "__x"}"#,
        ],
        wrong: &[
            "{}",
            "\"http://a\"",
            "[]",
            r#"{"url": "a"}"#,
            r#"{"url": "ftp://a"}"#,
            r#"{"url": "http://"}"#,
            r#"{"url": "http://a b"}"#,
            r#"{"url": 1}"#,
            r#"{"url": "http://a", "method": "get"}"#,
            r#"{"url": "http://a", "headers": []}"#,
            r#"{"url": "http://a", "headers": {"a b": "c"}}"#,
            r#"{"url": "http://a", "headers": {"Content-Length": 1}}"#,
            r#"{"url": "http://a", "headers": {"a": "b\r\nc: d"}}"#,
            r#"{"url": "http://a", "headers": {"a": null}}"#,
            r#"{"url": "http://a", "body": {"a": "_.secret.x"}}"#,
            r#"{"url": "http://a", "body": "_@T"}"#,
            r#"{"url": "http://a", "data": 1}"#,
        ],
    },
    Key {
        name: "env",
        right: &["null", "{}", r#"{"A": "_@T.data", "b c": 1, "ä": "", "_": "__x"}"#, r#"{"A": "_.secret.x"}"#],
        wrong: &[
            "[]",
            r#"{"": "a"}"#,
            r#"{"A=": "a"}"#,
            r#"{"HUB_A": "a"}"#,
            r#"{"A": null}"#,
            r#"{"A": {}}"#,
            r#"{"A": "\u0000"}"#,
        ],
    },
    Key {
        name: "cwd",
        right: &["null", "\"/tmp\"", "\"..\"", "\"_x.data\""],
        wrong: &["\"\"", "1", "[]", "\"a\\u0000\""],
    },
    Key { name: "output", right: &["null", "\"text\"", "\"json\""], wrong: &["\"\"", "\"JSON\"", "1", "[]", "true"] },
    Key {
        name: "recover",
        right: &[
            "{}",
            "null",
            r#"{"fallback": {"a": ["_@T.data", "_.failure", "_.failure.kind", "__.failure"]}, "match": null}"#,
            r#"{"fallback": "_.failure.bases.0", "match": ["OSError", "MISSING_VALUE"]}"#,
        ],
        wrong: &[
            "[]",
            "true",
            "\"_.failure\"",
            r#"{"fallback": "_.failures"}"#,
            r#"{"fallback": ["_.failure."]}"#,
            r#"{"fallback": "_@T.dta"}"#,
            r#"{"match": "OSError"}"#,
            r#"{"match": [""]}"#,
            r#"{"x-a": 1}"#,
        ],
    },
    Key {
        name: "job",
        right: &[
            "null",
            r#"{"name": "c", "tasks": [{"name": "x", "args": ["_.input", "_.input.a.0"]}, {"name": "y", "depends": ["x"]}]}"#,
            r#"{"name": "c", "key": null, "tasks": [{"name": "x", "job": {"name": "d", "tasks": [{"name": "x"}], "output": "_.input"}}]}"#,
        ],
        wrong: &[
            "\"etl@7\"",
            "[]",
            "1",
            "{}",
            r#"{"name": "c"}"#,
            r#"{"name": "c", "tasks": []}"#,
            r#"{"name": "c", "tasks": [{"name": "x", "args": ["_@T.data"]}]}"#,
            r#"{"name": "c", "key": "k", "tasks": [{"name": "x"}]}"#,
            r#"{"name": "c", "tasks": [{"name": "x", "task_name": ""}]}"#,
        ],
    },
    Key {
        name: "inputs",
        right: &["null", "{}", r#"{"a": ["_@T.data", "__x"], "b": {"c": null}}"#],
        wrong: &["[]", "1", "\"_@T.data\"", r#"{"a": "_.secret.x"}"#, r#"{"a": "_.inputs"}"#],
    },
    Key { name: "detached", right: &["null", "true", "false"], wrong: &["1", "\"true\"", "{}"] },
    Key { name: "cache", right: CACHES, wrong: BAD_CACHES },
    Key { name: "wait", right: WAITS, wrong: BAD_WAITS },
    Key { name: "meta", right: &["{}", r#"{"a": "_a"}"#, "null"], wrong: &["[]", "1", "\"a\"", "false"] },
];

/// The keys of the format for which there are values, of a job and of a task.
#[must_use]
pub fn known_keys() -> [Vec<&'static str>; 2] {
    let job = JOB.iter().map(|key| key.name).chain(["tasks"]);
    let task = TASK.iter().map(|key| key.name).chain(["name"]);
    [job.collect(), task.collect()]
}

/// The text of a job.
#[must_use]
pub fn random_job(dice: &Dice) -> String {
    let writer = Writer { dice, wrong: *dice.pick(&[0.0, 0.01, 0.1]) };
    let mut names: Vec<String> = Vec::new();
    let mut tasks: Vec<String> = Vec::new();
    for number in 0..dice.between(u64::from(!writer.errs()), 4) {
        let name = format!("{}{number}", dice.pick(&TASK_NAMES));
        tasks.push(writer.task(&name, &names));
        names.push(name);
    }
    let mut properties = vec![("name", writer.value(&JOB[0], &names)), ("tasks", format!("[{}]", tasks.join(", ")))];
    properties.extend(writer.some(JOB[1..].iter(), &names));
    writer.object(properties)
}

/// Generates jobs.
struct Writer<'d> {
    dice: &'d Dice,
    /// Probability of an invalid part.
    wrong: f64,
}

impl Writer<'_> {
    fn errs(&self) -> bool {
        self.dice.falls(self.wrong)
    }

    fn task(&self, name: &str, earlier: &[String]) -> String {
        let name = if !self.errs() {
            format!("\"{name}\"")
        } else if self.dice.falls(0.3) && !earlier.is_empty() {
            format!("\"{}\"", self.dice.pick(earlier))
        } else {
            expand(BAD_TASK_NAMES[self.dice.index(BAD_TASK_NAMES.len())])
        };
        let mut properties = vec![("name", name)];
        let excluded = self.excluded();
        properties.extend(self.some(TASK.iter().filter(|key| !excluded.contains(&key.name)), earlier));
        let has = |properties: &[(&str, String)], key| {
            properties.iter().any(|(known, value)| *known == key && value != "null")
        };
        if has(&properties, "job") {
            properties.retain(|(key, _)| !BESIDE_JOB.contains(key) || self.errs());
        } else {
            properties.retain(|(key, _)| !["inputs", "detached"].contains(key) || self.errs());
        }
        if has(&properties, "wait") {
            properties.retain(|(key, _)| !BESIDE_WAIT.contains(key) || self.errs());
        }
        if properties.iter().any(|(_, value)| value.contains("\"_.secret.")) {
            properties.retain(|(key, _)| *key != "cache" || self.errs());
        }
        self.object(properties)
    }

    /// The keys that do not go together with what the task runs: a module, a command or a shell text.
    fn excluded(&self) -> &'static [&'static str] {
        match self.dice.between(0, 5) {
            _ if self.errs() => &[],
            0 => &["task_name", "args", "kwargs", "shell", "http"],
            1 => &["task_name", "args", "kwargs", "command", "http"],
            2 => &["task_name", "args", "kwargs", "command", "shell", "env", "cwd", "output"],
            _ => &["command", "shell", "http", "env", "cwd", "output"],
        }
    }

    /// Some of the keys with their values.
    fn some<'k>(&self, keys: impl Iterator<Item = &'k Key>, tasks: &[String]) -> Vec<(&'k str, String)> {
        keys.filter(|_| self.dice.falls(0.3)).map(|key| (key.name, self.value(key, tasks))).collect()
    }

    fn value(&self, key: &Key, tasks: &[String]) -> String {
        // Names that references cannot use are omitted.
        let named: Vec<&String> = tasks.iter().filter(|name| !name.starts_with('_')).collect();
        let is_usable = |text: &&&str| !named.is_empty() || !text.contains("@T");
        let values = if self.errs() { key.wrong } else { key.right };
        let values: Vec<&&str> = values.iter().filter(is_usable).collect();
        let mut text = expand(values[self.dice.index(values.len())]);
        while let Some(at) = text.find("@T") {
            text.replace_range(at..at + 2, named[self.dice.index(named.len())]);
        }
        text
    }

    /// An object with these properties in random order, some user-defined keys, and sometimes an invalid key.
    fn object(&self, mut properties: Vec<(&str, String)>) -> String {
        if self.dice.falls(0.2) {
            properties.push((*self.dice.pick(&OWN_KEYS), "[\"_\", null]".to_owned()));
        }
        if self.errs() {
            properties.push((*self.dice.pick(&BAD_KEYS), "null".to_owned()));
        }
        if self.errs() {
            let again = self.dice.pick(&properties).clone();
            properties.push(again);
        }
        if self.errs() {
            properties.remove(self.dice.index(properties.len()));
        }
        let mut text = String::new();
        while !properties.is_empty() {
            let (key, value) = properties.remove(self.dice.index(properties.len()));
            let comma = if text.is_empty() { "" } else { ", " };
            let _ = write!(text, "{comma}\"{key}\": {value}");
        }
        format!("{{{text}}}")
    }
}

/// A text with its abbreviations written out.
fn expand(text: &str) -> String {
    text.replace("@a", &"a".repeat(255)).replace("@e", &"é".repeat(200))
}
