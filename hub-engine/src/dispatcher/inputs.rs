//! The inputs of the dispatcher's loop besides the events of its link.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use hub_core::Timestamp;
use hub_core::action::Change;
use hub_core::explain::{Explanation, UnknownTask};
use hub_core::job::{Job, Labels};
use hub_core::machine::{
    Cancel, Choice, LiveScheduleView, LiveView, Remark, Repair, RetriedJob, ScheduleChange, Signal, Signalled, Stats,
    Update, WorkerReport,
};
use hub_core::schedule::{KeptSchedule, Preparation};
use hub_core::state::{JobSnapshot, JobSummary};
use hub_core::{JobId, JobStatus, Json, TaskId};
use hub_transport::supervisor::DeliveryRef;
use tokio::sync::{OwnedMutexGuard, oneshot};

use super::lately::Lookup;
use super::publish::{Depth, FinalOutcome, Outcomes};
use super::room::ParsePermit;
use crate::operations::{JobPriority, PauseOrder, PausedPool, RequestError, StoreHealth};
use crate::store::StoreError;

/// An input of the loop.
#[derive(Debug)]
pub(super) enum Input {
    /// Checked jobs.
    Submit {
        /// The jobs.
        jobs: Vec<Submit>,
        /// The permit under which they were parsed, held until they are live.
        permit: ParsePermit,
        /// The message that contained them, if it came from the queue of jobs.
        delivery: Option<DeliveryRef>,
    },
    /// A query or a request.
    Ask(Ask),
    /// The batch with this number is committed.
    Committed(u64),
    /// The store permanently refuses a change of a batch.
    Refused {
        /// The batch.
        number: u64,
        /// Its changes.
        changes: Arc<Vec<Change>>,
        /// The index of the refused change.
        change: usize,
        /// The reason.
        why: String,
    },
    /// The store cannot be used until it is repaired.
    StoreBroken(StoreError),
    /// The outcome of publishing tasks of a batch.
    Published {
        /// The batch.
        batch: u64,
        /// The total size of the messages in bytes.
        bytes: usize,
        /// The outcome of each publish.
        outcomes: Outcomes,
    },
    /// The number of messages in a pool's queue and among the results.
    Depth(Depth),
    /// A sub-job that has ended was read, for the task that continues it. `None`: it is not stored, or cannot be continued.
    Read(TaskId, JobId, Option<Box<RetriedJob>>),
    /// The job of a schedule was prepared, or cannot be.
    Run(Box<PreparedRun>),
    /// A request is answered.
    Answered(DeliveryRef),
    /// All submissions of a message were refused and answered, so there is nothing to store.
    NothingKept(DeliveryRef),
    /// Stop within this time.
    Stop(Duration),
}

/// The final state of a job that a client waited for. `None` if the end was not observed: then the job is in the store
/// or unknown.
pub(super) type Ended = Option<Arc<JobSnapshot>>;

impl Input {
    /// Whether the input only reports the completion of an operation. Its effects may be delayed.
    pub(super) fn is_confirmation(&self) -> bool {
        match self {
            Self::Committed(_) | Self::Answered(_) => true,
            Self::Published { outcomes, .. } => {
                outcomes.iter().all(|(.., outcome)| matches!(outcome, FinalOutcome::Confirmed))
            }
            _ => false,
        }
    }
}

/// The outcome of a submission.
pub(super) type Admission = Result<Admitted, RequestError>;

/// An accepted job.
#[derive(Clone, Debug)]
pub(super) struct Admitted {
    pub(super) id: JobId,
    /// The reasons why its tasks will wait.
    pub(super) warnings: Vec<String>,
}

/// A checked job for the loop.
#[derive(Debug)]
pub(super) struct Submit {
    pub(super) id: JobId,
    pub(super) job: Arc<Job>,
    /// Its inputs, if it has some.
    pub(super) inputs: Option<Json>,
    /// Positions of tasks that together cover all modules and pools of the job.
    pub(super) examples: Vec<u32>,
    /// The stored job with this family or key.
    pub(super) stored: Option<Known>,
    /// The look-up of the stored job.
    pub(super) lookup: Lookup,
    /// Resolved after the commit. It does not shorten the delay of the batch if the client waits for the end of the
    /// job.
    pub(super) answer: oneshot::Sender<Admission>,
    /// Resolved at the end of the job if the client waits for it. Dropped if the job is not live.
    pub(super) ended: Option<oneshot::Sender<Ended>>,
}

/// A known job with the id or the key of a submission. It contains no data of the job, because one message can name a
/// large job more than a thousand times.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    pub(super) id: JobId,
    /// Whether both have the same text.
    pub(super) is_same: bool,
    /// Whether both have the same key.
    pub(super) by_key: bool,
}

impl Known {
    /// Compares the job `known`, which has the text and the key of `same`, with the submitted one.
    pub(super) fn new(known: JobId, same: &Job, submitted: &Job) -> Self {
        let by_key = submitted.key().is_some() && submitted.key() == same.key();
        Self { id: known, is_same: same.source() == submitted.source(), by_key }
    }
}

/// A retry of a job for the loop.
#[derive(Debug)]
pub(super) struct RetryOrder {
    /// The id of the new job.
    pub(super) id: JobId,
    /// The new job.
    pub(super) retried: RetriedJob,
    /// Positions of tasks that together cover all modules and pools of what runs again.
    pub(super) examples: Vec<u32>,
    /// The look-up of the id in the store.
    pub(super) lookup: Lookup,
    /// The permit under which it was prepared, held until it is live.
    pub(super) permit: ParsePermit,
}

/// The job of a schedule for one time, prepared for the loop.
#[derive(Debug)]
pub(super) struct PreparedRun {
    /// The schedule and the time.
    pub(super) preparation: Preparation,
    /// The labels that the job inherits.
    pub(super) labels: Option<Arc<Labels>>,
    /// The job with the permit under which it was parsed, or why it cannot be submitted.
    pub(super) outcome: Result<(Submit, ParsePermit), RequestError>,
}

/// A query or a change of a schedule.
#[derive(Debug)]
pub(super) enum ScheduleAsk {
    /// The schedule with this name.
    View(Arc<str>, oneshot::Sender<Option<LiveScheduleView>>),
    /// Schedules with names after this one, at most this number.
    List(Option<String>, usize, oneshot::Sender<Vec<LiveScheduleView>>),
    /// The number of schedules, and the size of their texts in bytes.
    Size(oneshot::Sender<(usize, u64)>),
    /// Keep a schedule. Answered after the commit.
    Set(Arc<KeptSchedule>, oneshot::Sender<ScheduleChange>),
    /// Change a schedule. `false`: there is no such schedule. Answered after the commit.
    Control(Arc<str>, ScheduleControl, oneshot::Sender<bool>),
}

/// What an operator wants of a schedule.
#[derive(Debug)]
pub(super) enum ScheduleControl {
    Pause(Remark),
    Resume,
    Remove,
}

/// A query or a request to the loop. Requests that change state are answered after the commit.
#[derive(Debug)]
pub(super) enum Ask {
    /// The state of a live job with these tasks. `None`: the job is not live.
    Job(JobId, Range<u32>, oneshot::Sender<Option<Box<LiveView>>>),
    /// The summary of a live job. `None`: the job is not live.
    Summary(JobId, oneshot::Sender<Option<JobSummary>>),
    /// What a live job waits for, or a task of it. `None`: the job is not live.
    Explain(JobId, Option<String>, oneshot::Sender<Option<Result<Box<Explanation>, UnknownTask>>>),
    /// Answered when the end of the job is stored; immediately if the job is not live.
    Ended(JobId, oneshot::Sender<Ended>),
    /// Cancel a job. The answer is its status then. `None`: the job is not live.
    Cancel(JobId, Cancel, oneshot::Sender<Option<JobStatus>>),
    /// Pause a job or a pool, or resume it. `None`: the job is not live.
    Pause(PauseOrder, oneshot::Sender<Option<Result<(), RequestError>>>),
    /// Change the priority of a job. `None`: the job is not live.
    Priority(JobPriority, Remark, oneshot::Sender<Option<Result<(), RequestError>>>),
    /// Remove a job that is not live. `false`: the job is live.
    Remove(JobId, oneshot::Sender<bool>),
    /// End a task with a result from outside. `None`: its job is not live.
    Post(TaskId, Update, oneshot::Sender<Option<Result<(), RequestError>>>),
    /// Repair a task. `None`: its job is not live.
    Repair(TaskId, Repair, oneshot::Sender<Option<Result<(), RequestError>>>),
    /// Add a retry of a job.
    Retry(Box<RetryOrder>, oneshot::Sender<Admission>),
    /// Send a signal to a job. `None`: the job is not live.
    Signal(JobId, Signal, oneshot::Sender<Option<Result<Signalled, RequestError>>>),
    /// Answer the question of a task. `None`: its job is not live.
    Choose(TaskId, Choice, oneshot::Sender<Option<Result<(), RequestError>>>),
    /// Commit changes of definitions. The turn to change them ends with the commit.
    Define(Vec<Change>, OwnedMutexGuard<()>, oneshot::Sender<OwnedMutexGuard<()>>),
    /// About schedules.
    Schedule(ScheduleAsk),
    /// The live workers and the times of their last messages.
    Workers(oneshot::Sender<Vec<(WorkerReport, Timestamp)>>),
    /// Statistics, the health of the store and the paused pools.
    Stats(oneshot::Sender<(Stats, StoreHealth, Vec<PausedPool>)>),
}
