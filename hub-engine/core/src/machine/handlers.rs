//! Handlers: the tasks that run after the verdict on the tasks of a job.
//!
//! The lists run one after the other: `tasks`, `on_failure`, `finally`. The list that runs and the verdict are stored with
//! the job. A list that is not needed is skipped as a whole.

use super::Machine;
use super::job_failure::failure_of_job;
use super::live::LiveJob;
use super::trigger::Decision;
use crate::action::Action;
use crate::job::{Due, Phase};
use crate::job_details::{HandlerStop, JobDetails};
use crate::{JobId, JobStatus, Now, TaskStatus};

impl Machine {
    /// Begins with the next list of handlers that is to run. Returns whether there is one.
    pub(super) fn begin_next_handlers(&mut self, id: JobId, verdict: JobStatus, now: Now) -> bool {
        let job = self.jobs.job_mut(id);
        let current = job.phase();
        for phase in Phase::ALL.into_iter().filter(|phase| *phase > current) {
            let range = job.job.range(phase);
            if range.is_empty() {
                continue;
            }
            let Some(why) = job.why_not_needed(phase, verdict) else {
                self.begin_handlers(id, phase, verdict, now);
                return true;
            };
            for index in range {
                job.task_mut(index).state_mut().msg = Some(why.into());
                job.close_task(index, TaskStatus::Skipped, now.wall, &mut self.actions);
            }
        }
        false
    }

    fn begin_handlers(&mut self, id: JobId, phase: Phase, verdict: JobStatus, now: Now) {
        self.stops.forget(id);
        let job = self.jobs.job_mut(id);
        (job.cancelled, job.stop, job.sweep) = (false, None, None);
        job.waits_for_start = false;
        let until = job.clock().read(now.wall).after(job.job.handler_deadline());
        let failure = (job.job.reads_failure() && job.state.failure().is_none()).then(|| {
            failure_of_job(&job.job, verdict, job.state.msg.as_deref(), |task| job.tasks[task as usize].state())
        });
        let details = job.state.details_mut();
        (details.phase, details.verdict) = (phase, Some(verdict));
        (details.handlers_until, details.handler_stop) = (Some(until), None);
        details.failure = failure.or_else(|| details.failure.take());
        job.persist_job(&mut self.actions);
        let ready: Vec<u32> =
            job.job.range(phase).filter(|index| job.task(*index).decision() == Decision::Run).collect();
        self.set_job_timers(id, now);
        self.make_ready(id, &ready, now);
        self.sweep(id, now);
    }

    /// The deadline of the handlers of a job may have passed: they are stopped.
    pub(super) fn end_handlers_at_deadline(&mut self, id: JobId, now: Now) {
        let Some(job) = self.jobs.find_mut(id).filter(|job| !job.cancelled) else { return };
        let Some(due) = job.handlers_due() else { return };
        if !due.has_come(now.wall) {
            return self.set_job_timers(id, now);
        }
        let why = format!("DEADLINE: they did not end by {}, the deadline of handlers", due.wall(job.clock())).into();
        job.stop_handlers(HandlerStop { why, now: false, is_cancel: false }, &mut self.actions);
        self.stop_job(id, now);
    }
}

impl LiveJob {
    /// The list of tasks that runs.
    pub(super) fn phase(&self) -> Phase {
        self.state.details.as_deref().map_or(Phase::Tasks, |details| details.phase)
    }

    /// The positions of the tasks of the list that runs and of those before.
    pub(super) fn positions_until_now(&self) -> std::ops::Range<u32> {
        0..self.job.range(self.phase()).end
    }

    /// Whether the list of the task or the item at `index` has begun.
    pub(super) fn has_begun(&self, index: u32) -> bool {
        !self.job.has_handlers() || self.job.phase(index) <= self.phase()
    }

    /// How the job ends. This is decided when its tasks have ended, and does not change. The output has at most `limit` bytes.
    pub(super) fn verdict(&mut self, limit: usize) -> JobStatus {
        let known = self.state.details.as_deref().and_then(|details| details.verdict);
        known.unwrap_or_else(|| self.decide(limit))
    }

    /// The stop of the handlers that run.
    pub(super) fn handler_stop(&self) -> Option<&HandlerStop> {
        self.state.details.as_deref()?.handler_stop.as_ref()
    }

    /// When the handlers that run have to end.
    pub(super) fn handlers_due(&self) -> Option<Due> {
        let at = self.state.details.as_deref()?.handlers_until?;
        Some(Due::Clock { at, longest: self.job.handler_deadline() })
    }

    /// The handlers that run have to be stopped.
    pub(super) fn stop_handlers(&mut self, stop: HandlerStop, actions: &mut Vec<Action>) {
        self.state.details_mut().handler_stop = Some(stop);
        self.persist_job(actions);
    }

    /// Why a list of handlers does not run.
    fn why_not_needed(&self, phase: Phase, verdict: JobStatus) -> Option<&'static str> {
        if self.skips_handlers {
            return Some("did not run, because the job cannot be kept");
        }
        let is_cancelled = |details: &JobDetails| details.cancel.as_ref().is_some_and(|cancel| cancel.handlers);
        if self.state.details.as_deref().is_some_and(is_cancelled) {
            return Some("did not run, because the job was cancelled with its handlers");
        }
        match phase {
            Phase::OnFailure if verdict != JobStatus::Failed => Some("did not run, because the job did not fail"),
            Phase::Finally if verdict == JobStatus::Cancelled && self.state.started_at.is_none() => {
                Some("did not run, because the job was cancelled before it had begun")
            }
            _ => None,
        }
    }

    /// Why the handlers of `finally` fail a job that has succeeded.
    pub(super) fn why_finally_failed(&self) -> Option<String> {
        let range = self.job.range(Phase::Finally);
        let status = |index: &u32| self.task(*index).state().counts_as();
        let is_cancel = self.handler_stop().is_some_and(|stop| stop.is_cancel);
        let unsuccessful = |index: &u32| match status(index) {
            TaskStatus::Success | TaskStatus::Skipped => false,
            TaskStatus::Cancelled => !is_cancel,
            _ => true,
        };
        let (count, failed) = (range.len(), range.clone().filter(unsuccessful).count());
        if failed == 0 {
            return None;
        }
        let is_failed = |index: &u32| status(index) == TaskStatus::Failed;
        let first = match self.handler_stop().filter(|stop| !stop.is_cancel) {
            Some(stop) => Some(stop.why.to_string()),
            None => range.clone().find(is_failed).map(|index| {
                let failure = self.failure_of(index);
                format!("{:?}: {}", failure.task, failure.msg)
            }),
        };
        let first = first.map(|first| format!("; first: {first}")).unwrap_or_default();
        Some(format!("HANDLER_FAILED: {failed} of the {count} tasks of \"finally\" did not succeed{first}"))
    }

    /// Removes what is known only while handlers run.
    pub(super) fn forget_handlers(&mut self) {
        if self.job.has_handlers() {
            let details = self.state.details_mut();
            (details.phase, details.handlers_until, details.handler_stop) = (Phase::Tasks, None, None);
        }
    }
}
