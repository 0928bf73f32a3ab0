//! Cancels jobs. Tasks that wait end at once. The workers are told to stop the tasks that are out, and a job is
//! `CANCELLING` until these have ended.
//!
//! A task that is out ends when its worker reports its result or returns it, or when its lease expires. A success that
//! was reported before the stop counts; every other end is `CANCELLED`. A worker may also never answer, because the
//! issue is in a queue that no worker reads, or because it does not support stops. So a stop waits for fewer and fewer
//! tasks: see [`WaitsFor`]. These deadlines are treated like leases: one that has passed counts only when the messages
//! of workers up to it have been read.

use std::sync::Arc;
use std::time::Duration;

use super::control::Cancel;
use super::live::LiveJob;
use super::place::Place;
use super::remaining_work::RemainingWork;
use super::stop::{Stop, WaitsFor};
use super::types::ControlError;
use super::waiting::MAXIMUM_ANNOUNCEMENT_DELAY;
use super::{Machine, texts};
use crate::action::Action;
use crate::job::{Phase, Timeouts};
use crate::job_details::{CancelRecord, HandlerStop};
use crate::text::cut;
use crate::{IssueId, JobId, JobStatus, Now, Steady, TaskStatus};

/// Whether the handlers of a job that fails run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handlers {
    /// They run.
    Run,
    /// They do not run, because the job is in no store.
    Skip,
}

/// What a cancellation changes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Effect {
    /// Nothing.
    None,
    /// What is stored of it.
    Noted,
    /// The tasks that run are stopped, or with less grace.
    Stops,
    /// The handlers that run go on, and a pause ends.
    HandlersGoOn,
}

impl Machine {
    /// Cancels a job. Waiting tasks end, and workers are told to stop the others. The job ends when these and the handlers of
    /// `finally` have ended. Cancelling again has no effect, except that [`Cancel::now`] ends the grace period, and
    /// [`Cancel::handlers`] stops the handlers. A job whose tasks have ended keeps its verdict. Returns the status of the job.
    ///
    /// # Errors
    /// If no live job has this id.
    pub fn cancel(&mut self, id: JobId, cancel: Cancel, now: Now) -> Result<JobStatus, ControlError> {
        let job = self.jobs.find_mut(id).ok_or(ControlError::UnknownJob)?;
        match job.note_cancel(cancel, now) {
            Effect::None => {}
            Effect::Noted => {
                job.persist_job(&mut self.actions);
                self.pass_cancel(id);
            }
            Effect::Stops => self.stop_job(id, now),
            Effect::HandlersGoOn => self.go_on_cancelled(id, now),
        }
        let ended = self.ended.iter().rfind(|ended| ended.id() == id).map(|ended| ended.0.state.status);
        let status = self.jobs.find(id).map(|job| job.state.status).or(ended);
        Ok(status.expect("a job is live, or has just ended"))
    }

    /// Fails a job for a reason outside its tasks. Its open tasks are cancelled without waiting for workers, and `why`
    /// is the message of the job. After a crash in between, workers are waited for as in a cancel.
    ///
    /// # Errors
    /// If no live job has this id.
    pub fn fail_job(&mut self, id: JobId, why: Arc<str>, handlers: Handlers, now: Now) -> Result<(), ControlError> {
        let job = self.jobs.find_mut(id).ok_or(ControlError::UnknownJob)?;
        job.end_pauses(now.wall);
        if job.phase() == Phase::Tasks {
            job.mark_failed(why, &mut self.actions);
        } else {
            job.state.details_mut().verdict = Some(JobStatus::Failed);
            (job.state.msg, job.state.output) = (Some(Arc::clone(&why)), None);
            job.stop_handlers(HandlerStop { why, now: true, is_cancel: false }, &mut self.actions);
        }
        job.skips_handlers = handlers == Handlers::Skip;
        self.end_job(id, now);
        if let Some(job) = self.jobs.find_mut(id).filter(|job| job.state.status == JobStatus::Paused) {
            job.leave_pause(&mut self.actions);
        }
        Ok(())
    }

    /// Goes on with the handlers of a job that has been cancelled after its verdict: a pause ends.
    fn go_on_cancelled(&mut self, id: JobId, now: Now) {
        let job = self.jobs.job_mut(id);
        let was_paused = job.is_paused();
        job.end_pauses(now.wall);
        // Its tasks may have been stopped for another reason, such as the deadline of the job.
        if job.state.status == JobStatus::Cancelling {
            job.persist_job(&mut self.actions);
        } else {
            job.set_job_status(JobStatus::Cancelling, &mut self.actions);
        }
        if was_paused {
            self.take_up(id, now);
        }
    }

    /// Ends all tasks of a job without waiting for workers.
    pub(super) fn end_job(&mut self, id: JobId, now: Now) {
        let stop = Stop { since: now.steady, is_now: true, waits_for: WaitsFor::Nothing };
        self.jobs.job_mut(id).begin_stop(stop);
        self.sweep(id, now);
    }

    /// Ends the tasks of a job that wait, and has workers stop the others.
    pub(super) fn stop_job(&mut self, id: JobId, now: Now) {
        let served_at = self.workers.link_up_since().after(MAXIMUM_ANNOUNCEMENT_DELAY);
        let is_early = !self.workers.is_link_up() || now.steady < served_at;
        let waits_for = if is_early { WaitsFor::All } else { WaitsFor::Served };
        let job = self.jobs.job_mut(id);
        job.end_pauses(now.wall);
        let waits_for = job.stop.map_or(waits_for, |stop| stop.waits_for.max(waits_for));
        // The job of handlers that have taken too long is not being cancelled.
        let is_cancelling = job.phase() == Phase::Tasks || job.is_being_cancelled();
        let is_now = job.is_stopped_now();
        job.begin_stop(Stop { since: now.steady, is_now, waits_for });
        self.sweep(id, now);
        let Some(job) = self.jobs.find_mut(id) else { return };
        // Handlers may have begun. After a deadline without a task to wait for, nothing is being cancelled.
        let is_cancelling = job.is_being_cancelled() || job.stop.is_some() && is_cancelling;
        if job.state.status == JobStatus::Cancelling || !is_cancelling {
            job.leave_pause(&mut self.actions);
        } else {
            job.set_job_status(JobStatus::Cancelling, &mut self.actions);
        }
        if job.stop.is_none() {
            return;
        }
        self.stops.jobs.insert(id);
        self.set_stop_timers(id, now.steady, is_early.then_some(served_at));
    }

    fn set_stop_timers(&mut self, id: JobId, from: Steady, served_at: Option<Steady>) {
        let (grace, lease) = (self.jobs.job(id).longest_grace(), self.settings.lease);
        let timers = &mut self.stops.timers;
        if let Some(served_at) = served_at {
            timers.set((id, WaitsFor::Served), served_at.max(from));
        }
        timers.set((id, WaitsFor::Started), from.after(grace + lease));
        timers.set((id, WaitsFor::Nothing), from.after(grace + lease * 2));
    }

    /// The link has come up. While it was down, stops did not reach workers, and their answers did not arrive.
    pub(super) fn extend_stops(&mut self, now: Steady) {
        for id in self.stops.jobs.clone() {
            self.set_stop_timers(id, now.after(self.settings.lease_grace), Some(now.after(MAXIMUM_ANNOUNCEMENT_DELAY)));
        }
    }

    /// All messages of workers up to `until` have been read: stops wait for fewer tasks.
    pub(super) fn advance_stops(&mut self, until: Steady, now: Now) {
        if !self.workers.is_link_up() {
            return;
        }
        for (id, waits_for) in self.stops.timers.take_due(until) {
            // The job may have ended with an earlier one.
            if let Some(job) = self.jobs.find_mut(id)
                && let Some(stop) = job.stop
            {
                job.begin_stop(Stop { waits_for: stop.waits_for.max(waits_for), ..stop });
                self.sweep(id, now);
            }
        }
    }

    /// Tells workers again to stop an issue if it is being stopped: a worker has named it in a heartbeat.
    pub(super) fn stop_again(&mut self, id: JobId, index: u32, now: Steady) {
        let job = self.jobs.job(id);
        self.actions.extend(job.stop.and_then(|stop| job.stop_action(index, stop, now)));
    }

    /// Tells a worker that has joined which issues of its pools are being stopped, because they may still be in a queue.
    pub(super) fn tell_of_stops(&mut self, pools: &[Arc<str>], now: Steady) {
        for id in &self.stops.jobs {
            let job = self.jobs.job(*id);
            let Some(stop) = job.stop else { continue };
            let out = job
                .positions()
                .filter(|index| job.task(*index).place == Place::Window && pools.contains(job.spec(*index).pool()));
            self.actions.extend(out.filter_map(|index| job.stop_action(index, stop, now)));
        }
    }

    /// Ends a task that was out and whose job is being cancelled.
    pub(super) fn end_stopped(&mut self, id: JobId, index: u32, now: Now) {
        self.withdraw(id, index);
        self.end(id, index, TaskStatus::Cancelled, now);
    }
}

impl LiveJob {
    /// Whether somebody has cancelled the job.
    fn is_being_cancelled(&self) -> bool {
        self.state.details.as_deref().is_some_and(|details| details.cancel.is_some())
    }

    /// Whether the tasks that are being stopped are killed without their grace.
    fn is_stopped_now(&self) -> bool {
        let cancel = self.state.details.as_deref().and_then(|details| details.cancel.as_ref());
        match self.phase() {
            Phase::Tasks => cancel.is_some_and(|cancel| cancel.now),
            Phase::OnFailure | Phase::Finally => self.handler_stop().is_some_and(|stop| stop.now),
        }
    }

    /// Notes a cancellation.
    fn note_cancel(&mut self, cancel: Cancel, now: Now) -> Effect {
        let known = self.state.details.as_deref().and_then(|details| details.cancel.clone());
        let is_wider = cancel.handlers && !known.as_ref().is_some_and(|known| known.handlers);
        let is_hurried = cancel.now && !self.is_stopped_now();
        let effect = if self.cancelled {
            match (is_hurried, is_wider) {
                (true, _) => Effect::Stops,
                (false, true) => Effect::Noted,
                (false, false) => return Effect::None,
            }
        } else if self.phase() == Phase::Finally && !cancel.handlers {
            // A cancel without `handlers` does not stop `finally`.
            if known.is_some() {
                return Effect::None;
            }
            Effect::HandlersGoOn
        } else {
            Effect::Stops
        };
        if self.phase() > Phase::Tasks && effect == Effect::Stops {
            let details = self.state.details_mut();
            let why = "the job was cancelled".into();
            let stop = details.handler_stop.get_or_insert(HandlerStop { why, now: false, is_cancel: true });
            stop.now |= cancel.now;
        }
        let was_now = known.as_ref().is_some_and(|known| known.now);
        let had_handlers = known.as_ref().is_some_and(|known| known.handlers);
        let short = |text: Option<Arc<str>>| text.map(|text| cut(text, texts::MAXIMUM_REASON));
        let (at, by, reason) = known.map_or((now.wall, None, None), |known| (known.at, known.by, known.reason));
        self.state.details_mut().cancel = Some(CancelRecord {
            at,
            now: cancel.now || was_now,
            handlers: cancel.handlers || had_handlers,
            by: short(cancel.by).or(by),
            reason: short(cancel.reason).or(reason),
        });
        effect
    }

    /// Time between the request to a task to end and its kill.
    pub(super) fn grace(&self, index: u32) -> Duration {
        self.timeouts(index).map_or(Timeouts::GRACE, Timeouts::grace)
    }

    /// The longest grace of a task that is being stopped.
    fn longest_grace(&self) -> Duration {
        if self.stop.is_none_or(|stop| stop.is_now) {
            return Duration::ZERO;
        }
        let out = self.positions().filter(|index| self.task(*index).place.is_out());
        out.map(|index| self.grace(index)).max().unwrap_or_default()
    }

    /// Schedules the end of all open tasks that the stop does not wait for.
    fn begin_stop(&mut self, stop: Stop) {
        self.cancelled = true;
        self.stop = Some(stop);
        self.sweep = Some(Box::new(RemainingWork { cancel: Some(0), ..RemainingWork::default() }));
    }

    /// The request to stop the issue of a task that is out.
    pub(super) fn stop_action(&self, index: u32, stop: Stop, now: Steady) -> Option<Action> {
        let issue: IssueId = self.task(index).state().issue?.of(self.id.task(index));
        let grace = if stop.is_now { Duration::ZERO } else { self.grace(index) };
        Some(Action::Stop { issue, grace: grace.saturating_sub(now.since(stop.since)) })
    }
}
