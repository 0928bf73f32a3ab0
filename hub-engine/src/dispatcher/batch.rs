//! A batch: the uncommitted effects of one or more inputs.

use std::sync::Arc;
use std::time::Duration;

use hub_core::action::{Action, Assignment, Change, Notice};
use hub_core::machine::EndedJob;
use hub_core::schedule::ScheduledStart;
use hub_core::{IssueId, JobId, TaskId};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::inputs::Admission;
use crate::operations::RequestError;

/// Maximum delay of a batch without a waiting client. It delays only acknowledgements and the listing of jobs, and
/// saves disk syncs, which also slow down a broker on the same machine.
const MAXIMUM_DELAY: Duration = Duration::from_millis(40);
/// Minimum interval between the starts of two commits.
const MINIMUM_COMMIT_INTERVAL: Duration = Duration::from_millis(3);
/// Maximum delay of a batch that contains only confirms of the broker. If they are lost, the issues are published
/// again.
const MAXIMUM_CONFIRMATION_DELAY: Duration = Duration::from_millis(50);
/// Maximum number of changes. A batch with more is committed without delay.
const MAXIMUM_CHANGES: usize = 1024;

/// The effects of all inputs since the start of the last commit.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) number: u64,
    /// Number of deliveries that wait for the batch.
    pub(super) deliveries: usize,
    /// Number of its issues that were published before the commit.
    pub(super) published: usize,
    /// The changes for the store.
    pub(super) changes: Vec<Change>,
    /// Tasks to publish after the commit.
    pub(super) deferred: Vec<Assignment>,
    /// Issues that workers must stop, sent after the commit.
    pub(super) deferred_stops: Vec<(IssueId, Duration)>,
    /// Jobs to read after the commit, for the tasks that run them again.
    pub(super) reads: Vec<(TaskId, JobId)>,
    /// Answers to waiting clients, sent after the commit.
    pub(super) answers: Vec<PendingAnswer>,
    /// Answers that do not shorten the delay, sent after the commit.
    pub(super) idle_answers: Vec<PendingAnswer>,
    /// Events for watchers. Empty if there are no watchers.
    pub(super) notices: Vec<Notice>,
    /// Whether changes are missing in `notices`, so that watchers have to start again.
    pub(super) lacks_notices: bool,
    /// Jobs that ended, with their final state if a client waits for it.
    pub(super) ended: Vec<(JobId, Option<EndedJob>)>,
    /// The latest time of the commit.
    pub(super) due: Option<Instant>,
    /// Whether the batch contains an input that would not be delivered again after a crash. Then it must be committed
    /// before it is published.
    pub(super) commit_first: bool,
}

/// An answer that is sent after the commit.
pub(super) enum PendingAnswer {
    /// The answer to a submission.
    Submission(oneshot::Sender<Admission>, Admission),
    /// Any other answer.
    Other(Box<dyn FnOnce() + Send>),
}

/// Actions of the core for the link.
#[derive(Debug, Default)]
pub(super) struct Effects {
    pub(super) assignments: Vec<Assignment>,
    /// Issues that workers must stop, each with its grace.
    pub(super) stops: Vec<(IssueId, Duration)>,
    pub(super) probes: Vec<Arc<str>>,
    /// Jobs of schedules to prepare.
    pub(super) starts: Vec<ScheduledStart>,
}

impl Batch {
    pub(super) fn new(number: u64) -> Self {
        Self { number, ..Self::default() }
    }

    /// Whether the batch has nothing to commit.
    pub(super) fn is_empty(&self) -> bool {
        self.deliveries == 0
            && self.changes.is_empty()
            && self.answers.is_empty()
            && self.idle_answers.is_empty()
            && self.deferred.is_empty()
            && self.deferred_stops.is_empty()
            && self.reads.is_empty()
    }

    /// Changes the answers to submissions of `job` to a refusal.
    pub(super) fn refuse(&mut self, job: JobId, error: &RequestError) {
        self.answers.iter_mut().chain(&mut self.idle_answers).for_each(|answer| answer.refuse(job, error));
    }

    /// Limits the delay after an input that is more than a confirmation.
    pub(super) fn hurry(&mut self, now: Instant) {
        let latest = now + MAXIMUM_DELAY;
        self.due = Some(self.due.map_or(latest, |due| due.min(latest)));
    }

    /// Whether the batch must be committed now. `last` is the start of the last commit.
    pub(super) fn is_due(&mut self, now: Instant, last: Option<Instant>) -> bool {
        if self.is_empty() {
            // The inputs had no effects.
            (self.due, self.commit_first) = (None, false);
            return false;
        }
        let due = self.due.get_or_insert(now + MAXIMUM_CONFIRMATION_DELAY);
        let is_awaited =
            self.commit_first || !self.answers.is_empty() || self.ended.iter().any(|(_, ended)| ended.is_some());
        if is_awaited {
            *due = (*due).min(last.map_or(now, |last| last + MINIMUM_COMMIT_INTERVAL));
        }
        self.changes.len() >= MAXIMUM_CHANGES || *due <= now
    }

    /// Adds `actions` to the batch and returns those for the link. `is_watched` tells whether events are recorded.
    pub(super) fn absorb(&mut self, actions: &mut Vec<Action>, is_watched: bool) -> Effects {
        let mut effects = Effects::default();
        for action in actions.drain(..) {
            match action {
                Action::Persist(change) => self.changes.push(change),
                Action::Publish(assignment) => effects.assignments.push(*assignment),
                Action::Stop { issue, grace } => effects.stops.push((issue, grace)),
                Action::Read { task, job } => self.reads.push((task, job)),
                Action::Probe { pool } => effects.probes.push(pool),
                Action::Start(start) => effects.starts.push(*start),
                Action::Notify(notice) if is_watched => self.notices.push(notice),
                Action::Notify(_) => self.lacks_notices = true,
            }
        }
        effects
    }
}

impl PendingAnswer {
    pub(super) fn new(tell: impl FnOnce() + Send + 'static) -> Self {
        Self::Other(Box::new(tell))
    }

    /// Sends the answer.
    pub(super) fn give(self) {
        match self {
            Self::Submission(answer, outcome) => drop(answer.send(outcome)),
            Self::Other(tell) => tell(),
        }
    }

    /// Changes the answer to the submission of `job` to a refusal.
    fn refuse(&mut self, job: JobId, error: &RequestError) {
        if let Self::Submission(_, outcome) = self
            && outcome.as_ref().is_ok_and(|admitted| admitted.id == job)
        {
            *outcome = Err(error.clone());
        }
    }
}

impl std::fmt::Debug for PendingAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PendingAnswer")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_a_change() -> Batch {
        let id = JobId::new(uuid::Uuid::from_u128(1 << 64));
        Batch { changes: vec![Change::JobRemoved { id }], ..Batch::default() }
    }

    fn with_an_answer() -> Batch {
        Batch { answers: vec![PendingAnswer::new(|| {})], ..with_a_change() }
    }

    #[test]
    fn a_batch_with_a_waiting_client_is_committed_after_the_minimum_interval() {
        let now = Instant::now();
        assert!(with_an_answer().is_due(now, None));
        assert!(with_an_answer().is_due(now, now.checked_sub(MINIMUM_COMMIT_INTERVAL)));
        let mut batch = with_an_answer();
        assert!(!batch.is_due(now, Some(now)));
        assert_eq!(batch.due, Some(now + MINIMUM_COMMIT_INTERVAL), "the loop checks again at this time");
        assert!(batch.is_due(now + MINIMUM_COMMIT_INTERVAL, Some(now)));
    }

    #[test]
    fn a_batch_without_a_waiting_client_is_delayed() {
        let now = Instant::now();
        let mut batch = with_a_change();
        batch.hurry(now);
        assert!(!batch.is_due(now, None));
        batch.idle_answers.push(PendingAnswer::new(|| {}));
        assert!(!batch.is_due(now, None), "these answers do not shorten the delay");
        assert_eq!((batch.due, batch.is_due(now + MAXIMUM_DELAY, None)), (Some(now + MAXIMUM_DELAY), true));
        let mut bare = with_a_change();
        assert!(!bare.is_due(now, None));
        assert_eq!(bare.due, Some(now + MAXIMUM_CONFIRMATION_DELAY));
    }

    #[test]
    fn a_large_batch_is_not_delayed_and_an_empty_one_is_not_committed() {
        let now = Instant::now();
        let id = JobId::new(uuid::Uuid::from_u128(1 << 64));
        let mut large = Batch { changes: vec![Change::JobRemoved { id }; MAXIMUM_CHANGES], ..with_an_answer() };
        assert!(large.is_due(now, Some(now)));
        let mut empty = Batch { commit_first: true, ..Batch::default() };
        assert!(!empty.is_due(now, None) && !empty.commit_first);
    }
}
