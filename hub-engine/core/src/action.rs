//! The actions of the core. Facts come in, actions go out, and the shell executes the actions.

use std::sync::Arc;
use std::time::Duration;

use crate::cache::KeptResult;
use crate::definition::Definition;
use crate::digest::Digest;
use crate::job::{AttemptLimits, Job, Secret};
use crate::job_details::PauseRecord;
use crate::schedule::{KeptSchedule, ScheduleState, ScheduledStart};
use crate::state::{JobState, TaskState};
use crate::{IssueId, JobId, Json, TaskId, Timestamp};

/// An action for the shell. The order within a batch matters only between actions of the same kind.
#[derive(Clone, Debug)]
pub enum Action {
    /// Store this change atomically with all other changes of the same batch.
    Persist(Change),
    /// Publish this issue of a task to its pool and report the outcome.
    Publish(Box<Assignment>),
    /// Tell the workers to stop this issue of a task, if one has it.
    Stop {
        /// The issue.
        issue: IssueId,
        /// Time between the request to end and the kill.
        grace: Duration,
    },
    /// Query and report the number of messages in this pool's queue and among the results.
    Probe {
        /// The pool.
        pool: Arc<str>,
    },
    /// Read this job, which has ended, with its items, and pass its [continuation](crate::machine::RetriedJob::of_sub_job) to
    /// [`Machine::continue_sub_job`](crate::machine::Machine::continue_sub_job).
    /// Changes of the same batch may be about it, so it is read after these are stored.
    Read {
        /// The task that runs the job again.
        task: TaskId,
        /// The job.
        job: JobId,
    },
    /// Prepare this job of a schedule, and pass it to [`Machine::submit_run`](crate::machine::Machine::submit_run); or say why there is
    /// none: [`Machine::refuse_run`](crate::machine::Machine::refuse_run), [`Machine::postpone_run`](crate::machine::Machine::postpone_run).
    Start(Box<ScheduledStart>),
    /// An event for subscribers.
    Notify(Notice),
}

/// One change of the stored data.
#[derive(Clone, Debug)]
pub enum Change {
    /// A job was accepted. All its tasks are pending.
    JobAdded {
        /// The id of the job.
        id: JobId,
        /// The submitted job. Its text is [`Job::source`].
        job: Arc<Job>,
        /// The time of the submission.
        submitted_at: Timestamp,
    },
    /// The state of a task has changed.
    TaskChanged {
        /// The job.
        job: JobId,
        /// The position of the task in the job.
        index: u32,
        /// The complete new state, shared as long as it does not change.
        state: Arc<TaskState>,
    },
    /// The state of a job has changed.
    JobChanged {
        /// The job.
        id: JobId,
        /// The complete new state.
        state: JobState,
    },
    /// A job and its tasks are removed.
    JobRemoved {
        /// The job.
        id: JobId,
    },
    /// A version of a definition was made.
    DefinitionAdded {
        /// The version.
        definition: Arc<Definition>,
    },
    /// An alias of a definition stands for another version.
    AliasChanged {
        /// The definition.
        name: Arc<str>,
        /// The alias.
        alias: Arc<str>,
        /// The number of the version. `None`: the alias is removed.
        version: Option<u32>,
    },
    /// A pool was paused or resumed.
    PoolChanged {
        /// The pool.
        pool: Arc<str>,
        /// The pause, if it is paused.
        pause: Option<PauseRecord>,
    },
    /// A schedule was created, or changed.
    ScheduleSet {
        /// The schedule, in place of the one with its name.
        kept: Arc<KeptSchedule>,
    },
    /// The state of a schedule has changed.
    ScheduleChanged {
        /// Its name.
        name: Arc<str>,
        /// The complete new state.
        state: Arc<ScheduleState>,
    },
    /// A schedule was removed.
    ScheduleRemoved {
        /// Its name.
        name: Arc<str>,
    },
    /// A result is kept for later tasks, in place of the one before.
    ResultKept {
        /// Its key.
        key: Digest,
        /// The result. `None`: the one before is not kept any more.
        kept: Option<KeptResult>,
    },
}

/// An issue of a task, ready for a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// The id of the issue.
    pub issue: IssueId,
    /// The task's job.
    pub job: JobId,
    /// The task's name in the job.
    pub name: Arc<str>,
    /// The task module to run.
    pub task_name: Arc<str>,
    /// The number of the attempt, from 1.
    pub attempt: u32,
    /// The time limits of the attempt, if it has any.
    pub limits: Option<AttemptLimits>,
    /// Whether the defaults of the module are not known: the worker reports them with the end of the issue, and applies the limits
    /// among them if there are none here.
    pub awaits_defaults: bool,
    /// The newest progress that an earlier attempt reported.
    pub last_progress: Option<Json>,
    /// The pool whose workers may take it.
    pub pool: Arc<str>,
    /// The positional arguments with references replaced: a JSON array.
    pub args: Json,
    /// The keyword arguments with references replaced: a JSON object.
    pub kwargs: Json,
    /// What it runs instead of a module, with references replaced: a JSON object.
    pub run: Option<Json>,
    /// The secrets that the worker puts into these values.
    pub secrets: Option<Arc<[Secret]>>,
    /// Whether the worker reports the content of the module that it runs.
    pub wants_content: bool,
}

/// An event for watchers. Watchers may miss events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// A job was accepted, changed its status, or ended.
    Job {
        /// The job.
        id: JobId,
        /// Its name.
        name: Arc<str>,
        /// The new status.
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
        /// The new status.
        status: crate::TaskStatus,
    },
}
