//! What reaches the dispatcher's loop beside the events of its link.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use hub_core::Timestamp;
use hub_core::action::Change;
use hub_core::job::Job;
use hub_core::machine::{LiveView, Stats, Update, WorkerReport};
use hub_core::state::{JobSnapshot, JobSummary};
use hub_core::{JobId, TaskId};
use hub_transport::supervisor::DeliveryRef;
use tokio::sync::oneshot;

use super::lately::Lookup;
use super::publish::{Depth, FinalOutcome, Outcomes};
use super::room::ParsePermit;
use crate::operations::{RequestError, StoreHealth};
use crate::store::StoreError;

/// An input of the loop.
#[derive(Debug)]
pub(super) enum Input {
    /// Checked jobs.
    Submit {
        /// The jobs.
        jobs: Vec<Submit>,
        /// What they were parsed in, until they are live.
        permit: ParsePermit,
        /// The message that brought them, if that came from the jobs queue.
        delivery: Option<DeliveryRef>,
    },
    /// Someone asks.
    Ask(Ask),
    /// The batch with this number is in the store.
    Committed(u64),
    /// The store can never keep one of the changes of the batch with this number; the changes, which one, and why.
    Refused {
        /// The batch.
        number: u64,
        /// Its changes.
        changes: Arc<Vec<Change>>,
        /// Which one.
        change: usize,
        /// Why, for people.
        why: String,
    },
    /// The store is of no use until somebody repairs it.
    StoreBroken(StoreError),
    /// How it went to publish a part of a batch's tasks.
    Published {
        /// The batch.
        batch: u64,
        /// How large the messages were together.
        bytes: usize,
        /// How each ended.
        outcomes: Outcomes,
    },
    /// How many messages waited in a pool's queue and among the results.
    Depth(Depth),
    /// A request is answered.
    Answered(DeliveryRef),
    /// All submissions of a message were refused and are answered: nothing of it is to be kept.
    NothingKept(DeliveryRef),
    /// Stop within this time.
    Stop(Duration),
}

/// The job that somebody waited for, as it ended, if that was seen; it is in the store in any case, or unknown.
pub(super) type Ended = Option<Arc<JobSnapshot>>;

/// Who wants a job cancelled. `None`: it is not live.
pub(super) type Cancelling = oneshot::Sender<Option<Result<(), RequestError>>>;

impl Input {
    /// Whether it says only that what was begun has come to its end. What follows from that can wait a moment.
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

/// What becomes of a submission.
pub(super) type Admission = Result<Admitted, RequestError>;

/// A job that was let in.
#[derive(Clone, Debug)]
pub(super) struct Admitted {
    pub(super) id: JobId,
    /// What will keep it waiting.
    pub(super) warnings: Vec<String>,
}

/// A checked job on its way in.
#[derive(Debug)]
pub(super) struct Submit {
    pub(super) id: JobId,
    pub(super) job: Arc<Job>,
    /// Positions of tasks that have all of the job's modules and pools between them.
    pub(super) examples: Vec<u32>,
    /// The job that the store has of this family or key.
    pub(super) stored: Option<Known>,
    /// The look-up that found it, or missed it.
    pub(super) lookup: Lookup,
    /// Resolved after the commit. Where the end is waited for nobody is in a hurry for this, and no commit is made for it.
    pub(super) answer: oneshot::Sender<Admission>,
    /// Resolved at the job's end, where that is waited for; dropped where the job is not live.
    pub(super) ended: Option<oneshot::Sender<Ended>>,
}

/// A job that is known by the id or the key of a submission. It holds nothing of the job: one message can name a large job
/// more than a thousand times.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    pub(super) id: JobId,
    /// Whether both have the same text.
    pub(super) is_same: bool,
    /// Whether both have the same key.
    pub(super) by_key: bool,
}

impl Known {
    /// The job `known` with the text and key of `same`, compared with what was submitted.
    pub(super) fn new(known: JobId, same: &Job, submitted: &Job) -> Self {
        let by_key = submitted.key().is_some() && submitted.key() == same.key();
        Self { id: known, is_same: same.source() == submitted.source(), by_key }
    }
}

/// A question to the loop. What changes anything is answered after the commit.
#[derive(Debug)]
pub(super) enum Ask {
    /// A live job as it stands, with these tasks. `None`: it is not live.
    Job(JobId, Range<u32>, oneshot::Sender<Option<Box<LiveView>>>),
    /// The line of a live job in a listing. `None`: it is not live.
    Summary(JobId, oneshot::Sender<Option<JobSummary>>),
    /// Tell when this job has ended and is in the store as such; at once if it is not live.
    Ended(JobId, oneshot::Sender<Ended>),
    /// Stop a job. `None`: it is not live.
    Cancel(JobId, Cancelling),
    /// Forget a job that is not live. `false`: it is live.
    Remove(JobId, oneshot::Sender<bool>),
    /// End a task from outside. `None`: its job is not live.
    Post(TaskId, Update, oneshot::Sender<Option<Result<(), RequestError>>>),
    /// The live workers and when each was last heard of.
    Workers(oneshot::Sender<Vec<(WorkerReport, Timestamp)>>),
    /// Figures, and how the store is.
    Stats(oneshot::Sender<(Stats, StoreHealth)>),
}
