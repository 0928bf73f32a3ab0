//! The jobs of schedules: how they are added, and what follows from their ends.

use std::sync::Arc;
use std::time::Duration;

use crate::job::{Job, Labels};
use crate::job_details::PauseRecord;
use crate::machine::live::LiveJob;
use crate::machine::timers::Timer;
use crate::machine::{Machine, Refused};
use crate::schedule::{LastRun, Preparation, Run, SkipReason};
use crate::state::JobState;
use crate::text::cut;
use crate::{JobId, JobStatus, Json, Now, Timestamp};

/// How long a job waits that cannot be added now, the first time.
const POSTPONEMENT: Duration = Duration::from_secs(1);
/// How often this wait is doubled: up to about half a minute.
const MAXIMUM_DOUBLINGS: u32 = 5;
/// Maximum length of the reason for a skipped time, in bytes.
const MAXIMUM_REASON: usize = 500;

impl Machine {
    /// Whether the machine waits for the job of a run. A run that it does not wait for is dropped: its schedule was
    /// removed, changed or paused meanwhile.
    #[must_use]
    pub fn expects_run(&self, Preparation { run, number }: &Preparation) -> bool {
        let found = self.schedules.find(&run.name).filter(|schedule| schedule.kept.uid == run.uid);
        found.is_some_and(|schedule| run.triggered || schedule.starting.is_some_and(|one| one.number == *number))
    }

    /// Adds the job of a run that is [expected](Machine::expects_run). The schedule goes on in the same commit.
    ///
    /// # Errors
    /// If there is a live job with this id, or the ids of the tasks would collide with those of another job.
    pub fn submit_run(
        &mut self,
        (run, labels): (Run, Option<Arc<Labels>>),
        id: JobId,
        job: Arc<Job>,
        inputs: Option<Json>,
        now: Now,
    ) -> Result<(), Refused> {
        if self.jobs.of_family(id.family()).is_some() {
            return Err(Refused::IdTaken);
        }
        // The job may end at once, which concerns the schedule, too.
        self.note_run(&run, Some(id), now);
        let mut state = JobState::pending(now.wall);
        let details = state.details_mut();
        (details.inputs, details.labels, details.run) = (inputs, labels, Some(Arc::new(run)));
        self.add(id, job, state, now);
        Ok(())
    }

    /// The job of a run cannot be added: the time is recorded as skipped. A run that is not expected is dropped.
    pub fn refuse_run(&mut self, preparation: &Preparation, reason: SkipReason, msg: Option<Arc<str>>, now: Now) {
        if !self.expects_run(preparation) || preparation.run.triggered {
            return;
        }
        let run = &preparation.run;
        let Some(schedule) = self.schedules.of_run(run) else { return };
        let msg = msg.map(|msg| cut(msg, MAXIMUM_REASON));
        schedule.state_mut().skip(run.at, reason, msg.clone());
        self.note_run(run, None, now);
        if reason == SkipReason::Refused
            && let Some(schedule) = self.schedules.of_run(run)
        {
            schedule.state_mut().failures += 1;
            let last = format!("the job for {} was refused: {}", run.at, msg.unwrap_or_default());
            schedule.pause_after_failures(&last, now.wall);
            self.persist_schedule(&run.name);
            self.plan_schedule(&run.name, now);
        }
    }

    /// The job of a run cannot be added now: it is prepared again after a second, and then after a growing time.
    pub fn postpone_run(&mut self, preparation: &Preparation, now: Now) {
        if preparation.run.triggered || !self.expects_run(preparation) {
            return;
        }
        let name = &preparation.run.name;
        if let Some(schedule) = self.schedules.find_mut(name) {
            schedule.postponed = schedule.starting.take();
            let delay = POSTPONEMENT * 2_u32.saturating_pow(schedule.postponements.min(MAXIMUM_DOUBLINGS));
            schedule.postponements = schedule.postponements.saturating_add(1);
            self.timers.set(Timer::Postponed(Arc::clone(name)), now.steady.after(delay));
            self.plan_schedule(name, now);
        }
    }

    /// A time of a schedule is decided: it goes on with the next one.
    fn note_run(&mut self, run: &Run, job: Option<JobId>, now: Now) {
        let Some(schedule) = self.schedules.of_run(run) else { return };
        let next = schedule.kept.schedule.next_after(run.at);
        let starting = schedule.starting.take_if(|starting| starting.at == run.at && !run.triggered);
        if let Some(starting) = starting {
            schedule.postponements = 0;
            if !starting.is_late {
                schedule.waited_until = now.wall;
            }
        }
        let state = schedule.state_mut();
        if let Some(job) = job {
            state.started += 1;
            state.last = Some(LastRun { at: run.at, job });
        }
        if let Some(starting) = starting {
            if state.buffered.first() == Some(&run.at.as_millis()) {
                state.buffered.remove(0);
            } else if state.next_at == Some(run.at) {
                state.next_at = next;
                state.caught_up += u32::from(starting.is_late);
            }
        }
        self.persist_schedule(&run.name);
        self.plan_schedule(&run.name, now);
    }

    /// A job is live from now on.
    pub(in crate::machine) fn count_run(&mut self, job: &LiveJob) {
        let Some(run) = job.run() else { return };
        if let Some(schedule) = self.schedules.of_run(run) {
            schedule.jobs.insert(job.id);
            self.schedules.plan(&run.name);
        }
    }

    /// A job has ended: the next one of its schedule can start.
    pub(in crate::machine) fn leave_schedule(&mut self, job: &LiveJob, now: Now) {
        let Some(run) = job.run() else { return };
        let Some(schedule) = self.schedules.of_run(run) else { return };
        schedule.jobs.remove(&job.id);
        let before = Arc::clone(&schedule.state);
        match job.state.status {
            JobStatus::Success if before.failures > 0 => schedule.state_mut().failures = 0,
            JobStatus::Failed => {
                schedule.state_mut().failures += 1;
                schedule.pause_after_failures(&format!("the job {} failed", job.id), now.wall);
            }
            _ => {}
        }
        if schedule.state != before {
            self.persist_schedule(&run.name);
        }
        self.plan_schedule(&run.name, now);
    }
}

impl LiveJob {
    /// The schedule and the time that the job was started for.
    fn run(&self) -> Option<&Arc<Run>> {
        self.state.details.as_deref()?.run.as_ref()
    }
}

impl super::live::LiveSchedule {
    fn pause_after_failures(&mut self, last: &str, wall: Timestamp) {
        let limit = self.kept.schedule.pause_on_failure();
        if limit > 0 && self.state.failures >= limit && self.state.paused.is_none() {
            let reason = format!("{} jobs in a row failed or were refused: {last}", self.state.failures);
            self.pause(PauseRecord { at: wall, by: Some("hub".into()), reason: Some(reason.into()) });
        }
    }
}
