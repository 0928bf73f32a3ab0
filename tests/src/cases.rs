//! Jobs of users and attackers, with their expected results on any Hub: the files in `tests/cases`.
//!
//! A new case is a new file there, with its task modules in `tests/cases/tasks`. It needs no code.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::{Programs, root};

/// A job with its expected result.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// The name of the file.
    #[serde(skip)]
    pub name: String,
    /// The subject.
    pub about: String,
    /// The job, exactly as in the file.
    pub job: Box<RawValue>,
    expect: Expected,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    status: String,
    output: Option<Value>,
    /// The expected tasks by name. Other tasks are not checked.
    #[serde(default)]
    tasks: BTreeMap<String, ExpectedTask>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ExpectedTask {
    status: Option<String>,
    data: Option<Value>,
    /// The kind of its error.
    kind: Option<String>,
    /// A part of its message.
    msg: Option<String>,
    /// Its complete log.
    log: Option<String>,
}

/// All cases, sorted by name.
///
/// # Panics
/// If one cannot be read.
#[must_use]
pub fn cases() -> Vec<Case> {
    let entries = std::fs::read_dir(directory()).expect("there are cases");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("it can be read").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    paths.sort();
    let read = |path: &PathBuf| {
        let text = std::fs::read_to_string(path).expect("it can be read");
        let case: Case = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Case { name: path.file_stem().unwrap_or_default().to_string_lossy().into_owned(), ..case }
    };
    paths.iter().map(read).collect()
}

/// The directory of their task modules.
#[must_use]
pub fn tasks_of_cases() -> String {
    directory().join("tasks").to_string_lossy().into_owned()
}

fn directory() -> PathBuf {
    root().join("tests/cases")
}

/// Submits all cases together to a Hub that serves their task modules, and compares the results.
///
/// # Panics
/// If a result differs from the expected one.
pub fn run_cases(programs: &Programs) {
    let submitted: Vec<_> = cases().into_iter().map(|case| (programs.submit(case.job.get()), case)).collect();
    for (id, case) in submitted {
        case.check(&programs.ended(&id));
    }
}

impl Case {
    /// Compares the record of this job with the expected result.
    ///
    /// # Panics
    /// If it differs.
    pub fn check(&self, record: &Value) {
        let Self { name, about, expect, .. } = self;
        let place = format!("{name}: {about}\n{record:#}");
        assert_eq!(record["status"], expect.status, "{place}");
        if let Some(output) = &expect.output {
            assert_eq!(record["output"], *output, "{place}");
        }
        let tasks = record["tasks"].as_array().expect("a record has tasks");
        for (name, expected) in &expect.tasks {
            let task = tasks.iter().find(|task| task["name"] == name.as_str()).expect("the job has this task");
            let place = format!("task {name} of {place}");
            for (key, value) in [("status", &expected.status), ("log", &expected.log)] {
                if let Some(value) = value {
                    assert_eq!(task[key], *value, "{key} of {place}");
                }
            }
            if let Some(data) = &expected.data {
                assert_eq!(task["data"], *data, "{place}");
            }
            if let Some(kind) = &expected.kind {
                assert_eq!(task["error"]["kind"], *kind, "{place}");
            }
            if let Some(words) = &expected.msg {
                assert!(task["msg"].as_str().is_some_and(|msg| msg.contains(words)), "{place}");
            }
        }
    }
}
