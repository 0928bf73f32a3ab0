//! Random tasks that run jobs.

use serde_json::{Map, Value, json};

use super::dice::Dice;
use super::task_options::{for_each, part, with_options};
use super::work::Module;

/// The same task, which may refer to the first `at` tasks of its job, as one that runs a job.
pub(super) fn task(dice: &Dice, at: usize, mut task: Map<String, Value>) -> Value {
    for key in ["task_name", "args", "command"] {
        task.remove(key);
    }
    if task.contains_key("for_each") {
        // Hundreds of sub-jobs one after the other would take longer than a simulation.
        task.insert("for_each".to_owned(), for_each(dice, 0));
    }
    let item = task.contains_key("for_each").then(|| json!(dice.pick(&["_.item", "_.index", "_.item.v"])));
    let inputs = json!({"one": part(dice, at, 0), "two": item.unwrap_or_else(|| part(dice, at, 0))});
    task.insert("inputs".to_owned(), inputs);
    task.insert("job".to_owned(), job(dice, 0));
    if dice.falls(0.2) {
        // One that is the same for many tasks.
        let inner = json!({"name": "t", "task_name": "slow", "args": ["_.input.one"]});
        let inner = json!({"name": "same", "tasks": [inner], "output": {"parts": ["_t.data"]}});
        task.insert("inputs".to_owned(), json!({"one": dice.between(0, 1)}));
        task.insert("job".to_owned(), inner);
    }
    let mut task = with_options(dice, Module::Sum, task, at);
    if let Some(task) = task.as_object_mut() {
        task.remove("pool");
    }
    task
}

/// A job of a few tasks. Its output is an object, so that the value of one task is not its output as a whole.
fn job(dice: &Dice, depth: u32) -> Value {
    let count = dice.between(1, 3) as usize;
    let tasks: Vec<Value> = (0..count).map(|at| inner_task(dice, at, depth)).collect();
    let parts: Vec<Value> = (0..dice.between(0, 2)).map(|_| inner_part(dice, count)).collect();
    json!({"name": format!("level {depth}"), "tasks": tasks, "output": {"parts": parts}})
}

fn inner_task(dice: &Dice, at: usize, depth: u32) -> Value {
    let mut task = Map::new();
    task.insert("name".to_owned(), json!(format!("t{at}")));
    let first = inner_part(dice, at);
    if depth < 2 && dice.falls(0.15) {
        task.insert("inputs".to_owned(), json!({"one": first, "two": 2}));
        task.insert("job".to_owned(), job(dice, depth + 1));
        return Value::Object(task);
    }
    let module = match dice.between(0, 19) {
        0 => Module::Fail,
        1 => Module::Kill,
        2..=3 => Module::Flaky,
        4 => Module::Persistent,
        5..=6 => Module::Slow,
        7..=8 => Module::Rare,
        _ => Module::Sum,
    };
    task.insert("task_name".to_owned(), json!(module.name()));
    task.insert("args".to_owned(), json!([first, inner_part(dice, at)]));
    with_options(dice, module, task, 0)
}

/// A part of the arguments of a task of a sub-job, with references to its inputs and to the first `before` tasks.
fn inner_part(dice: &Dice, before: usize) -> Value {
    if dice.falls(0.5) {
        return json!(dice.pick(&["_.input.one", "_.input.two", "_.input", "_.input.one", "_.input.nowhere"]));
    }
    part(dice, before, 1)
}
