//! What the core wants done. Facts come in, actions go out, and the shell carries them out.

use std::sync::Arc;

use crate::job::Job;
use crate::state::{JobState, TaskState};
use crate::{IssueId, JobId, Json, TaskId, Timestamp};

/// Something for the shell to do. The order of a batch matters only within one kind.
#[derive(Clone, Debug)]
pub enum Action {
    /// Keep this, atomically with every other change of the same batch.
    Persist(Change),
    /// Publish this issue of a task to its pool and report how that ended.
    Publish(Assignment),
    /// Tell the workers to stop this issue of a task, if one of them runs it.
    Stop(IssueId),
    /// Look how many messages wait in this pool's queue and among the results, and report it.
    Probe {
        /// The pool.
        pool: Arc<str>,
    },
    /// An event for subscribers.
    Notify(Notice),
}

/// One change of what is kept.
#[derive(Clone, Debug)]
pub enum Change {
    /// A job was accepted; all its tasks are pending.
    JobAdded {
        /// Its id.
        id: JobId,
        /// What was submitted; its text is [`Job::source`].
        job: Arc<Job>,
        /// When.
        submitted_at: Timestamp,
    },
    /// A task now stands like this.
    TaskChanged {
        /// The job.
        job: JobId,
        /// The task's position in it.
        index: u32,
        /// The whole row, shared as long as it does not change.
        state: Arc<TaskState>,
    },
    /// A job now stands like this.
    JobChanged {
        /// The job.
        id: JobId,
        /// The whole row.
        state: JobState,
    },
    /// A job and its tasks are to be forgotten.
    JobRemoved {
        /// The job.
        id: JobId,
    },
}

/// An issue of a task, ready for a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// Which issue of which task this is.
    pub issue: IssueId,
    /// The task's job.
    pub job: JobId,
    /// The task's name in the job.
    pub name: Arc<str>,
    /// The task module to run.
    pub task_name: Arc<str>,
    /// The number of the attempt, from 1.
    pub attempt: u32,
    /// The pool whose workers may take it.
    pub pool: Arc<str>,
    /// Positional arguments, references replaced: a JSON array.
    pub args: Json,
    /// Named arguments, references replaced: a JSON object.
    pub kwargs: Json,
}

/// Something that happened, for watchers. Missing one loses nothing but a line on a screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// A job was accepted, changed its status, or ended.
    Job {
        /// The job.
        id: JobId,
        /// Its name.
        name: Arc<str>,
        /// Where it stands now.
        status: crate::JobStatus,
    },
    /// A task changed its status.
    Task {
        /// Its job.
        job: JobId,
        /// The task.
        id: TaskId,
        /// Its name in the job.
        name: Arc<str>,
        /// Where it stands now.
        status: crate::TaskStatus,
    },
}
