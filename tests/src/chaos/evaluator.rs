//! What a job must end with, computed from its text alone. It shares no code with Hub: what the two agree on, they
//! agree on because both follow the manual.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

/// How a job must end.
#[derive(Clone, Debug, PartialEq)]
pub struct Expected {
    /// Its status.
    pub status: &'static str,
    /// Its output.
    pub output: Value,
    /// Of each task by its name: the status, and what it returned where that is `SUCCESS`.
    pub tasks: BTreeMap<String, (&'static str, Value)>,
}

/// A value is missing where a reference looks for it.
struct Missing;

/// Computes what comes out of `job`. `ids` are the tasks' ids, which only the Hub that runs it knows.
///
/// # Panics
/// Where it is no job, or has a cycle.
#[must_use]
pub fn evaluate(job: &Value, ids: &BTreeMap<String, String>) -> Expected {
    let all = job["tasks"].as_array().expect("a job has tasks");
    let mut ended: BTreeMap<String, (&'static str, Value)> = BTreeMap::new();
    while ended.len() < all.len() {
        let before = ended.len();
        for task in all {
            let name = text(&task["name"]);
            if !ended.contains_key(name) && needs(task).iter().all(|need| ended.contains_key(*need)) {
                let outcome = run(task, &Ended { tasks: &ended, ids });
                ended.insert(name.to_owned(), outcome);
            }
        }
        assert!(ended.len() > before, "these tasks wait for each other: {job}");
    }
    let succeeded = ended.values().all(|(status, _)| *status == "SUCCESS");
    let output = resolve(&job["output"], &Ended { tasks: &ended, ids });
    let (status, output) = match output {
        Ok(output) if succeeded => ("SUCCESS", output),
        _ => ("FAILED", Value::Null),
    };
    Expected { status, output, tasks: ended }
}

/// What is known when a reference is resolved.
struct Ended<'a> {
    tasks: &'a BTreeMap<String, (&'static str, Value)>,
    ids: &'a BTreeMap<String, String>,
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a text")
}

/// A reference's task, attribute and path.
fn reference(text: &str) -> Option<(&str, &str, Vec<&str>)> {
    let inner = text.strip_prefix('_').filter(|inner| !inner.starts_with('_'))?;
    let mut parts = inner.split('.');
    Some((parts.next()?, parts.next()?, parts.collect()))
}

/// The tasks that must have ended before this one.
fn needs(task: &Value) -> Vec<&str> {
    let mut found: Vec<&str> = task["depends"].as_array().into_iter().flatten().map(text).collect();
    let mut open = vec![&task["args"], &task["kwargs"]];
    while let Some(value) = open.pop() {
        match value {
            Value::String(text) => {
                if let Some((other, "data" | "status" | "error", _)) = reference(text) {
                    found.push(other);
                }
            }
            Value::Array(values) => open.extend(values),
            Value::Object(values) => open.extend(values.values()),
            _ => {}
        }
    }
    found
}

fn resolve(value: &Value, ended: &Ended<'_>) -> Result<Value, Missing> {
    Ok(match value {
        Value::String(text) => match reference(text) {
            None => json!(text.strip_prefix('_').unwrap_or(text)),
            Some((task, "id", _)) => json!(ended.ids[task]),
            Some((task, "name", _)) => json!(task),
            Some((task, "status", _)) => json!(ended.tasks[task].0),
            Some((_, "error", _)) => Value::Null,
            Some((task, _, path)) => {
                let mut at = &ended.tasks[task].1;
                for step in path {
                    at = match at {
                        Value::Array(values) => step.parse::<usize>().ok().and_then(|index| values.get(index)),
                        other => other.get(step),
                    }
                    .ok_or(Missing)?;
                }
                at.clone()
            }
        },
        Value::Array(values) => values.iter().map(|inner| resolve(inner, ended)).collect::<Result<_, _>>()?,
        Value::Object(values) => {
            let resolved = values.iter().map(|(key, inner)| Ok((key.clone(), resolve(inner, ended)?)));
            Value::Object(resolved.collect::<Result<Map<_, _>, _>>()?)
        }
        other => other.clone(),
    })
}

fn run(task: &Value, ended: &Ended<'_>) -> (&'static str, Value) {
    if needs(task).iter().any(|need| ended.tasks[*need].0 != "SUCCESS") {
        return ("UPSTREAM_FAILED", Value::Null);
    }
    let or = |value: &Value, default: Value| if value.is_null() { default } else { value.clone() };
    let resolved = resolve(&json!([or(&task["args"], json!([])), or(&task["kwargs"], json!({}))]), ended);
    let Ok(arguments) = resolved else { return ("FAILED", Value::Null) };
    let (args, kwargs) = (&arguments[0], &arguments[1]);
    let number = |at: usize| args[at].as_i64().expect("a number");
    let returned = match text(&task["task_name"]) {
        "total" => {
            let sum: i64 = args.as_array().into_iter().flatten().filter_map(Value::as_i64).sum();
            json!(sum.rem_euclid(1_000_003))
        }
        "wrap" => json!({"value": args[0], "list": [args[0], [args[0]]], "more": kwargs}),
        "spell" => {
            let whole = format!("{}/{}", text(&args[0]), number(1));
            json!(whole.chars().take(40).collect::<String>())
        }
        "moment" | "long" | "awaits" => args.get(0).unwrap_or(&kwargs["value"]).clone(),
        "add" => json!(number(0) + number(1)),
        "multiply" => json!(number(0) * number(1)),
        "mirror" => json!({"args": args, "kwargs": kwargs}),
        "fails" | "dies" => return ("FAILED", Value::Null),
        other => panic!("nobody has said what {other} returns"),
    };
    ("SUCCESS", returned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manual_example() {
        let job = json!({"name": "sum_product", "tasks": [
            {"name": "product", "task_name": "multiply", "args": ["_sum.data", 2], "depends": ["sum"]},
            {"name": "sum", "task_name": "add", "args": [1, 2]}], "output": ["_product.data"]});
        let expected = evaluate(&job, &BTreeMap::new());
        assert_eq!((expected.status, expected.output), ("SUCCESS", json!([6])));
        assert_eq!(expected.tasks["sum"], ("SUCCESS", json!(3)));
    }

    #[test]
    fn paths_escapes_and_failures() {
        let job = json!({"name": "j", "tasks": [
            {"name": "a", "task_name": "wrap", "args": ["__x"], "kwargs": {"k": "_a.id"}},
            {"name": "b", "task_name": "moment", "args": [["_a.data.list.1.0", "_a.data.more.k", "_a.status", "_b.name"]]},
            {"name": "c", "task_name": "moment", "args": ["_a.data.list.2"]},
            {"name": "d", "task_name": "moment", "args": [0], "depends": ["c"]}], "output": "_b.data"});
        let expected = evaluate(&job, &[("a".to_owned(), "A".to_owned())].into());
        assert_eq!(expected.tasks["b"], ("SUCCESS", json!(["_x", "A", "SUCCESS", "b"])));
        assert_eq!((expected.tasks["c"].0, expected.tasks["d"].0), ("FAILED", "UPSTREAM_FAILED"));
        assert_eq!((expected.status, expected.output), ("FAILED", Value::Null));
    }
}
