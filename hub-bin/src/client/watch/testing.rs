//! Models of jobs for tests.

use hub_core::state::{JobState, JobSummary};
use hub_core::{JobId, JobStatus, Timestamp};

use super::model::Model;
use super::seen::TaskSeen;

/// A time since the submission of a job, in milliseconds.
pub(super) const fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(millis)
}

pub(super) fn task(name: &str, status: &str) -> TaskSeen {
    TaskSeen { name: name.into(), status: status.into(), ..TaskSeen::default() }
}

/// A running job, in which only the task `open` has `for_each`.
pub(super) fn model(tasks: usize) -> Model {
    let state = JobState { status: JobStatus::Running, ..JobState::pending(at(0)) };
    Model::new(&JobSummary::new(JobId::new(uuid::Uuid::nil()), "job", &state, tasks, 0), Some(vec!["open".into()]))
}
