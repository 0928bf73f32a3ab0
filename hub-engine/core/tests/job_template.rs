//! References are replaced by values, and nothing else changes.

mod job_support;

use hub_core::Json;
use hub_core::job::{Attribute, FillError, Job, Template, Values};
use job_support::{cases, parse};
use proptest::prelude::*;
use serde_json::{Value, json};

/// The results of the tasks of a test's job: `a` and `b_c`, in this order.
fn yields() -> [Value; 2] {
    [
        json!({"ip": "10.0.0.1", "list": [1, [2, {"x": null}], "_b_c.data"], "": 1, "0": "zero", "é": "ü"}),
        json!([false, "text", 2.5, {"0": {"1": [9]}}]),
    ]
}

fn look_up(task: u32, attribute: Attribute) -> Option<Json> {
    match attribute {
        Attribute::Data => Some(yields()[task as usize].clone().into()),
        Attribute::Id => Some(Json::string(&format!("id of {task}"))),
        Attribute::Name => Some(Json::string(["a", "b_c"][task as usize])),
        Attribute::Status => Some(Json::string("SUCCESS")),
        Attribute::Error | Attribute::Item | Attribute::Index | Attribute::Failure => None,
        Attribute::JobId | Attribute::JobName | Attribute::JobFailure | Attribute::Input => None,
        attribute => unreachable!("{attribute} stands only where a trigger rule has a first task"),
    }
}

/// A simple reference implementation: replaces each string in a tree.
fn substitute(value: &Value) -> Result<Value, ()> {
    Ok(match value {
        Value::Array(list) => list.iter().map(substitute).collect::<Result<_, _>>()?,
        Value::Object(object) => {
            let entries = object.iter().map(|(key, value)| Ok((key.clone(), substitute(value)?)));
            Value::Object(entries.collect::<Result<_, ()>>()?)
        }
        Value::String(text) if text.starts_with("__") => text[1..].into(),
        Value::String(text) if text.starts_with('_') => {
            let mut steps = text[1..].split('.');
            let task = usize::from(steps.next() == Some("b_c"));
            let mut here = match steps.next().unwrap() {
                "data" => yields()[task].clone(),
                "id" => format!("id of {task}").into(),
                "name" => ["a", "b_c"][task].into(),
                "status" => "SUCCESS".into(),
                _ => Value::Null,
            };
            for step in steps {
                here = match &here {
                    Value::Object(object) => object.get(step).cloned(),
                    Value::Array(list) => step.parse::<usize>().ok().and_then(|at| list.get(at).cloned()),
                    _ => None,
                }
                .ok_or(())?;
            }
            here
        }
        other => other.clone(),
    })
}

/// Writes a string with its first characters as `\u` escapes, so that an underscore has both spellings.
fn spell(value: &Value, escaped: usize) -> String {
    match value {
        Value::String(text) => {
            let head: String = text
                .chars()
                .take(escaped)
                .map(|char| {
                    char.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect::<String>()
                })
                .collect();
            let tail: String = text.chars().skip(escaped).collect();
            let tail = Value::from(tail).to_string();
            format!("\"{head}{}", &tail[1..])
        }
        Value::Array(list) => {
            format!("[ {} ]", list.iter().map(|value| spell(value, escaped)).collect::<Vec<_>>().join(" ,\n"))
        }
        Value::Object(object) => {
            let entries =
                object.iter().map(|(key, value)| format!("{} :\t{}", Value::from(key.as_str()), spell(value, escaped)));
            format!("{{{}}}", entries.collect::<Vec<_>>().join(","))
        }
        other => other.to_string(),
    }
}

fn strings() -> impl Strategy<Value = String> {
    let task = prop::sample::select(vec!["a", "b_c"]);
    let path = prop::sample::select(vec![
        "",
        "",
        ".ip",
        ".list",
        ".list.1.1.x",
        ".0",
        ".3.0.1.0",
        ".é",
        ".9",
        ".ip.x",
        ".list.-1",
    ]);
    let plain = prop::sample::select(vec!["id", "name", "status", "error"]);
    prop_oneof![
        3 => (task.clone(), path).prop_map(|(task, path)| format!("_{task}.data{path}")),
        1 => (task, plain).prop_map(|(task, attribute)| format!("_{task}.{attribute}")),
        2 => any::<String>().prop_map(|text| format!("__{text}")),
        2 => any::<String>().prop_filter("a text", |text| !text.starts_with('_')),
    ]
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        4 => strings().prop_map(Value::from),
        1 => Just(Value::Null),
        1 => any::<bool>().prop_map(Value::from),
        1 => any::<i64>().prop_map(Value::from),
        // Eighths: a tree holds them exactly, however it reads their digits.
        1 => any::<i32>().prop_map(|eighths| Value::from(f64::from(eighths) / 8.0)),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(any::<String>(), inner, 0..4).prop_map(|map| map.into_iter().collect()),
        ]
    })
}

fn job(output: &str) -> Job {
    parse(&format!(r#"{{"name": "j", "tasks": [{{"name": "a"}}, {{"name": "b_c"}}], "output": {output}}}"#))
}

fn output(job: &Job) -> &Template {
    job.output().unwrap()
}

fn fill(job: &Job) -> Result<Json, FillError> {
    job.fill(output(job), usize::MAX, &mut Values::default(), look_up)
}

proptest! {
    #![proptest_config(cases(2_000))]

    #[test]
    fn filling_text_equals_replacing_in_a_tree(value in values(), escaped in 0..4_usize) {
        let text = spell(&json!([value]), escaped);
        let job = job(&text);
        let written = output(&job).text();
        prop_assert_eq!(written.get(), text.as_str());
        let resolved = fill(&job);
        match substitute(&value) {
            Ok(expected) => prop_assert_eq!(resolved.unwrap().to_value(), json!([expected])),
            Err(()) => prop_assert!(resolved.is_err()),
        }
    }
}

#[test]
fn other_text_is_passed_on_unchanged() {
    let kept = r#"[ 123456789012345678901234567890, -0, -0.0, 1.0, 1E+2, 1e-400, 0.1000, "\u00e9\/é\ud83d\ude00\u0000",
        null, {"b": 1, "a": 2, "b": 3, "_a.data": "a_b", "": " _a.data"}, [ ], {} , true ]"#;
    let job = job(kept);
    assert!(output(&job).is_literal());
    assert_eq!(fill(&job).unwrap().get(), kept);
}

#[test]
fn only_placeholders_change() {
    let resolve = |text: &str| fill(&job(text)).unwrap().get().to_owned();
    assert_eq!(resolve(r#"[ "_a.data.ip" , 1.0 , "\u005fa.data.list.0"]"#), r#"[ "10.0.0.1" , 1.0 , 1]"#);
    assert_eq!(
        resolve(r#"["__", "__a.data", "___x", "\u005f_y", "_\u005f\u00e9\/", "\u005F\u005Fz"]"#),
        r#"["_", "_a.data", "__x", "_y", "\u005f\u00e9\/", "\u005Fz"]"#
    );
    assert_eq!(resolve(r#""_b_c.data.1""#), r#""text""#);
    assert_eq!(resolve(r#"{"_a.data": "_a.error", "x": "_b_c.id"}"#), r#"{"_a.data": null, "x": "id of 1"}"#);
}

#[test]
fn a_value_that_looks_like_a_reference_is_not_replaced_again() {
    assert_eq!(fill(&job(r#"["_a.data.list.2"]"#)).unwrap().get(), r#"["_b_c.data"]"#);
}

#[test]
fn values_of_tasks_are_passed_on_unchanged() {
    let value = "{ \"n\" : [123456789012345678901234567890, 1.0, \"\\ud800\", \"\\u00e9\"] }";
    let look_up = |_, _| Some(Json::parse(value).unwrap());
    let job = job(r#"["_a.data", "_a.data.n.0", "_a.data.n.2"]"#);
    let filled = job.fill(output(&job), usize::MAX, &mut Values::default(), look_up);
    let expected = format!(r#"[{value}, 123456789012345678901234567890, "\ud800"]"#);
    assert_eq!(filled.unwrap().get(), expected);
}

#[test]
fn a_missing_step_is_reported_with_its_parent() {
    let rows = [
        ("_a.data.no", (0, 0), r#"nothing at "no": .data is an object without it"#),
        ("_a.data.list.3", (0, 1), r#"nothing at "3": .data.list is a list of 3"#),
        ("_a.data.list.00", (0, 1), r#"nothing at "00": .data.list is a list of 3"#),
        ("_a.data.list.-0", (0, 1), r#"nothing at "-0": .data.list is a list of 3"#),
        (
            "_a.data.list.18446744073709551616",
            (0, 1),
            r#"nothing at "18446744073709551616": .data.list is a list of 3"#,
        ),
        ("_a.data.list.1.1.x.y", (0, 4), r#"nothing at "y": .data.list.1.1.x is null"#),
        ("_a.data.ip.0", (0, 1), r#"nothing at "0": .data.ip is a string"#),
        ("_b_c.data.2.5", (1, 1), r#"nothing at "5": .data.2 is a number"#),
        ("_b_c.data.0.x", (1, 1), r#"nothing at "x": .data.0 is a boolean"#),
        ("_b_c.error.kind", (1, 0), r#"nothing at "kind": .error is null"#),
    ];
    for (reference, (task, step), message) in rows {
        let Err(FillError::Missing(error)) = fill(&job(&format!(r#"["_a.id", "{reference}"]"#))) else {
            panic!("{reference} is not missing");
        };
        assert_eq!((error.task, error.step, error.to_string().as_str()), (task, step, message), "{reference}");
    }
}
