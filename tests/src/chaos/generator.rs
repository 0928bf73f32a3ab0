//! Random jobs: graphs of any shape, references at any depth, tasks of all kinds, and some tasks that fail.

use serde_json::{Value, json};

use super::Chance;

/// The kind of a value, so that tasks get only arguments that they support.
#[derive(Clone, Debug)]
enum Kind {
    Number,
    Text,
    /// The result of `wrap` for such a value.
    Wrapped(Box<Kind>),
    /// The result of `mirror` for such an argument.
    Mirrored(Box<Kind>),
    /// A list of numbers.
    List,
}

/// A task that other tasks may refer to.
struct Known {
    name: String,
    kind: Kind,
}

const WORDS: [&str; 6] = ["a", "", "zwölf", "__plain", "\u{1f980} crab", "tab\tand \"quote\" \\"];

/// A random job with `number` in its name.
#[must_use]
pub fn generate(chance: &mut Chance, number: u64) -> Value {
    let count = if chance.one_in(20) { chance.between(20, 60) } else { chance.between(1, 9) };
    let (unlucky, slow) = (chance.one_in(8), chance.one_in(12));
    let mut known: Vec<Known> = Vec::new();
    let mut tasks: Vec<Value> = Vec::new();
    for at in 0..count {
        let name = format!("t{at}");
        let (mut task, kind) = task(chance, &known);
        if unlucky && chance.one_in(6) {
            task = fault(chance, &known);
        } else if slow && task["job"].is_null() && task["for_each"].is_null() && chance.one_in(6) {
            task["task_name"] = json!("long");
            task["args"] = json!([task["args"]]);
            task.as_object_mut().expect("a task is an object").remove("kwargs");
            tasks.push(finish(chance, task, &name, &known));
            continue;
        }
        tasks.push(finish(chance, task, &name, &known));
        known.push(Known { name, kind });
    }
    let output: Vec<Value> = (0..chance.between(1, 3)).map(|_| any(chance, &known)).collect();
    // Tasks may be in any order.
    chance.shuffle(&mut tasks);
    let mut job = json!({"name": format!("chaos {number}"), "tasks": tasks, "output": {"of": output}});
    if chance.one_in(3) {
        job["priority"] = json!(chance.between(0, 20));
    }
    job
}

/// Adds the name, further dependencies and other keys.
fn finish(chance: &mut Chance, mut task: Value, name: &str, known: &[Known]) -> Value {
    task["name"] = json!(name);
    if !known.is_empty() && chance.one_in(4) {
        task["depends"] = json!([chance.pick(known).name]);
    }
    if chance.one_in(8) {
        task["priority"] = json!(chance.between(0, 20));
    }
    task
}

fn task(chance: &mut Chance, known: &[Known]) -> (Value, Kind) {
    match chance.below(16) {
        12 => {
            let (value, kind) = either(chance, known);
            let args = json!([chance.between(1, 3), value]);
            if chance.one_in(3) {
                return (json!({"task_name": "persistent", "args": args}), kind);
            }
            let retry = json!({"maximum_attempts": chance.between(2, 4), "initial_interval": "50ms"});
            (json!({"task_name": "flaky", "args": args, "retry": retry}), kind)
        }
        13 => {
            let items: Vec<Value> = (0..chance.between(0, 5)).map(|_| number(chance, known)).collect();
            let for_each = json!({"in": items, "parallel": chance.between(1, 3)});
            (json!({"task_name": "moment", "for_each": for_each, "args": ["_.item"]}), Kind::List)
        }
        14 | 15 => {
            let (value, kind) = either(chance, known);
            (sub_job(chance, &value), kind)
        }
        0..=4 => {
            let numbers: Vec<Value> = (0..chance.between(0, 4)).map(|_| number(chance, known)).collect();
            (json!({"task_name": "total", "args": numbers}), Kind::Number)
        }
        5 => (json!({"task_name": "spell", "args": [word(chance, known), number(chance, known)]}), Kind::Text),
        6 | 7 => {
            let (value, kind) = either(chance, known);
            let task = json!({"task_name": "wrap", "args": [value], "kwargs": {"more": [any(chance, known)]}});
            (task, Kind::Wrapped(Box::new(kind)))
        }
        8 => {
            let (value, kind) = either(chance, known);
            (json!({"task_name": "mirror", "args": [value, any(chance, known)]}), Kind::Mirrored(Box::new(kind)))
        }
        9 => {
            let (value, kind) = either(chance, known);
            (json!({"task_name": "awaits", "args": [value]}), kind)
        }
        _ => {
            let (value, kind) = either(chance, known);
            (json!({"task_name": "moment", "kwargs": {"value": value}}), kind)
        }
    }
}

/// A task that runs a job, whose output is this value.
fn sub_job(chance: &mut Chance, value: &Value) -> Value {
    let steps = chance.between(1, 3);
    let tasks: Vec<Value> = (0..steps)
        .map(|step| {
            let before = if step == 0 { "_.input.value".to_owned() } else { format!("_s{}.data", step - 1) };
            let module = *chance.pick(&["moment", "awaits", "flaky"]);
            let args = if module == "flaky" { json!([1, before]) } else { json!([before]) };
            json!({"name": format!("s{step}"), "task_name": module, "args": args, "retry": {"initial_interval": "50ms"}})
        })
        .collect();
    let job = json!({"name": "a part", "tasks": tasks, "output": format!("_s{}.data", steps - 1)});
    json!({"job": job, "inputs": {"value": value}})
}

/// A task that fails in one of several ways.
fn fault(chance: &mut Chance, known: &[Known]) -> Value {
    let wrapped = known.iter().find(|task| matches!(task.kind, Kind::Wrapped(_)));
    match (chance.below(3), wrapped) {
        (0, Some(task)) => {
            json!({"task_name": "moment", "args": [[format!("_{}.data.no.such", task.name)]]})
        }
        (1, _) => json!({"task_name": "dies", "args": [any(chance, known)]}),
        _ => json!({"task_name": "fails", "args": [any(chance, known)]}),
    }
}

fn either(chance: &mut Chance, known: &[Known]) -> (Value, Kind) {
    if chance.one_in(2) { (number(chance, known), Kind::Number) } else { (word(chance, known), Kind::Text) }
}

fn number(chance: &mut Chance, known: &[Known]) -> Value {
    let own = json!(chance.between(0, 1_000_000));
    refer(chance, known, |kind| matches!(kind, Kind::Number)).unwrap_or(own)
}

fn word(chance: &mut Chance, known: &[Known]) -> Value {
    let own = json!(chance.pick(&WORDS));
    if !known.is_empty() && chance.one_in(4) {
        let attribute = *chance.pick(&["name", "status", "id"]);
        return json!(format!("_{}.{attribute}", chance.pick(known).name));
    }
    refer(chance, known, |kind| matches!(kind, Kind::Text)).unwrap_or(own)
}

/// A value of any kind, at any depth.
fn any(chance: &mut Chance, known: &[Known]) -> Value {
    match chance.below(7) {
        0 => json!([any(chance, known), {"deep": [number(chance, known)]}]),
        1 => json!({"key": any(chance, known), "": null, "1": 0.5}),
        2 => json!([word(chance, known), true]),
        3 if !known.is_empty() => {
            let task = chance.pick(known);
            // The result of `mirror` contains the number of the attempt, so no task refers to the whole result.
            let whole = if matches!(task.kind, Kind::Mirrored(_)) { "data.kwargs" } else { "data" };
            json!(format!("_{}.{}", task.name, chance.pick(&[whole, whole, "error"])))
        }
        _ => number(chance, known),
    }
}

/// With some probability, a reference to a value of a suitable kind.
fn refer(chance: &mut Chance, known: &[Known], will_do: fn(&Kind) -> bool) -> Option<Value> {
    if known.is_empty() || chance.one_in(3) {
        return None;
    }
    let task = chance.pick(known);
    let (inner, path) = match &task.kind {
        Kind::Wrapped(inner) => (&**inner, *chance.pick(&[".value", ".list.0", ".list.1.0"])),
        Kind::Mirrored(inner) => (&**inner, ".args.0"),
        kind => (kind, ""),
    };
    will_do(inner).then(|| json!(format!("_{}.data{path}", task.name)))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::chaos::expected::expected;
    use crate::evaluator::Status;

    #[test]
    fn every_job_can_be_evaluated_and_the_same_seed_makes_the_same_jobs() {
        let make = |seed: u64| {
            let mut chance = Chance::new(seed);
            generate(&mut chance, seed)
        };
        let (mut failed, mut kinds) = (0, BTreeMap::<String, u32>::new());
        for seed in 0..1000 {
            let job = make(seed);
            assert_eq!(job, make(seed));
            let names = job["tasks"].as_array().unwrap().iter().map(|task| task["name"].as_str().unwrap());
            let ids = names.map(|name| (name.to_owned(), format!("id of {name}"))).collect();
            failed += u32::from(expected(&job, ids).status == Status::Failed);
            for task in job["tasks"].as_array().unwrap() {
                *kinds.entry(task["task_name"].as_str().unwrap_or("a job").to_owned()).or_default() += 1;
            }
        }
        assert!((20..300).contains(&failed), "{failed} of 1000 jobs fail");
        assert_eq!(kinds.len(), 12, "{kinds:?}");
    }
}
