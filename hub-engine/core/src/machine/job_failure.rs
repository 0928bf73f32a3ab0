//! How the tasks of a job ended, as its handlers see it: `_.failure`.

use serde_json::json;

use crate::job::{Job, Phase};
use crate::state::{JobState, TaskState};
use crate::{Json, TaskStatus};

/// Maximum number of tasks that it names.
const MAXIMUM_NAMED: usize = 100;

/// How the tasks of a job ended, as its handlers see it. `task` returns the state of a task.
pub(crate) fn failure_of_job<'t>(job: &Job, state: &JobState, task: impl Fn(u32) -> Option<&'t TaskState>) -> Json {
    let is_failed = |state: &&TaskState| matches!(state.counts_as(), TaskStatus::Failed | TaskStatus::UpstreamFailed);
    let tasks = job.range(Phase::Tasks).filter_map(|index| Some((index, task(index).filter(is_failed)?)));
    let (mut named, mut count) = (Vec::new(), 0_u32);
    for (index, failed) in tasks {
        count += 1;
        if named.len() < MAXIMUM_NAMED {
            let kind = failed.error.as_deref().map(|error| error.kind);
            named.push(json!({
                "name": &**job.spec(index).name(), "status": failed.status, "kind": kind, "msg": failed.msg.as_deref(),
            }));
        }
    }
    let verdict = state.details.as_deref().and_then(|details| details.verdict).unwrap_or(state.status);
    Json::from(json!({ "status": verdict, "msg": state.msg.as_deref(), "tasks": named, "count": count }))
}
