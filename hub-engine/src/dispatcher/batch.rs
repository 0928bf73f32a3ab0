//! What a run of inputs has caused and what is not committed yet.

use std::sync::Arc;
use std::time::Duration;

use hub_core::action::{Action, Assignment, Change, Notice};
use hub_core::machine::EndedJob;
use hub_core::{IssueId, JobId};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::inputs::Admission;
use crate::operations::RequestError;

/// How long a batch that nobody waits for grows before it is committed. Nothing but acknowledgements and the listing of jobs is
/// late by it, and each sync of the disk that is saved is one that the broker beside does not wait for.
const LINGER: Duration = Duration::from_millis(40);
/// How long after the beginning of a commit the next one begins at the earliest, whoever waits for it.
const SPACING: Duration = Duration::from_millis(3);
/// How long the bare note waits that the broker has confirmed something: if it is lost, that is only published again.
const LINGER_CONFIRMED: Duration = Duration::from_millis(50);
/// A batch of so many changes waits no longer.
const LARGE: usize = 1024;

/// Everything that was caused since the last commit began.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) number: u64,
    /// How many deliveries wait for it.
    pub(super) deliveries: usize,
    /// How many issues of it were published before its commit.
    pub(super) published: usize,
    /// For the store.
    pub(super) changes: Vec<Change>,
    /// Tasks to be published once the batch is committed.
    pub(super) deferred: Vec<Assignment>,
    /// Issues that workers shall stop, likewise.
    pub(super) deferred_stops: Vec<IssueId>,
    /// What is to be told once the batch is committed, to somebody who waits for it.
    pub(super) answers: Vec<PendingAnswer>,
    /// The same where nobody is in a hurry.
    pub(super) idle_answers: Vec<PendingAnswer>,
    /// What changed, for watchers; empty if there are none.
    pub(super) notices: Vec<Notice>,
    /// Not everything that changed is in `notices`: watchers have to start again.
    pub(super) lacks_notices: bool,
    /// Jobs that ended, and how, where somebody waits for them.
    pub(super) ended: Vec<(JobId, Option<EndedJob>)>,
    /// When it is to be committed, if nobody waits for it before.
    pub(super) due: Option<Instant>,
    /// Something in it would not come again after a crash: it must be in the store before it has effects.
    pub(super) commit_first: bool,
}

/// An answer that is given after the commit.
pub(super) enum PendingAnswer {
    /// What becomes of a submission.
    Submission(oneshot::Sender<Admission>, Admission),
    /// Anything else.
    Other(Box<dyn FnOnce() + Send>),
}

/// What the core wants done, sorted by how it is done.
#[derive(Debug, Default)]
pub(super) struct Effects {
    pub(super) assignments: Vec<Assignment>,
    pub(super) stops: Vec<IssueId>,
    pub(super) probes: Vec<Arc<str>>,
}

impl Batch {
    pub(super) fn new(number: u64) -> Self {
        Self { number, ..Self::default() }
    }

    /// Whether a commit of it would do anything.
    pub(super) fn is_empty(&self) -> bool {
        self.deliveries == 0
            && self.changes.is_empty()
            && self.answers.is_empty()
            && self.idle_answers.is_empty()
            && self.deferred.is_empty()
            && self.deferred_stops.is_empty()
    }

    /// Has those who submitted `job` told that it is refused.
    pub(super) fn refuse(&mut self, job: JobId, error: &RequestError) {
        self.answers.iter_mut().chain(&mut self.idle_answers).for_each(|answer| answer.refuse(job, error));
    }

    /// Something has come that it grows by, or may: not only word that what was begun has come to its end.
    pub(super) fn hurry(&mut self, now: Instant) {
        let latest = now + LINGER;
        self.due = Some(self.due.map_or(latest, |due| due.min(latest)));
    }

    /// Whether it is to be committed now. `last`: when the last commit began.
    pub(super) fn is_due(&mut self, now: Instant, last: Option<Instant>) -> bool {
        if self.is_empty() {
            // What would not have come again has caused nothing.
            (self.due, self.commit_first) = (None, false);
            return false;
        }
        let due = self.due.get_or_insert(now + LINGER_CONFIRMED);
        let is_awaited =
            self.commit_first || !self.answers.is_empty() || self.ended.iter().any(|(_, ended)| ended.is_some());
        if is_awaited {
            *due = (*due).min(last.map_or(now, |last| last + SPACING));
        }
        self.changes.len() >= LARGE || *due <= now
    }

    /// Sorts `actions` into the batch; returns what is not the store's business. `is_watched`: whether events are recorded.
    pub(super) fn absorb(&mut self, actions: &mut Vec<Action>, is_watched: bool) -> Effects {
        let mut effects = Effects::default();
        for action in actions.drain(..) {
            match action {
                Action::Persist(change) => self.changes.push(change),
                Action::Publish(assignment) => effects.assignments.push(assignment),
                Action::Stop(issue) => effects.stops.push(issue),
                Action::Probe { pool } => effects.probes.push(pool),
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

    /// Tells it.
    pub(super) fn give(self) {
        match self {
            Self::Submission(answer, outcome) => drop(answer.send(outcome)),
            Self::Other(tell) => tell(),
        }
    }

    /// Has a submission that was let in as `job` refused after all.
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
    fn what_somebody_waits_for_is_committed_at_once_but_not_right_behind_another_commit() {
        let now = Instant::now();
        assert!(with_an_answer().is_due(now, None));
        assert!(with_an_answer().is_due(now, now.checked_sub(SPACING)));
        let mut batch = with_an_answer();
        assert!(!batch.is_due(now, Some(now)));
        assert_eq!(batch.due, Some(now + SPACING), "the loop looks again then");
        assert!(batch.is_due(now + SPACING, Some(now)));
    }

    #[test]
    fn what_nobody_waits_for_grows_first() {
        let now = Instant::now();
        let mut batch = with_a_change();
        batch.hurry(now);
        assert!(!batch.is_due(now, None));
        batch.idle_answers.push(PendingAnswer::new(|| {}));
        assert!(!batch.is_due(now, None), "nobody is in a hurry for these");
        assert_eq!((batch.due, batch.is_due(now + LINGER, None)), (Some(now + LINGER), true));
        let mut bare = with_a_change();
        assert!(!bare.is_due(now, None));
        assert_eq!(bare.due, Some(now + LINGER_CONFIRMED));
    }

    #[test]
    fn a_large_batch_waits_for_nothing_and_an_empty_one_is_none() {
        let now = Instant::now();
        let id = JobId::new(uuid::Uuid::from_u128(1 << 64));
        let mut large = Batch { changes: vec![Change::JobRemoved { id }; LARGE], ..with_an_answer() };
        assert!(large.is_due(now, Some(now)));
        let mut empty = Batch { commit_first: true, ..Batch::default() };
        assert!(!empty.is_due(now, None) && !empty.commit_first);
    }
}
