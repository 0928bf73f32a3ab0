//! Small jobs, generated from choices.

use std::sync::Arc;

use hub_core::job::{Job, Limits};
use serde_json::{Value, json};

use crate::fuzzing::choices::Choices;

/// The pools of tasks and workers.
pub(super) const POOLS: [&str; 2] = ["default", "gpu"];
/// The task modules.
pub(super) const MODULES: [&str; 3] = ["m0", "m1", "m2"];
/// Maximum number of tasks of a job.
const MAX_TASKS: u8 = 6;

/// A job whose tasks depend on earlier ones, by `depends` or by references.
pub(super) fn job(choices: &mut Choices<'_>) -> Arc<Job> {
    let count = 1 + choices.bits() % MAX_TASKS;
    let tasks: Vec<Value> = (0..count).map(|index| task(index, choices)).collect();
    let mut job = json!({"name": "plan", "tasks": tasks});
    match choices.bits() % 3 {
        1 => job["output"] = json!({"last": format!("_t{}.data", count - 1)}),
        2 => job["output"] = json!(["_t0.data.x"]),
        _ => {}
    }
    Arc::new(Job::parse(&job.to_string(), &Limits::default()).unwrap_or_else(|problems| panic!("{problems}\n{job}")))
}

fn task(index: u8, choices: &mut Choices<'_>) -> Value {
    let (shape, before) = (choices.bits(), choices.bits());
    let waits = (0..index).filter(|task| before >> task & 1 == 1);
    let kind = shape >> 5 & 3;
    let mut task = json!({
        "name": format!("t{index}"),
        "task_name": MODULES[usize::from(shape & 3) % MODULES.len()],
        "pool": POOLS[usize::from(shape >> 2 & 1)],
        "priority": i32::from(shape >> 3 & 3) - 1,
    });
    let part = ["", ".data", ".data.x", ".status"][usize::from(kind)];
    let names: Vec<String> = waits.map(|task| format!("t{task}")).collect();
    if kind == 0 {
        task["depends"] = json!(names);
    } else {
        task["args"] = names.iter().map(|name| format!("_{name}{part}")).collect();
    }
    task
}
