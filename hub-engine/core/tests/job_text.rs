//! Valid jobs are accepted and preserved, and no text causes a crash.

mod job_support;

use hub_core::job::{Job, Limits, Values};
use job_support::{cases, code, parse, refuse};
use proptest::prelude::*;

/// The manual's job, and a job with every key.
const JOBS: [&str; 2] = [
    r#"{ "name": "sum_product",
  "tasks": [
    { "args": [1, 2], "name": "add" },
    { "depends": ["add"], "args": ["_add.data", 2], "name": "multiply_this", "task_name": "multiply" } ],
  "output": ["_multiply_this.data"] }"#,
    r#"{"$schema": "./job.schema.json", "x-b": [1.0, {"z": 1, "a": 2}], "name": "full", "key": "k-1", "meta": {"owner": "_me", "n": 1e2}, "priority": 5,
  "x-a": null, "tasks": [
    {"x-2": "_free.text", "name": "list hosts", "task_name": null, "args": null, "depends": null, "pool": "net-1", "x-1": null},
    {"name": "ping_é", "task_name": "ping", "kwargs": {"host": "_list hosts.data.0", "tag": "__raw"}, "priority": -3, "meta": {}}],
  "output": {"up": "_ping_é.data", "who": "_ping_é.name"}}"#,
];

#[test]
fn reads_the_manuals_job() {
    let job = parse(JOBS[0]);
    assert_eq!((job.name(), job.source()), ("sum_product", JOBS[0]));
    assert_eq!((job.key(), job.priority(), job.extra().len()), (None, None, 0));
    let [add, multiply] = job.tasks() else { panic!("{job:?}") };
    assert_eq!((&**add.name(), add.task_name(), &**add.module()), ("add", None, "add"));
    assert_eq!(add.args().unwrap().text().get(), "[1, 2]");
    assert!(add.kwargs().is_none() && add.depends().is_none() && add.upstream().is_empty());
    assert_eq!((&**add.pool(), add.own_priority()), ("default", None));
    assert_eq!((&**multiply.name(), &**multiply.module()), ("multiply_this", "multiply"));
    assert_eq!((multiply.depends(), multiply.upstream()), (Some(&[0][..]), &[0][..]));
    assert_eq!(multiply.args().unwrap().text().get(), r#"["_add.data", 2]"#);
    assert_eq!(job.output().unwrap().text().get(), r#"["_multiply_this.data"]"#);
}

#[test]
fn reads_every_key_and_the_users_own_keys() {
    let job = parse(JOBS[1]);
    assert_eq!((job.key(), job.priority()), (Some("k-1"), Some(5)));
    let own = |extra: &[(String, hub_core::Json)]| -> Vec<String> {
        extra.iter().map(|(key, value)| format!("{key}={value}")).collect()
    };
    // Preserved as written and in the order of the text. Strings in it are not references.
    assert_eq!(own(job.extra()), [r#"x-b=[1.0, {"z": 1, "a": 2}]"#, r#"meta={"owner": "_me", "n": 1e2}"#, "x-a=null"]);
    let [list, ping] = job.tasks() else { panic!("{job:?}") };
    assert_eq!(own(list.extra()), [r#"x-2="_free.text""#, "x-1=null"]);
    assert_eq!((list.task_name(), &**list.module(), &**list.pool()), (None, "list hosts", "net-1"));
    assert!(list.args().is_none() && list.depends().is_none());
    assert_eq!((list.own_priority(), ping.own_priority()), (None, Some(-3)));
    assert_eq!(ping.upstream(), [0]);
    assert_eq!(job.tasks().iter().map(|task| &**task.name()).collect::<Vec<_>>(), ["list hosts", "ping_é"]);
}

#[test]
fn names_may_be_long_and_non_ascii() {
    for name in ["a".repeat(255), "a_".to_owned(), "日本 語".to_owned(), "a\"b".to_owned(), "id".to_owned()] {
        let text = serde_json::json!({
            "name": name, "key": name, "tasks": [{"name": name}, {"name": "after", "args": [format!("_{name}.data")]}]
        });
        assert_eq!(parse(&text.to_string()).tasks()[1].upstream(), [0], "{name}");
    }
}

#[test]
fn a_task_with_a_leading_underscore_can_be_a_dependency_and_is_unambiguous() {
    let job = |arg: &str| {
        format!(
            r#"{{"name": "j", "tasks": [{{"name": "_a"}}, {{"name": "b", "depends": ["_a"], "args": ["{arg}"]}}]}}"#
        )
    };
    assert_eq!(parse(&job("__other.data")).tasks()[1].upstream(), [0]);
    assert_eq!(parse(&job("__a")).tasks()[1].args().unwrap().references().count(), 0);
    let found = refuse(&job("__a.data"));
    assert_eq!((code(&found[0]).as_str(), found[0].path.as_str()), ("bad_reference", "$.tasks[1].args[0]"));
}

#[test]
fn valid_jobs_are_read_from_bytes() {
    for text in JOBS {
        let job = Job::parse_bytes(text.as_bytes(), &Limits::default()).unwrap();
        assert_eq!(job.source(), text);
        assert_eq!(parse(&format!(" \r\n\t{text}\n")).tasks().len(), job.tasks().len());
    }
}

/// JSON of every kind, as text.
fn json_texts() -> impl Strategy<Value = String> {
    let number = "-?(0|[1-9][0-9]{0,25})(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,2})?";
    let string =
        "\"([ -!#-\\[\\]-~]|\\\\[\"\\\\/bfnrt]|\\\\u[0-9a-cA-C][0-9a-fA-F]{3}|[é日\u{10000}-\u{1ffff}]){0,12}\"";
    let leaf = prop_oneof![number, string, Just("null".to_owned()), Just("true".to_owned()), Just("false".to_owned())];
    leaf.prop_recursive(4, 30, 5, move |inner| {
        let entry = (string, inner.clone()).prop_map(|(key, value)| format!("{key}:\r\n {value}"));
        prop_oneof![
            prop::collection::vec(inner, 0..5).prop_map(|list| format!("[{}\t]", list.join(" , "))),
            prop::collection::vec(entry, 0..5).prop_map(|entries| format!("{{ {} }}", entries.join(","))),
        ]
    })
}

/// One change to a text: the bytes that overwrite a place.
fn edits() -> impl Strategy<Value = (prop::sample::Index, usize, Vec<u8>)> {
    let bits = [
        "", "\"", "\\", "_", "__", ".", ".data", "{", "}", "[", "]", ",", ":", "null", "-", "1e9", "\\ud800",
        "\\u005f", "\0", "\u{feff}", "é", "name", "tasks",
    ];
    let patch = prop_oneof![
        prop::sample::select(bits.to_vec()).prop_map(|bit| bit.as_bytes().to_vec()),
        prop::collection::vec(any::<u8>(), 0..3),
    ];
    (any::<prop::sample::Index>(), 0..6_usize, patch)
}

proptest! {
    #![proptest_config(cases(3_000))]

    /// Text that `serde_json` accepts is preserved, and other text is refused.
    #[test]
    fn serde_json_decides_what_json_is(value in json_texts()) {
        let text = format!(r#"{{"name": "j", "tasks": [{{"name": "a", "x-own": {value}}}]}}"#);
        match (Job::parse(&text, &Limits::default()), serde_json::from_str::<serde_json::Value>(&value)) {
            (Ok(job), Ok(_)) => prop_assert_eq!(job.tasks()[0].extra()[0].1.get(), value.as_str()),
            (Err(_), Err(_)) => {}
            (Ok(_), Err(error)) => prop_assert!(false, "accepted, though {}", error),
            (Err(problems), Ok(_)) => prop_assert!(false, "refused: {}", problems),
        }
    }

    #[test]
    fn damaged_jobs_do_not_crash_the_parser(which in 0..JOBS.len(), edits in prop::collection::vec(edits(), 1..6)) {
        let mut bytes = JOBS[which].as_bytes().to_vec();
        for (place, length, patch) in edits {
            let at = place.index(bytes.len() + 1);
            let end = (at + length).min(bytes.len());
            bytes.splice(at..end, patch);
        }
        match Job::parse_bytes(&bytes, &Limits::default()) {
            Ok(job) => {
                prop_assert_eq!(job.source().as_bytes(), bytes.as_slice());
                prop_assert!(serde_json::from_slice::<serde_json::Value>(&bytes).is_ok());
                for task in job.tasks() {
                    for template in task.args().into_iter().chain(task.kwargs()) {
                        let look_up = |_, _| Some(hub_core::Json::parse(r#"[{"0": "ip"}]"#).unwrap());
                        let resolved = job.fill(template, usize::MAX, &mut Values::default(), look_up);
                        prop_assert!(resolved.is_ok_and(|json| hub_core::Json::parse(json.get()).is_ok()) || template.references().count() > 0);
                    }
                }
            }
            Err(problems) => {
                prop_assert!(problems.iter().count() > 0);
                let lines = bytes.iter().filter(|byte| **byte == b'\n').count() + 1;
                for problem in &problems {
                    prop_assert!((1..=lines as u32).contains(&problem.line.unwrap()), "{}", problem);
                    prop_assert!((1..=bytes.len() as u32 + 1).contains(&problem.column.unwrap()), "{}", problem);
                }
            }
        }
    }
}
