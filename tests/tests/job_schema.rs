//! The JSON Schema of the job format and its parser agree: what the parser accepts, the schema accepts. What the schema
//! accepts and the parser refuses is one of the few things that no schema can say. The documentation says what the schema says.

use std::collections::BTreeMap;
use std::path::Path;

use hub_core::job::{Job, Limits, Problem, ProblemCode};
use hub_tests::jobs::{known_keys, random_job};
use hub_tests::simulator::dice::Dice;
use hub_tests::{cases, root};
use jsonschema::{Draft, PatternOptions, Validator};
use serde_json::Value;

/// Number of random jobs.
const JOBS: u64 = 20_000;

/// The names of the format's objects in the schema and in the documentation.
const OBJECTS: [(&str, &str); 2] = [("Job", "## Keys of a job"), ("Task", "## Keys of a task")];

/// The schema, with a regular expression engine that needs linear time.
fn validator() -> Validator {
    let options = jsonschema::options().with_draft(Draft::Draft202012).with_pattern_options(PatternOptions::regex());
    options.build(&hub_core::job::schema()).unwrap_or_else(|error| panic!("the schema is none: {error}"))
}

/// Number of jobs that were accepted, refused by both, and refused only by the parser, by reason.
#[derive(Debug, Default)]
struct Count {
    accepted: usize,
    refused: usize,
    beyond: BTreeMap<&'static str, usize>,
}

impl Count {
    /// Compares schema and parser for one text.
    fn compare(&mut self, validator: &Validator, text: &str) {
        let limits = Limits { max_depth: Limits::MAX_DEPTH, ..Limits::default() };
        let parsed = Job::parse(text, &limits);
        let Ok(tree) = serde_json::from_str::<Value>(text) else {
            assert!(parsed.is_err(), "it is not JSON:\n{text}");
            return;
        };
        let said: Vec<String> =
            validator.iter_errors(&tree).map(|error| format!("{}: {error}", error.instance_path())).collect();
        match parsed {
            Ok(_) => {
                assert!(said.is_empty(), "the parser accepts what the schema refuses:\n{text}\n{said:#?}");
                self.accepted += 1;
            }
            Err(_) if !said.is_empty() => self.refused += 1,
            Err(problems) => {
                for problem in &problems {
                    let Some(reason) = beyond_schema(problem) else {
                        panic!("the schema accepts what it could refuse:\n{text}\n{problem}");
                    };
                    *self.beyond.entry(reason).or_default() += 1;
                }
            }
        }
    }
}

/// The rules that a schema cannot express. `docs/jobs.md` has the same list.
fn beyond_schema(problem: &Problem) -> Option<&'static str> {
    let message = &problem.message;
    match problem.code {
        ProblemCode::UnknownTask => Some("unknown names of tasks"),
        ProblemCode::DuplicateTask => Some("names of tasks that stand twice"),
        ProblemCode::Cycle => Some("cycles"),
        ProblemCode::UnknownDefinition => Some("unknown definitions"),
        ProblemCode::DuplicateKey => Some("keys that stand twice"),
        ProblemCode::BadName if message.contains(" bytes, the limit is ") => Some("lengths in bytes"),
        ProblemCode::WrongType => {
            let (_, number) = message.split_once("must be a whole number, not ")?;
            let is_whole = number.parse::<f64>().is_ok_and(|number| number.fract() == 0.0);
            is_whole.then_some("how a number is written")
        }
        ProblemCode::BadReference if message.contains("may be the text after its first underscore") => {
            Some("escaped texts that name a task")
        }
        ProblemCode::OutOfRange if message.contains("trigger rule") => Some("trigger rules without upstream tasks"),
        ProblemCode::OutOfRange if message.contains("duration") => Some("limits of durations"),
        ProblemCode::OutOfRange if message.contains("_interval (") || message.starts_with("hold_for") => {
            Some("keys of a retry policy that do not fit together")
        }
        ProblemCode::OutOfRange if message.contains("so it has no effect") => {
            Some("time limits that do not fit together")
        }
        ProblemCode::BadReference if message.contains("there is an item only in") => Some("where items are known"),
        ProblemCode::LimitExceeded => Some("limits"),
        _ => None,
    }
}

/// The files of a folder.
fn files(folder: &str) -> Vec<Vec<u8>> {
    let entries = std::fs::read_dir(root().join(folder)).unwrap();
    entries.map(|entry| std::fs::read(entry.unwrap().path()).unwrap()).collect()
}

#[test]
fn the_schema_is_valid() {
    let schema = hub_core::job::schema();
    assert!(jsonschema::draft202012::meta::is_valid(&schema), "{schema:#}");
}

#[test]
fn corpus_jobs_are_judged_alike_by_schema_and_parser() {
    let validator = validator();
    let mut count = Count::default();
    let kept = [files("tests/fuzz/corpus/job"), files("etc/jobs")].concat();
    for text in kept.iter().filter_map(|bytes| std::str::from_utf8(bytes).ok()) {
        count.compare(&validator, text);
    }
    for case in cases() {
        count.compare(&validator, case.job.get());
    }
    assert!(count.accepted > 15 && count.refused >= 3 && count.beyond.len() >= 2, "{count:?}");
}

/// References are the strings of the inputs of a fuzz target: see `tests/src/fuzzing/reference.rs`.
#[test]
fn corpus_references_are_judged_alike_by_schema_and_parser() {
    let validator = validator();
    let mut count = Count::default();
    for bytes in files("tests/fuzz/corpus/reference") {
        let Ok(text) = std::str::from_utf8(bytes.get(1..).unwrap_or_default()) else { continue };
        let string = Value::from(text.split('\n').next().unwrap_or_default());
        for task in ["a", "b_c", "_d", "ä"] {
            let tasks = format!(r#"[{{"name": "{task}"}}, {{"name": "host", "args": [[{string}]]}}]"#);
            count.compare(&validator, &format!(r#"{{"name": "j", "tasks": {tasks}}}"#));
        }
    }
    assert!(count.accepted >= 5 && count.refused >= 5, "{count:?}");
}

#[test]
fn random_jobs_are_judged_alike_by_schema_and_parser() {
    let validator = validator();
    let dice = Dice::new(2014);
    let mut count = Count::default();
    for _ in 0..JOBS {
        count.compare(&validator, &random_job(&dice));
    }
    println!("{count:#?}");
    let least = JOBS as usize / 10;
    assert!(count.accepted > least && count.refused > least, "{count:?}");
    // Random jobs do not contain exceeded limits and long cycles.
    let reasons: Vec<&str> = count.beyond.into_keys().collect();
    let expected = [
        "cycles",
        "escaped texts that name a task",
        "how a number is written",
        "keys that stand twice",
        "lengths in bytes",
        "names of tasks that stand twice",
        "unknown definitions",
        "unknown names of tasks",
    ];
    assert_eq!(reasons, expected);
}

#[test]
fn random_jobs_have_every_key() {
    let schema = hub_core::job::schema();
    for ((object, _), known) in OBJECTS.iter().zip(known_keys()) {
        for key in schema["$defs"][object]["properties"].as_object().unwrap().keys() {
            assert!(known.contains(&&**key), "tests/src/jobs.rs has no values for the key {key:?} of {object}");
        }
    }
}

#[test]
fn planned_keys_are_refused_as_such() {
    let schema = hub_core::job::schema();
    for (object, _) in OBJECTS {
        let comment = schema["$defs"][object]["$comment"].as_str().unwrap();
        let (_, planned) = comment.split_once(": ").unwrap();
        for key in planned.trim_end_matches('.').split(", ") {
            let (in_job, in_task) = if object == "Job" { (key, "x-") } else { ("x-", key) };
            let text = format!(r#"{{"name": "j", "{in_job}": 1, "tasks": [{{"name": "a", "{in_task}": 1}}]}}"#);
            let problems = Job::parse(&text, &Limits::default()).unwrap_err();
            let codes: Vec<ProblemCode> = problems.iter().map(|problem| problem.code).collect();
            assert_eq!(codes, [ProblemCode::UnsupportedKey], "{key}: {problems}");
        }
    }
}

/// Converts a table cell to a sentence of the schema: `**any** value` → `Any value.`
fn sentence(cell: &str) -> String {
    let mut plain = String::new();
    for part in cell.replace('`', "").split('[') {
        // The text of a link.
        match part.split_once("](") {
            Some((words, rest)) => plain.extend([words, rest.split_once(')').map_or("", |(_, rest)| rest)]),
            None => plain.push_str(part),
        }
    }
    let mut letters = plain.trim().chars();
    let first = letters.next().into_iter().flat_map(char::to_uppercase);
    format!("{}{}.", first.collect::<String>(), letters.as_str())
}

#[test]
fn the_documentation_agrees_with_the_schema() {
    let page = std::fs::read_to_string(root().join(Path::new("docs/jobs.md"))).unwrap();
    let schema = hub_core::job::schema();
    for (object, heading) in OBJECTS {
        let (_, section) = page.split_once(heading).unwrap_or_else(|| panic!("docs/jobs.md has no {heading}"));
        let rows =
            section.lines().skip_while(|line| !line.starts_with("| `")).take_while(|line| line.starts_with("| `"));
        let rows: Vec<Vec<&str>> = rows.map(|row| row.split('|').map(str::trim).collect()).collect();
        let definition = &schema["$defs"][object];
        let properties = definition["properties"].as_object().unwrap();
        for (key, property) in properties {
            let word = format!("`{key}`");
            let row = rows.iter().find(|row| row[1].split(", ").any(|name| name == word));
            let row = row.unwrap_or_else(|| panic!("docs/jobs.md, {heading}: no row for {key:?}"));
            let is_required = definition["required"].as_array().unwrap().contains(&Value::from(&**key));
            assert_eq!(row[2], if is_required { "required" } else { "optional" }, "{key}");
            assert_eq!(sentence(row[3]), property["description"].as_str().unwrap(), "docs/jobs.md, {heading}, {key}");
        }
        assert_eq!(rows.len(), properties.len(), "docs/jobs.md, {heading}: a row for no key");
    }
}
