//! The times of a job: when it starts, and its deadline. They follow from its text, the time of its submission and its
//! clock, so they are not stored.

use std::time::Duration;

use super::Machine;
use super::live::LiveJob;
use super::place::Place;
use super::timers::Timer;
use super::trigger::Decision;
use crate::job::{Due, Phase};
use crate::{JobId, Now, Timestamp};

/// Interval at which a time of the wall clock is compared with the wall clock, because it can be set.
pub(super) const COMPARISON_INTERVAL: Duration = Duration::from_secs(60);

impl Machine {
    /// Sets the timers of a job's times, or stops them if the job's clock stands still.
    pub(super) fn set_job_timers(&mut self, id: JobId, now: Now) {
        let job = self.jobs.job(id);
        let start = job.job.start(job.state.submitted_at).filter(|_| job.waits_for_start);
        let deadline = job.job.due(job.state.submitted_at).filter(|_| !job.cancelled && job.phase() == Phase::Tasks);
        let handlers = job.handlers_due().filter(|_| !job.cancelled);
        let timers = [(Timer::Start(id), start), (Timer::Deadline(id), deadline), (Timer::Handlers(id), handlers)];
        let waits = timers.map(|(timer, due)| (timer, due.and_then(|due| job.wait_for(due, now.wall))));
        for (timer, wait) in waits {
            match wait {
                Some(wait) => self.timers.set(timer, now.steady.after(wait)),
                None => self.timers.stop(timer),
            }
        }
    }

    /// The job has ended: stops the timers of its times.
    pub(super) fn stop_job_timers(&mut self, job: &LiveJob) {
        if job.job.has_times() {
            for timer in [Timer::Start(job.id), Timer::Deadline(job.id), Timer::Handlers(job.id)] {
                self.timers.stop(timer);
            }
        }
    }

    /// The time at which a job starts may have come: its tasks without open dependencies become ready.
    pub(super) fn start_job(&mut self, id: JobId, now: Now) {
        let Some(job) = self.jobs.find_mut(id).filter(|job| job.waits_for_start && !job.cancelled) else { return };
        if job.job.start(job.state.submitted_at).is_some_and(|start| !start.has_come(now.wall)) {
            return self.set_job_timers(id, now);
        }
        job.waits_for_start = false;
        let is_ready = |index: &u32| {
            let task = job.task(*index);
            task.place == Place::Blocked && task.decision() == Decision::Run
        };
        let ready: Vec<u32> = job.positions_until_now().filter(is_ready).collect();
        self.make_ready(id, &ready, now);
        // Conditions may have ended tasks.
        self.sweep(id, now);
    }

    /// The deadline of a job may have passed: the job fails, and its tasks are stopped.
    pub(super) fn end_at_deadline(&mut self, id: JobId, now: Now) {
        let is_open = |job: &&mut LiveJob| !job.cancelled && job.phase() == Phase::Tasks;
        let Some(job) = self.jobs.find_mut(id).filter(is_open) else { return };
        let Some(due) = job.job.due(job.state.submitted_at) else { return };
        if !due.has_come(now.wall) {
            return self.set_job_timers(id, now);
        }
        let at = due.wall(job.clock());
        let why = format!("DEADLINE: the job did not end by {at}, its deadline");
        job.mark_failed(why.into(), &mut self.actions);
        self.stop_job(id, now);
    }
}

impl LiveJob {
    /// Whether the job's start is still to come.
    pub(super) fn is_before_start(&self, wall: Timestamp) -> bool {
        let is_later = |start: Due| match start {
            Due::Wall(at) => at > wall,
            Due::Clock { at, .. } => at > self.clock().read(wall),
        };
        // The wall clock may have been set back since the start.
        let has_begun = self.state.started_at.is_some();
        !has_begun && self.job.start(self.state.submitted_at).is_some_and(is_later)
    }

    /// Time until the next look at a time of the job. `None` if the job's clock stands still.
    fn wait_for(&self, due: Due, wall: Timestamp) -> Option<Duration> {
        match due {
            Due::Wall(at) => Some(at.since(wall).min(COMPARISON_INTERVAL)),
            Due::Clock { .. } if self.is_paused() => None,
            // After a restart it is not longer than it was meant to be, even if the wall clock was set back.
            Due::Clock { at, longest } => Some(self.clock().until(at, wall).min(longest)),
        }
    }
}
