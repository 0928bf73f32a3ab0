//! What becomes of a task after an attempt has failed: it is tried again, held for an operator, or fails.

use std::time::Duration;

use super::Machine;
use super::live::LiveJob;
use super::place::Place;
use super::texts;
use super::timers::Timer;
use crate::action::Action;
use crate::chance::chance;
use crate::details::Attempt;
use crate::job::Exhausted;
use crate::state::{RetryAdvice, TaskState};
use crate::text::cut;
use crate::{JobId, Now, TaskStatus, Timestamp};

/// The longest wait that a task can ask for.
const LONGEST_ADVICE: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// What becomes of a task after a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// It fails.
    Fail,
    /// It is tried again after this time.
    Retry(Duration),
    /// It waits for an operator, for this time at most.
    Hold(Duration),
}

impl Machine {
    /// An attempt has failed. The task is in no place any more, and its state has the message and the error.
    pub(super) fn end_attempt(&mut self, id: JobId, index: u32, now: Now) {
        let job = self.jobs.job_mut(id);
        if job.cancelled {
            return self.end(id, index, TaskStatus::Cancelled, now);
        }
        job.note_cause(index);
        self.settle_by_catalogue(id, index);
        let job = self.jobs.job_mut(id);
        if job.retry_policy(index).is_none() {
            return self.end(id, index, TaskStatus::Failed, now);
        }
        let before = job.bytes();
        job.keep_attempt(index, now.wall);
        let next = next(job, index);
        if next != Next::Fail {
            job.prepare_attempt(index, next, now.wall, &mut self.actions);
        }
        self.live_bytes = self.live_bytes + job.bytes() - before;
        match next {
            Next::Fail => self.end(id, index, TaskStatus::Failed, now),
            Next::Retry(_) | Next::Hold(_) => self.wait_for_its_time(id, index, now),
        }
    }

    /// Has a task wait until the time in its state: of its next attempt, the end of its delay, or the end of its hold. The
    /// clock of a paused job stands still.
    pub(super) fn wait_for_its_time(&mut self, id: JobId, index: u32, now: Now) {
        let job = self.jobs.job_mut(id);
        let (clock, is_paused) = (job.clock(), job.is_paused());
        let task = job.task_mut(index);
        let details = task.state().details.as_deref().expect("a task that waits for a time has details");
        let (place, until) = match (details.retry_at.or(details.delayed_until), details.held_until) {
            (Some(at), _) => (Place::Resting, at),
            (None, Some(until)) => (Place::Held, until),
            (None, None) => panic!("{:?} waits for nothing", id.task(index)),
        };
        let longest = details.wait_ms.map_or(Duration::MAX, Duration::from_millis);
        let wait = clock.until(until, now.wall).min(longest);
        task.place = place;
        if place == Place::Held {
            // Its time to the end stands still.
            self.timers.stop(Timer::ToClose(id, index));
        }
        if !is_paused {
            self.timers.set(Timer::Rest(id, index), now.steady.after(wait));
        }
    }

    /// A held task was not looked after in time.
    pub(super) fn end_hold(&mut self, id: JobId, index: u32, now: Now) {
        self.withdraw(id, index);
        self.jobs.job_mut(id).task_mut(index).state_mut().details_mut().end_wait();
        self.end(id, index, TaskStatus::Failed, now);
    }
}

/// What becomes of a task whose newest attempt was kept.
fn next(job: &LiveJob, index: u32) -> Next {
    let policy = job.retry_policy(index).expect("the caller has looked it up");
    let state = job.task(index).state();
    let details = state.details.as_deref().expect("its attempt was kept");
    let error = state.error.as_deref();
    let advice = error.and_then(|error| error.retry);
    let is_worth_it = match advice {
        Some(RetryAdvice::Never) => false,
        Some(RetryAdvice::Again | RetryAdvice::AfterMs(_)) => true,
        Some(RetryAdvice::NotBeforeMs(_)) | None => policy.retries(error),
    };
    let granted = policy.maximum_attempts.saturating_mul(details.rare().grants.saturating_add(1));
    if is_worth_it && details.failures < granted {
        let interval = policy.interval(details.failures, chance(job.id.task(index), details.failures, "retry"));
        let asked = |millis| Duration::from_millis(millis).min(LONGEST_ADVICE);
        let wait = match advice {
            Some(RetryAdvice::AfterMs(millis)) => asked(millis),
            Some(RetryAdvice::NotBeforeMs(millis)) => asked(millis).max(interval),
            _ => interval,
        };
        return Next::Retry(wait);
    }
    match policy.exhausted {
        Exhausted::Fail => Next::Fail,
        Exhausted::Hold(time) => Next::Hold(time),
    }
}

impl LiveJob {
    /// Keeps the attempt that has just failed in the task's details.
    pub(super) fn keep_attempt(&mut self, index: u32, now: Timestamp) {
        let state = self.task_mut(index).state_mut();
        let before = state.details.as_ref().map_or(0, |details| details.weight());
        let mut attempt = attempt_of(state, now);
        let details = state.details_mut();
        details.failures = details.failures.saturating_add(1);
        attempt.number = details.failures;
        details.keep_attempt(attempt);
        let after = details.weight();
        self.resize(before, after);
    }

    /// Makes a task whose attempt has failed one that waits. Its last error stays until the next attempt begins.
    fn prepare_attempt(&mut self, index: u32, next: Next, now: Timestamp, actions: &mut Vec<Action>) {
        if self.task(index).state().status != TaskStatus::Pending {
            self.set_status(index, TaskStatus::Pending, actions);
        }
        let now = self.clock().read(now);
        let state = self.task_mut(index).state_mut();
        state.worker = None;
        state.started_at = None;
        state.launched = false;
        state.data = None;
        let details = state.details_mut();
        match next {
            Next::Retry(wait) => details.wait_until(|details| &mut details.retry_at, now, wait),
            Next::Hold(wait) => details.wait_until(|details| &mut details.held_until, now, wait),
            Next::Fail => {}
        }
        self.persist_task(index, actions);
    }
}

/// The attempt that a task's state is about. Its number is for the caller to set.
fn attempt_of(state: &TaskState, now: Timestamp) -> Attempt {
    let error = state.error.clone();
    Attempt {
        number: 0,
        started_at: state.started_at,
        ended_at: now.max(state.started_at.unwrap_or_default()),
        worker: state.worker.clone(),
        msg: state.msg.clone().unwrap_or_default(),
        error: error.map(texts::short_error),
        log: state.log.clone().map(|log| cut(log, texts::MAXIMUM_ATTEMPT_LOG)),
    }
}
