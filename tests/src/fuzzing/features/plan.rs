//! Small jobs with nearly all features, generated from choices.

use std::sync::Arc;

use hub_core::job::{Job, Limits};
use serde_json::{Value, json};

use crate::fuzzing::choices::Choices;

/// The pools of tasks and workers.
pub(super) const POOLS: [&str; 2] = ["default", "gpu"];
/// The task modules.
pub(super) const MODULES: [&str; 3] = ["m0", "m1", "m2"];
/// The signal that tasks wait for.
pub(super) const SIGNAL: &str = "go";
/// The answers to approvals.
pub(super) const CHOICES: [&str; 2] = ["approve", "reject"];
/// Maximum number of tasks of a job.
const MAX_TASKS: u8 = 5;
/// The trigger rules.
const RULES: [&str; 12] = [
    "all_success",
    "all_failed",
    "all_done",
    "one_success",
    "one_failed",
    "one_done",
    "none_failed",
    "none_failed_min_one_success",
    "none_skipped",
    "all_done_min_one_success",
    "all_skipped",
    "always",
];

/// A job, unless its options contradict each other. Most do not.
pub(super) fn job(choices: &mut Choices<'_>) -> Option<Arc<Job>> {
    let tasks = tasks("t", choices);
    let mut job = json!({"name": "plan", "tasks": tasks});
    let options = choices.bits();
    if options & 1 == 1 {
        job["on_failure"] = json!([{"name": "alarm", "task_name": "m0", "args": ["_.failure.msg"]}]);
    }
    if options & 2 == 2 {
        job["finally"] = json!([
            {"name": "close", "task_name": "m1", "retry": 2},
            {"name": "each", "task_name": "m2", "for_each": [1, 2], "depends": ["close"]}
        ]);
        job["handler_deadline"] = json!("1m");
    }
    match options >> 2 & 7 {
        1 => job["deadline"] = json!("20s"),
        2 => job["start_at"] = json!("10s"),
        3 => job["retry"] = json!(2),
        4 => job["timeout"] = json!({"schedule_to_close": "40s"}),
        5 => job["output"] = json!(["_t0.data"]),
        6 => job["priority"] = json!(5),
        _ => {}
    }
    Job::parse(&job.to_string(), &Limits::default()).ok().map(Arc::new)
}

fn tasks(prefix: &str, choices: &mut Choices<'_>) -> Vec<Value> {
    let count = 1 + choices.bits() % MAX_TASKS;
    (0..count).map(|index| task(prefix, index, choices)).collect()
}

/// A task that depends on earlier ones.
fn task(prefix: &str, index: u8, choices: &mut Choices<'_>) -> Value {
    let mut task = json!({"name": format!("{prefix}{index}")});
    let (kind, before, options) = (choices.bits(), choices.bits(), choices.bits());
    let names: Vec<String> =
        (0..index).filter(|task| before >> task & 1 == 1).map(|task| format!("{prefix}{task}")).collect();
    match kind & 15 {
        0 => task["wait"] = json!({"until": "15s"}),
        1 => task["wait"] = json!({"signal": SIGNAL, "count": 1 + kind / 128, "timeout": "1h"}),
        2 => task["wait"] = json!({"approval": {"choices": CHOICES}, "timeout": "1h"}),
        3 | 4 if prefix == "t" => {
            task["job"] = json!({"name": "sub", "tasks": tasks("s", choices), "output": ["_s0.data"]});
            task["detached"] = json!(kind > 200);
            task["inputs"] = json!({"n": index});
        }
        _ => {
            task["task_name"] = json!(MODULES[usize::from(kind >> 4) % MODULES.len()]);
            task["pool"] = json!(POOLS[usize::from(kind >> 6 & 1)]);
            if before > 100 {
                let inputs = (prefix == "s").then(|| "_.input.n".to_owned());
                task["args"] = names.iter().map(|name| format!("_{name}.data")).chain(inputs).collect();
            }
        }
    }
    if before <= 100 {
        task["depends"] = json!(names);
    }
    if let (true, Some(first)) = (options & 3 == 3, names.first()) {
        task["when"] = json!({"ne": [format!("_{first}.status"), "FAILED"]});
    }
    if options & 12 == 12 {
        let rule = RULES[usize::from(choices.bits()) % RULES.len()];
        task["trigger_rule"] = json!(rule);
        if rule.starts_with("one_") && task.get("task_name").is_some() && before <= 100 {
            task["args"] = json!(["_.first.status", "_.first.data"]);
        }
    }
    match options >> 4 {
        0 => task["retry"] = json!({"maximum_attempts": 2, "initial_interval": "2s"}),
        1 => task["retry"] = json!({"maximum_attempts": 1, "exhausted": "hold", "hold_for": "1h"}),
        2 => task["timeout"] = json!({"start_to_close": "10s", "heartbeat": "5s"}),
        3 => task["timeout"] = json!({"schedule_to_start": "8s", "schedule_to_close": "60s"}),
        4 => task["delay"] = json!("3s"),
        5 => task["for_each"] = json!({"in": [1, 2, 1], "parallel": 2}),
        6 => task["for_each"] = json!({"in": 3, "tolerated_failures": 1, "fail_fast": true}),
        7 => task["recover"] = json!({"fallback": ["_.failure.msg"]}),
        8 => task["cache"] = json!({"ttl": "1h"}),
        9 => {
            task["cache"] = json!({"ttl": "20s", "key": "same"});
            task["for_each"] = json!([1, 2]);
        }
        10 => task["priority"] = json!(i32::from(kind) - 100),
        _ => {}
    }
    task
}
