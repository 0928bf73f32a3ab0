//! How the tasks of a job ended, as its handlers see it: `_.failure`.

use serde_json::json;

use crate::job::{Job, Phase};
use crate::state::{FirstFailure, TaskState};
use crate::{JobStatus, Json, TaskStatus};

/// Maximum number of tasks that it names.
const MAXIMUM_NAMED: usize = 100;

/// How the tasks of a job ended, as its handlers see it. `task` returns the state of a task.
pub(super) fn failure_of_job<'t>(
    job: &Job,
    verdict: JobStatus,
    msg: Option<&str>,
    task: impl Fn(u32) -> &'t TaskState,
) -> Json {
    let is_failed = |state: &&TaskState| matches!(state.counts_as(), TaskStatus::Failed | TaskStatus::UpstreamFailed);
    let tasks = job.range(Phase::Tasks).filter_map(|index| Some((index, Some(task(index)).filter(is_failed)?)));
    let (mut named, mut count) = (Vec::new(), 0_u32);
    for (index, failed) in tasks {
        count += 1;
        if named.len() < MAXIMUM_NAMED {
            let name = job.spec(index).name();
            let kind = failed.error.as_deref().map(|error| error.kind);
            let msg = FirstFailure::line(None, failed.msg.as_deref().unwrap_or_default());
            named.push(json!({ "name": &**name, "status": failed.status, "kind": kind, "msg": &*msg }));
        }
    }
    Json::from(json!({ "status": verdict, "msg": msg, "tasks": named, "count": count }))
}
