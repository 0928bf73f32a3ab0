//! What a worker reports, with nothing but what a target chooses.

use std::sync::Arc;
use std::time::Duration;

use hub_core::action::Assignment;
use hub_core::machine::{Outcome, TaskResult, WorkerReport};
use hub_core::{Json, TaskKinds};

/// The result of an issue from the worker `helper`.
pub(super) fn result(task: &Assignment, outcome: Outcome) -> TaskResult {
    TaskResult {
        progress: None,
        content: None,
        defaults: None,
        issue: task.issue,
        outcome,
        log: None,
        worker: "helper".into(),
        took: Duration::ZERO,
    }
}

/// The result of an issue that returned `null`.
pub(super) fn null(task: &Assignment) -> TaskResult {
    result(task, Outcome::Success { data: Json::null() })
}

/// The heartbeat of the worker `helper`, which has one slot, these pools and these modules, and runs nothing.
pub(super) fn helper(
    pools: impl IntoIterator<Item = Arc<str>>,
    modules: impl IntoIterator<Item = Arc<str>>,
    allow: TaskKinds,
) -> WorkerReport {
    WorkerReport {
        progress: Vec::new(),
        contents: [].into(),
        defaults: [].into(),
        id: "helper".into(),
        host: "here".into(),
        pid: 1,
        pools: pools.into_iter().collect(),
        slots: 1,
        running: 0,
        tasks: modules.into_iter().map(|module| (module, None)).collect(),
        broken: [].into(),
        allow,
        shortage: None,
        held: Vec::new(),
        present: Vec::new(),
    }
}
