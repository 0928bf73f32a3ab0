//! The time limits of tasks, as far as the dispatcher enforces them.
//!
//! Workers enforce the limits of an attempt. The dispatcher enforces the limits that begin when a task is ready, the limits
//! of launched tasks, and those of attempts whose worker does not report in time. A worker's report that comes later is
//! stale.

use std::time::Duration;

use super::Machine;
use super::live::LiveJob;
use super::place::Place;
use super::timers::{Timer, Timers};
use super::types::WorkerId;
use crate::action::Action;
use crate::failure::Cause;
use crate::job::{Timeout, Timeouts};
use crate::state::{ErrorKind, TaskError};
use crate::{IssueId, JobId, Json, Now, TaskStatus, Timestamp};

/// Maximum size of what a task reports of its progress, in bytes.
pub const MAXIMUM_PROGRESS: usize = 4 * 1024;

impl Machine {
    /// Tasks have passed the gates before their pools. Those that have to start or end within a time do so from now on.
    pub(super) fn begin_schedules(&mut self, id: JobId, tasks: &[u32], now: Now) {
        for index in tasks.iter().copied() {
            let job = self.jobs.job_mut(id);
            if !job.timeouts(index).is_some_and(Timeouts::begins_when_ready) {
                continue;
            }
            let ready_at = job.clock().read(now.wall);
            // Known after a restart, or if the task was handed out before.
            let is_known = job.task(index).state().details.as_deref().is_some_and(|details| details.ready_at.is_some());
            if !is_known {
                job.task_mut(index).state_mut().details_mut().ready_at = Some(ready_at);
                job.share_state(index);
                job.persist_task(index, &mut self.actions);
            }
            self.watch_schedule(id, index, now);
        }
    }

    /// Sets the timers of the limits that began when the task was ready. They stand still while the task is held, its job is
    /// paused, or it waits for a paused pool.
    pub(super) fn watch_schedule(&mut self, id: JobId, index: u32, now: Now) {
        let job = self.jobs.job(id);
        if job.is_paused() || self.waits_for_paused_pool(job, index) {
            return stop_clocks(job, index, &mut self.timers);
        }
        let clock = job.clock();
        let left = |began: Timestamp, limit: Duration| clock.until(began.after(limit), now.wall).min(limit);
        let (Some(timeouts), Some(details)) = (job.timeouts(index), job.task(index).state().details.as_deref()) else {
            return;
        };
        let Some(ready_at) = details.ready_at.filter(|_| details.held_until.is_none()) else { return };
        if let Some(limit) = timeouts.schedule_to_start.filter(|_| !details.has_started) {
            self.timers.set(Timer::ToStart(id, index), now.steady.after(left(ready_at, limit)));
        }
        if let Some(limit) = timeouts.schedule_to_close {
            self.timers.set(Timer::ToClose(id, index), now.steady.after(left(ready_at, limit)));
        }
    }

    /// Sets the timer of the attempt that began at `began`.
    pub(super) fn watch_attempt(&mut self, id: JobId, index: u32, began: Timestamp, now: Now) {
        let job = self.jobs.job(id);
        let Some(timeouts) = job.timeouts(index) else { return };
        let limit = match job.task(index).place {
            Place::Launched => timeouts.first_of_attempt().map(|(_, limit)| limit),
            Place::SubJob => timeouts.start_to_close,
            // The worker stops the task by then, and its report has arrived.
            _ => timeouts.start_to_close.map(|limit| limit + timeouts.grace() + self.settings.lease),
        };
        if let Some(limit) = limit {
            self.timers.set(Timer::Attempt(id, index), now.steady.after(left(began, limit, now)));
        }
    }

    /// A worker has started the task.
    pub(super) fn note_started(&mut self, id: JobId, index: u32) {
        let job = self.jobs.job_mut(id);
        if job.timeouts(index).is_none_or(|timeouts| timeouts.schedule_to_start.is_none()) {
            return;
        }
        job.task_mut(index).state_mut().details_mut().has_started = true;
        self.timers.stop(Timer::ToStart(id, index));
        self.timers.stop(Timer::Recall(id, index));
    }

    /// A task was not started in time. If the broker or a worker has it, a worker may have started it and reports that
    /// within a lease.
    pub(super) fn end_wait_for_start(&mut self, id: JobId, index: u32, now: Now) {
        match self.place_of(id, index) {
            Some(Place::Window) => {
                self.timers.set(Timer::Recall(id, index), now.steady.after(self.settings.lease));
            }
            Some(_) => self.fail_unstarted(id, index, now),
            None => {}
        }
    }

    /// A task was not started in time, and no worker has said that it did.
    pub(super) fn fail_unstarted(&mut self, id: JobId, index: u32, now: Now) {
        let Some(place) = self.place_of(id, index) else { return };
        let job = self.jobs.job(id);
        let (state, timeouts) = (job.task(index).state(), job.timeouts(index));
        let limit = timeouts.and_then(|timeouts| timeouts.schedule_to_start);
        let has_started = state.details.as_deref().is_some_and(|details| details.has_started);
        let Some(limit) = limit.filter(|_| !has_started) else { return };
        self.take_out(id, index, place);
        self.jobs.job_mut(id).task_mut(index).state_mut().details_mut().has_started = true;
        let msg = match place {
            Place::Cache => format!(
                "the task waited for the result of an equal task longer than its timeout schedule_to_start ({limit:?}) allows"
            ),
            _ => format!("no worker started the task within its timeout schedule_to_start ({limit:?})"),
        };
        self.fail_with(id, index, timed_out(Timeout::ScheduleToStart), msg, now);
    }

    /// A task did not end in time. It is not tried again.
    pub(super) fn end_schedule(&mut self, id: JobId, index: u32, now: Now) {
        let Some(place) = self.place_of(id, index) else { return };
        let job = self.jobs.job(id);
        let limit = job.timeouts(index).and_then(|timeouts| timeouts.schedule_to_close);
        let Some(limit) = limit.filter(|_| place != Place::Held) else { return };
        self.take_out(id, index, place);
        let job = self.jobs.job_mut(id);
        let before = job.bytes();
        let attempts = job.task(index).state().attempt();
        let msg = match (place.is_out(), attempts) {
            (true, _) => {
                format!("the task ran longer than its timeout schedule_to_close ({limit:?}) allows and was stopped")
            }
            (false, 1) => format!("the task did not end within its timeout schedule_to_close ({limit:?})"),
            _ => format!(
                "the task did not succeed within its timeout schedule_to_close ({limit:?}): {} attempts failed",
                attempts - 1
            ),
        };
        let state = job.task_mut(index).state_mut();
        (state.msg, state.data) = (Some(msg.into()), None);
        state.error = Some(timed_out(Timeout::ScheduleToClose).into());
        state.details_mut().end_wait();
        job.note_cause(index);
        if (place.is_out() || matches!(place, Place::Launched | Place::SubJob)) && job.retry_policy(index).is_some() {
            job.keep_attempt(index, now.wall);
        }
        self.live_bytes = self.live_bytes + job.bytes() - before;
        self.end(id, index, TaskStatus::Failed, now);
    }

    /// An attempt took too long: a launched task has no result, or its worker does not report.
    pub(super) fn end_long_attempt(&mut self, id: JobId, index: u32, now: Now) {
        let Some(place) = self.place_of(id, index) else { return };
        let job = self.jobs.job(id);
        let Some((which, limit)) = job.timeouts(index).and_then(Timeouts::first_of_attempt) else { return };
        let (which, msg) = match place {
            Place::Launched => (
                which,
                format!("no result was posted within the timeout {} ({limit:?}) of the launched task", which.as_str()),
            ),
            Place::SubJob => {
                let Some(limit) = job.timeouts(index).and_then(|timeouts| timeouts.start_to_close) else { return };
                (
                    Timeout::StartToClose,
                    format!("the sub-job did not end within the timeout start_to_close ({limit:?})"),
                )
            }
            Place::Leased => {
                let worker = job.task(index).state().worker.as_deref().unwrap_or("unknown");
                let msg = format!(
                    "the worker {worker} did not report the end of the task after its timeout start_to_close: the worker may hang"
                );
                (Timeout::StartToClose, msg)
            }
            _ => return,
        };
        self.take_out(id, index, place);
        self.fail_with(id, index, timed_out(which), msg, now);
    }

    /// Workers have reported progress of issues that they run.
    pub(super) fn note_progress(&mut self, worker: &WorkerId, progress: Vec<(IssueId, Json)>) {
        for (issue, value) in progress {
            let Ok((id, index)) = self.awaited(issue) else { continue };
            let job = self.jobs.job_mut(id);
            let live = job.task(index);
            if live.place == Place::Leased && live.state().worker.as_ref() == Some(worker) {
                let before = job.bytes();
                job.set_progress(index, value);
                self.live_bytes = self.live_bytes + job.bytes() - before;
            }
        }
    }

    /// Where a task of a live job is. `None` if it has ended.
    fn place_of(&self, id: JobId, index: u32) -> Option<Place> {
        self.jobs.find(id).map(|job| job.task(index).place).filter(|place| *place != Place::Ended)
    }

    /// Takes a task out of `place`, and tells the worker that may run it to stop.
    fn take_out(&mut self, id: JobId, index: u32, place: Place) {
        self.withdraw(id, index);
        if place == Place::SubJob {
            self.stop_sub_job(id, index);
        }
        let issue = self.jobs.job(id).task(index).state().issue;
        if let Some(issue) = issue.filter(|_| place.is_out()) {
            let grace = self.jobs.job(id).grace(index);
            self.actions.push(Action::Stop { issue: issue.of(id.task(index)), grace });
        }
    }
}

impl LiveJob {
    /// Keeps what a task has reported of its progress, in place of what it reported before.
    pub(super) fn set_progress(&mut self, index: u32, progress: Json) {
        if progress.get().len() > MAXIMUM_PROGRESS || progress.unreadable().is_some() {
            return;
        }
        let details = self.task_mut(index).state_mut().details_mut();
        let before = details.weight();
        details.rare_mut().progress = Some(progress);
        let after = details.weight();
        self.resize(before, after);
    }

    /// A task that was held or waited for a paused pool goes on. Its limits stood still meanwhile.
    pub(super) fn shift_schedule(&mut self, index: u32, held_for: Duration) {
        let task = self.task_mut(index);
        if let Some(ready_at) = task.state().details.as_deref().and_then(|details| details.ready_at) {
            task.state_mut().details_mut().ready_at = Some(ready_at.after(held_for));
        }
    }

    /// Names the error of the attempt before in the error of a task that took too long.
    pub(super) fn note_cause(&mut self, index: u32) {
        let state = self.task(index).state();
        let is_timeout = state.error.as_ref().is_some_and(|error| error.kind == ErrorKind::TimedOut);
        let last = state.details.as_ref().and_then(|details| details.attempts.last());
        let Some(last) = last.filter(|_| is_timeout) else { return };
        let kind = last.error.as_ref().map_or(ErrorKind::TaskFailed, |error| error.kind);
        let type_name = last.error.as_ref().and_then(|error| error.type_name.clone());
        let cause = Cause { kind, type_name, msg: last.msg.clone() };
        if let Some(error) = &mut self.task_mut(index).state_mut().error {
            std::sync::Arc::make_mut(error).cause = Some(cause.into());
        }
    }
}

/// Stops the timers of a task that has ended.
pub(super) fn stop_clocks(job: &LiveJob, index: u32, timers: &mut Timers<Timer>) {
    if job.timeouts(index).is_some_and(Timeouts::begins_when_ready) {
        for timer in [Timer::ToStart(job.id, index), Timer::Recall(job.id, index), Timer::ToClose(job.id, index)] {
            timers.stop(timer);
        }
    }
}

/// How much of a limit is left that began at `began`. After a restart with a clock that was set back it is the whole limit at
/// most.
fn left(began: Timestamp, limit: Duration, now: Now) -> Duration {
    began.after(limit).since(now.wall).min(limit)
}

fn timed_out(which: Timeout) -> TaskError {
    TaskError { which: Some(which), ..TaskError::new(ErrorKind::TimedOut) }
}
