//! Reports of the broker and the workers about issues.

use std::sync::Arc;

use super::place::Place;
use super::timers::Timer;
use super::types::{DeadLetter, OutOfBounds, Outcome, Published, Returned, TaskResult, Verdict, WorkerId};
use super::{Machine, delay, texts};
use crate::state::{ErrorKind, TaskError};
use crate::text::cut;
use crate::{IssueId, JobId, Now, Steady, TaskStatus};

impl Machine {
    /// An issue has ended on its worker, or its task was launched.
    pub fn handle_result(&mut self, result: TaskResult, now: Now) -> Verdict {
        let (id, index) = match self.awaited(result.issue) {
            Ok(found) => found,
            Err(verdict) => return self.count_stale(verdict),
        };
        self.withdraw(id, index);
        self.settle_by_result(id, index, result.defaults);
        self.note_started(id, index);
        let job = self.jobs.job_mut(id);
        self.pools.get_mut(job.spec(index).pool()).throughput.count(now.steady);
        if let Some(progress) = result.progress {
            let before = job.bytes();
            job.set_progress(index, progress);
            self.live_bytes = self.live_bytes + job.bytes() - before;
        }
        let is_cancelled = job.cancelled;
        let state = job.task_mut(index).state_mut();
        let began = now.wall.before(result.took);
        state.started_at = Some(began).max(state.submitted_at);
        state.worker = Some(result.worker);
        state.log = result.log.map(|log| cut(log, texts::MAXIMUM_LOG));
        match texts::bounded(within(result.outcome, self.settings.max_value_bytes)) {
            Outcome::Success { data } => {
                state.data = Some(data);
                self.keep_result(id, index, result.content, now);
                self.end(id, index, TaskStatus::Success, now);
            }
            Outcome::Failed { msg, error } => {
                state.msg = Some(msg);
                state.error = error;
                self.end_attempt(id, index, now);
            }
            Outcome::Launched { .. } if is_cancelled => self.end(id, index, TaskStatus::Cancelled, now),
            Outcome::Launched { data } => {
                state.data = Some(data);
                state.launched = true;
                let is_new = state.status != TaskStatus::Running;
                job.task_mut(index).place = Place::Launched;
                self.note_launched_content(id, index, result.content);
                let job = self.jobs.job_mut(id);
                if is_new {
                    job.set_status(index, TaskStatus::Running, &mut self.actions);
                }
                job.persist_task(index, &mut self.actions);
                self.watch_attempt(id, index, began, now);
            }
        }
        Verdict::Applied
    }

    /// A worker returns an issue without having run it. The task is handed out again. This does not count as an
    /// attempt.
    pub fn handle_returned(&mut self, issue: IssueId, why: Returned, worker: &WorkerId, now: Now) -> Verdict {
        let (id, index) = match self.awaited(issue) {
            Ok(found) => found,
            Err(verdict) => return self.count_stale(verdict),
        };
        if why != Returned::UnknownModule || self.jobs.job(id).cancelled {
            self.hand_out_again(id, index, now);
            return Verdict::Applied;
        }
        self.put_back(id, index);
        let job = self.jobs.job_mut(id);
        let (pool, need) = (Arc::clone(job.spec(index).pool()), job.spec(index).need());
        let others = self.workers.reports().map(|(report, _)| report).filter(|report| report.id != *worker);
        let others_can = others.filter(|report| report.pools.contains(&pool)).any(|report| report.has(&need));
        if others_can {
            self.rest(id, index, Place::Resting, issue, now.steady);
        } else {
            job.task_mut(index).place = Place::Parked;
            self.pools.get_mut(&pool).park(need, id, index);
        }
        Verdict::Applied
    }

    /// The publish of an issue has ended. If its outcome is unknown, the shell publishes the same issue again.
    pub fn handle_published(&mut self, issue: IssueId, ended: Published, now: Now) {
        let Ok((id, index)) = self.awaited(issue) else {
            return;
        };
        let job = self.jobs.job_mut(id);
        match ended {
            Published::Confirmed => {
                self.pools.get_mut(job.spec(index).pool()).mark_seen(issue.task, now.steady);
                if !job.task(index).state().confirmed {
                    job.task_mut(index).state_mut().confirmed = true;
                    job.persist_task(index, &mut self.actions);
                }
            }
            // A worker that has reported the issue has received it nevertheless.
            Published::Unroutable if job.task(index).place == Place::Window => {
                self.pools.get_mut(job.spec(index).pool()).unroutable = true;
                self.hand_out_again(id, index, now);
            }
            Published::Unroutable => {}
            Published::Refused => drop(self.remove(id, index, issue, now)),
            Published::Rejected(reason) => {
                let msg = format!("the broker rejected the task: {reason}");
                self.fail(id, index, ErrorKind::Undeliverable, msg, now);
            }
        }
    }

    /// The broker has dead-lettered an issue. If it reached the delivery limit, every worker that received it was lost,
    /// and the task fails. If a policy removed its message, no worker has received it, and it is handed out again after
    /// a delay.
    pub fn handle_dead_letter(&mut self, issue: IssueId, why: DeadLetter, now: Now) -> Verdict {
        let (id, index) = match self.awaited(issue) {
            Ok(found) => found,
            Err(verdict) => return self.count_stale(verdict),
        };
        match why {
            DeadLetter::DeliveryLimit => {
                let msg = "the task reached the delivery limit of its queue: every worker that received it was lost";
                self.fail(id, index, ErrorKind::WorkerLost, msg.to_owned(), now);
            }
            DeadLetter::Policy => return self.remove(id, index, issue, now),
        }
        Verdict::Applied
    }

    /// The message of an issue was removed from its queue, or the queue refused it.
    fn remove(&mut self, id: JobId, index: u32, issue: IssueId, now: Now) -> Verdict {
        let job = self.jobs.job(id);
        // A worker runs it: the message was duplicated.
        if job.task(index).place != Place::Window {
            return Verdict::Stale;
        }
        if job.cancelled {
            self.end_stopped(id, index, now);
            return Verdict::Applied;
        }
        let pool = Arc::clone(job.spec(index).pool());
        self.put_back(id, index);
        let slots = self.workers.catalogue().slots(&pool).unwrap_or(0);
        self.pools.get_mut(&pool).remove(slots, now.steady);
        self.rest(id, index, Place::Removed, issue, now.steady);
        Verdict::Applied
    }

    /// Delays a task in `place` after this issue.
    fn rest(&mut self, id: JobId, index: u32, place: Place, issue: IssueId, now: Steady) {
        self.jobs.job_mut(id).task_mut(index).place = place;
        self.timers.set(Timer::Rest(id, index), now.after(delay::before_next_issue(issue.number)));
    }

    /// Whether this is the current issue of its task, no worker has reported it, and it is not being stopped.
    #[must_use]
    pub fn is_on_its_way(&self, issue: IssueId) -> bool {
        let found = self.awaited(issue);
        found.is_ok_and(|(id, index)| {
            let job = self.jobs.job(id);
            job.task(index).place == Place::Window && !job.cancelled
        })
    }

    /// The task, if `issue` is its current issue and a report of it is expected.
    pub(super) fn awaited(&self, issue: IssueId) -> Result<(JobId, u32), Verdict> {
        let (id, index) = self.find_task(issue.task).ok_or(Verdict::Unknown)?;
        let live = self.jobs.job(id).task(index);
        if live.place.is_out() && live.state().issue == Some(issue.issue()) {
            Ok((id, index))
        } else {
            Err(Verdict::Stale)
        }
    }

    fn count_stale(&mut self, verdict: Verdict) -> Verdict {
        self.stale += 1;
        verdict
    }

    /// Hands out a task again as a new issue. A task of a job that is being cancelled ends instead.
    pub(super) fn hand_out_again(&mut self, id: JobId, index: u32, now: Now) {
        if self.jobs.job(id).cancelled {
            return self.end_stopped(id, index, now);
        }
        self.put_back(id, index);
        self.enqueue(id, index);
    }

    /// Makes a task that was handed out pending again. The caller decides where it waits.
    pub(super) fn put_back(&mut self, id: JobId, index: u32) {
        self.withdraw(id, index);
        let job = self.jobs.job_mut(id);
        job.set_status(index, TaskStatus::Pending, &mut self.actions);
        let state = job.task_mut(index).state_mut();
        state.worker = None;
        state.started_at = None;
        job.persist_task(index, &mut self.actions);
    }

    /// Fails a task that was handed out.
    pub(super) fn fail(&mut self, id: JobId, index: u32, kind: ErrorKind, msg: String, now: Now) {
        self.withdraw(id, index);
        self.fail_with(id, index, TaskError::new(kind), msg, now);
    }
}

/// The outcome. A value beyond the limits becomes a failure.
fn within(outcome: Outcome, limit: usize) -> Outcome {
    let (Outcome::Success { data } | Outcome::Launched { data }) = &outcome else {
        return outcome;
    };
    match OutOfBounds::check(data, limit) {
        Ok(()) => outcome,
        Err(why) => Outcome::failed(why.kind(), why.to_string()),
    }
}
