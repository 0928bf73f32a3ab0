//! Starts of definitions, and jobs that run definitions by their names.

mod job_support;

use std::collections::BTreeMap;
use std::sync::Arc;

use hub_core::Timestamp;
use hub_core::definition::{Definition, Library, Pin, Reference, Which};
use hub_core::job::{Job, Limits, Problem, Problems, SubJob};
use job_support::code;
use serde_json::json;

const ETL: &str = r#"{"name": "etl", "priority": 3, "labels": {"team": "data", "tier": "1"}, "deadline": "2h",
    "input_schema": {"properties": {"day": {"type": "string"}}}, "meta": {"owner": "a"},
    "tasks": [{"name": "load", "args": ["_.input.day"]}], "output": "_load.data"}"#;

/// Versions of definitions by name, and aliases.
#[derive(Default)]
struct Known {
    versions: BTreeMap<&'static str, Vec<String>>,
    aliases: BTreeMap<(&'static str, &'static str), u32>,
}

impl Known {
    fn with(definitions: &[(&'static str, &str)]) -> Self {
        let mut known = Self::default();
        for (name, text) in definitions {
            known.versions.entry(name).or_default().push((*text).to_owned());
        }
        known
    }

    fn find(&self, reference: &Reference) -> Option<Arc<Definition>> {
        let versions = self.versions.get(&*reference.name)?;
        let version = match &reference.which {
            Which::Newest => versions.len() as u32,
            Which::Version(version) => *version,
            Which::Alias(alias) => {
                *self.aliases.iter().find(|((name, known), _)| *name == &*reference.name && *known == &**alias)?.1
            }
        };
        let text = versions.get(version as usize - 1)?.as_str().into();
        let pin = Pin { name: reference.name.clone(), version };
        Some(Arc::new(Definition { pin, text, created_at: Timestamp::default(), by: None }))
    }

    /// Parses as a dispatcher does: what is missing is looked up, and the text is parsed again.
    fn parse(&self, text: &str) -> Result<Job, Problems> {
        let library = Library::default();
        for _ in 0..50 {
            let parsed = Job::parse_with(text, &Limits::default(), &library);
            let missing = library.take_missing();
            if missing.is_empty() {
                return parsed;
            }
            for reference in missing {
                let found = self.find(&reference);
                library.insert(reference, found);
            }
        }
        panic!("the parser misses more and more definitions");
    }

    fn refuse(&self, text: &str) -> Vec<Problem> {
        self.parse(text).expect_err("the job is refused").into_iter().collect()
    }
}

#[test]
fn a_start_has_the_tasks_of_the_definition_and_its_own_options() {
    let known = Known::with(&[("etl", ETL)]);
    let text = r#"{"definition": "etl", "inputs": {"day": "monday"}, "labels": {"tier": "2", "run": "x"}, "key": "k",
        "priority": -1, "start_at": "1h", "meta": {"why": "test"}, "x-a": 1}"#;
    let job = known.parse(text).unwrap();
    assert_eq!((job.name(), job.source(), job.key(), job.priority()), ("etl", text, Some("k"), Some(-1)));
    assert_eq!(job.definition().unwrap().to_string(), "etl@1");
    assert_eq!(job.inputs().unwrap().get(), r#"{"day": "monday"}"#);
    let labels: Vec<_> = job.labels().iter().map(|(name, value)| (&**name, &**value)).collect();
    assert_eq!(labels, [("run", "x"), ("team", "data"), ("tier", "2")]);
    assert!(job.start_at().is_some() && job.deadline().is_some() && job.input_schema().is_some());
    let extra: Vec<_> = job.extra().iter().map(|(key, value)| (key.as_str(), value.get())).collect();
    assert_eq!(extra, [("deadline", r#""2h""#), ("start_at", r#""1h""#), ("meta", r#"{"why": "test"}"#), ("x-a", "1")]);
    assert_eq!(job.tasks().len(), 1);
    let bare = known.parse(r#"{"definition": "etl"}"#).unwrap();
    assert_eq!((bare.priority(), bare.labels().len(), bare.key()), (Some(3), 2, None));
    assert!(bare.has_inputs() && bare.inputs().is_none());
}

#[test]
fn references_select_versions_and_are_pinned() {
    let second = ETL.replace("_load.data", "_load.status");
    let mut known = Known::with(&[("etl", ETL), ("etl", &second)]);
    known.aliases.insert(("etl", "prod"), 1);
    for (reference, version) in [("etl", 2), ("etl@2", 2), ("etl@1", 1), ("etl@prod", 1)] {
        let job = known.parse(&json!({"definition": reference}).to_string()).unwrap();
        assert_eq!(job.definition().unwrap().version, version, "{reference}");
        let pins = serde_json::to_value(&**job.pins()).unwrap();
        assert_eq!(pins, json!({"references": {reference: format!("etl@{version}")}}));
    }
    let prod = known.parse(r#"{"definition": "etl@prod"}"#).unwrap();
    known.aliases.insert(("etl", "prod"), 2);
    // The store has the pins, and parses the text with these versions.
    let library = Library::default();
    for (reference, Pin { name, version }) in &prod.pins().references {
        let pinned = Reference { name: name.clone(), which: Which::Version(*version) };
        library.insert(reference.clone(), known.find(&pinned));
    }
    let again = Job::parse_accepted(prod.source(), prod.pins(), &library).unwrap();
    assert_eq!((again.definition(), again.pins()), (prod.definition(), prod.pins()));
    assert_eq!(known.parse(r#"{"definition": "etl@prod"}"#).unwrap().definition().unwrap().version, 2);
}

#[test]
fn a_task_runs_a_definition_by_its_name() {
    let inner = r#"{"name": "inner", "tasks": [{"name": "x", "args": ["_.input.n"]}], "output": "_x.data"}"#;
    let outer = r#"{"name": "outer", "tasks": [{"name": "y", "job": "inner@1", "inputs": {"n": "_.input.n"}}]}"#;
    let known = Known::with(&[("inner", inner), ("outer", outer)]);
    let text = r#"{"name": "j", "tasks": [
        {"name": "a", "job": "outer", "inputs": {"n": 1}},
        {"name": "b", "job": {"name": "own", "tasks": [{"name": "c", "job": "inner"}]}},
        {"name": "d", "job": "outer"}]}"#;
    let job = known.parse(text).unwrap();
    let of = |at: u32| job.spec(at).sub_job().unwrap().job();
    assert_eq!((of(0).source(), of(0).definition().unwrap().to_string()), (outer, "outer@1".to_owned()));
    assert!(Arc::ptr_eq(of(0), of(2)), "a definition is parsed once");
    assert_eq!(of(1).definition(), None);
    let pins = serde_json::to_value(&**job.pins()).unwrap();
    assert_eq!(pins, json!({"references": {"inner": "inner@1", "inner@1": "inner@1", "outer": "outer@1"}}));
    let pins = serde_json::to_value(&**of(0).pins()).unwrap();
    assert_eq!(pins, json!({"own": "outer@1", "references": {"inner@1": "inner@1"}}));
    assert_eq!(job.with_sub_jobs().len(), 4);
}

#[test]
fn what_cannot_be_started_is_refused_with_its_place() {
    let broken = r#"{"name": "b", "tasks": [{"name": "a", "depends": ["x"]}]}"#;
    let start = r#"{"definition": "etl"}"#;
    let itself = r#"{"name": "s", "tasks": [{"name": "a", "job": "itself"}]}"#;
    let (ping, pong) = (itself.replace("itself", "pong"), itself.replace("itself", "ping"));
    let known = Known::with(&[
        ("etl", ETL),
        ("broken", broken),
        ("start", start),
        ("itself", itself),
        ("ping", &ping),
        ("pong", &pong),
    ]);
    for (text, expected, path) in [
        (json!({"definition": "elt"}), "unknown_definition", "$.definition"),
        (json!({"definition": "etl@2"}), "unknown_definition", "$.definition"),
        (json!({"definition": "etl@prod"}), "unknown_definition", "$.definition"),
        (json!({"definition": "broken"}), "bad_definition", "$.definition"),
        (json!({"definition": "start"}), "bad_definition", "$.definition"),
        (json!({"definition": "itself"}), "bad_definition", "$.definition"),
        (json!({"definition": "ping"}), "bad_definition", "$.definition"),
        (json!({"definition": "a b"}), "bad_name", "$.definition"),
        (json!({"definition": "etl@0"}), "bad_name", "$.definition"),
        (json!({"definition": "etl@1@2"}), "bad_name", "$.definition"),
        (json!({"definition": 7}), "wrong_type", "$.definition"),
        (json!({"definition": null}), "reserved_key", "$.definition"),
        (json!({"definition": "etl", "tasks": []}), "unknown_key", "$.tasks"),
        (json!({"definition": "etl", "name": "x"}), "unknown_key", "$.name"),
        (json!({"definition": "etl", "inputs": []}), "wrong_type", "$.inputs"),
        (json!({"definition": "etl", "labels": {"a b": "c"}}), "bad_name", r#"$.labels["a b"]"#),
        (json!({"definition": "etl", "priority": 5000}), "out_of_range", "$.priority"),
        (
            json!({"definition": "etl", "start_at": "2027-01-02T00:00:00Z", "deadline": "2027-01-01T00:00:00Z"}),
            "out_of_range",
            "$.deadline",
        ),
        (json!({"definition": "etl", "start_at": "yesterday"}), "out_of_range", "$.start_at"),
        (json!({"name": "j", "tasks": [{"name": "a", "job": "elt"}]}), "unknown_definition", "$.tasks[0].job"),
        (json!({"name": "j", "tasks": [{"name": "a", "job": "itself"}]}), "bad_definition", "$.tasks[0].job"),
        (
            json!({"name": "j", "tasks": [{"name": "a", "job": {"name": "k", "inputs": {}, "tasks": [{"name": "b"}]}}]}),
            "conflicting_keys",
            "$.tasks[0].job.inputs",
        ),
    ] {
        let found = known.refuse(&text.to_string());
        let found: Vec<_> = found.iter().map(|problem| (code(problem), problem.path.clone())).collect();
        assert!(found.contains(&(expected.to_owned(), path.to_owned())), "{text}: {found:?}");
    }
    let problems = known.refuse(r#"{"definition": "ping"}"#);
    assert!(problems[0].message.contains("runs itself"), "{problems:?}");
    let duplicate = known.refuse(r#"{"definition": "etl", "inputs": {"a": 1, "a": 2}, "definition": "etl"}"#);
    assert_eq!(duplicate.iter().map(code).collect::<Vec<_>>(), ["duplicate_key", "duplicate_key"]);
}

#[test]
fn a_definition_gets_its_inputs_and_key_when_it_is_started() {
    let refuse = |text: &str| {
        let problems = Job::parse_definition(text, &Limits::default(), &Library::default()).unwrap_err();
        problems.iter().map(|problem| (code(problem), problem.path.clone())).collect::<Vec<_>>()
    };
    let text = r#"{"name": "d", "key": "k", "inputs": {}, "tasks": [{"name": "a", "args": ["_.input.x"]}]}"#;
    let conflicts = ["$.key", "$.inputs"].map(|path| ("conflicting_keys".to_owned(), path.to_owned()));
    assert_eq!(refuse(text), conflicts);
    assert_eq!(refuse(r#"{"definition": "d"}"#)[0].0, "missing_key");
    let text = r#"{"name": "d", "tasks": [{"name": "a", "args": ["_.input.x"]}]}"#;
    Job::parse_definition(text, &Limits::default(), &Library::default()).unwrap();
    let problems = Job::parse(text, &Limits::default()).unwrap_err();
    assert_eq!(code(problems.iter().next().unwrap()), "bad_reference", "a job without inputs has no _.input");
}

#[test]
fn definitions_may_be_nested_sixteen_levels_deep_and_share_what_they_run() {
    let level = |below: Option<usize>| match below {
        // Two tasks run the level below: without sharing there would be two to the power of the levels.
        Some(below) => json!({"name": "l", "tasks": [
            {"name": "a", "job": format!("l{below}")}, {"name": "b", "job": format!("l{below}")}]}),
        None => json!({"name": "l", "tasks": [{"name": "a"}]}),
    };
    let names: Vec<&'static str> = (0..20).map(|at| &*format!("l{at}").leak()).collect();
    let mut known = Known::default();
    for (at, name) in names.iter().enumerate() {
        known.versions.insert(name, vec![level(at.checked_sub(1)).to_string()]);
    }
    let most = SubJob::MAXIMUM_LEVELS as usize - 1;
    let job = |at: usize| json!({"name": "j", "tasks": [{"name": "t", "job": format!("l{at}")}]}).to_string();
    assert_eq!(known.parse(&job(most)).unwrap().with_sub_jobs().len(), most + 2);
    assert_eq!(code(&known.refuse(&job(most + 1))[0]), "limit_exceeded");
    let start = |at: usize| json!({"definition": format!("l{at}")}).to_string();
    known.parse(&start(most + 1)).unwrap();
    assert!(known.refuse(&start(most + 2))[0].message.contains("16 levels deep"));
    // Also as a part of a job that is nested in the text.
    let nested = json!({"name": "j", "tasks": [{"name": "t", "job": {"name": "k", "tasks": [
        {"name": "t", "job": format!("l{most}")}]}}]});
    assert_eq!(code(&known.refuse(&nested.to_string())[0]), "limit_exceeded");
}
