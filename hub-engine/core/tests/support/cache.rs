//! Jobs of one task with a cache, and a worker that says which content of a module it runs.

use hub_core::JobId;
use hub_core::action::{Action, Assignment};
use hub_core::cache::CachedFrom;
use hub_core::digest::Digest;
use hub_core::machine::{Outcome, Settings, TaskResult, WorkerReport};
use std::time::Duration;

use super::{Hub, json};

/// A worker of the default pool with the module `m` in this version.
pub fn serve(hub: &mut Hub, worker: &str, version: &str) {
    let report =
        WorkerReport { contents: [("m".into(), content(version))].into(), slots: 10, ..hub.worker(worker, &["m"]) };
    hub.machine.handle_heartbeat(report, hub.now);
}

pub fn content(version: &str) -> Digest {
    Digest::of(version.as_bytes())
}

/// A hub with a worker that has the module `m` in version 1.
pub fn served() -> Hub {
    served_with(Settings::default())
}

pub fn served_with(settings: Settings) -> Hub {
    let mut hub = Hub::with(settings);
    serve(&mut hub, "w1", "1");
    hub
}

/// A job of one task with these keys besides its cache.
pub fn job(keys: &str) -> String {
    format!(r#"{{"name": "j", "tasks": [{{"name": "a", "task_name": "m", "cache": {{"ttl": "1h"}}, {keys}}}]}}"#)
}

/// The worker reports a result of this version of the module.
pub fn end_as(hub: &mut Hub, task: &Assignment, outcome: Outcome, version: Option<&str>) {
    let result = TaskResult {
        progress: None,
        content: version.map(content),
        defaults: None,
        issue: task.issue,
        outcome,
        log: None,
        worker: "w1".into(),
        took: Duration::ZERO,
    };
    hub.machine.handle_result(result, hub.now);
}

pub fn succeed(hub: &mut Hub, task: &Assignment, data: &str) {
    end_as(hub, task, Outcome::Success { data: json(data) }, Some("1"));
}

/// Submits a job whose only task is handed out.
pub fn out(hub: &mut Hub, number: u128, text: &str) -> (JobId, Assignment) {
    let job = hub.submit(number, text);
    let mut handed_out = hub.handed_out();
    assert_eq!(handed_out.len(), 1, "job {number}");
    (job, handed_out.remove(0))
}

/// Submits a job that takes the results of others. Returns its record.
pub fn taken(hub: &mut Hub, number: u128, text: &str) -> serde_json::Value {
    let job = hub.submit(number, text);
    let actions = hub.actions();
    assert!(!actions.iter().any(|action| matches!(action, Action::Publish(_))), "job {number} is published");
    record(hub, job)
}

pub fn record(hub: &Hub, job: JobId) -> serde_json::Value {
    serde_json::from_str(hub.stored(job).record().get()).unwrap()
}

pub fn from(hub: &Hub, job: JobId, index: usize) -> Option<CachedFrom> {
    hub.stored(job).tasks[index].details.as_ref()?.rare().cache.as_ref()?.from
}
