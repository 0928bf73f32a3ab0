//! Jobs with sub-jobs, and what is stored of them.

use hub_core::action::Assignment;
use hub_core::state::ErrorKind;
use hub_core::{JobId, JobStatus};
use serde_json::{Value, json};

use super::Hub;

/// A job whose only task runs a job with one task, with further keys of that task.
pub fn nested(more: &Value) -> String {
    let mut task = json!({"name": "load", "job": {"name": "child", "tasks": [{"name": "a"}], "output": "_a.data"}});
    task.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({"name": "parent", "tasks": [task]}).to_string()
}

/// The sub-job of the task at this position, as stored.
pub fn child(hub: &Hub, job: JobId, index: u32) -> JobId {
    hub.stored(job).state_of(index).details.as_ref().and_then(|details| details.rare().child).expect("it has a sub-job")
}

pub fn names(out: &[Assignment]) -> Vec<&str> {
    out.iter().map(|task| &*task.name).collect()
}

pub fn status(hub: &Hub, job: JobId) -> JobStatus {
    hub.stored(job).state.status
}

pub fn kind(hub: &Hub, job: JobId, index: u32) -> ErrorKind {
    hub.stored(job).state_of(index).error.as_ref().expect("it failed").kind
}

pub fn msg(hub: &Hub, job: JobId, index: u32) -> String {
    hub.stored(job).state_of(index).msg.as_deref().unwrap_or_default().to_owned()
}

/// Begins the sub-job of `text`, whose task is the first one. Returns the job, the sub-job and what was handed out.
pub fn begun(hub: &mut Hub, text: &str) -> (JobId, JobId, Vec<Assignment>) {
    let job = hub.submit(1, text);
    let out = hub.handed_out();
    let child = child(hub, job, 0);
    (job, child, out)
}
