//! The jobs of schedules: how they are added, and what follows from their ends.

use std::sync::Arc;
use std::time::Duration;

use super::due::LATE;
use crate::job::{Job, Labels};
use crate::job_details::PauseRecord;
use crate::machine::live::LiveJob;
use crate::machine::{Machine, Refused, Submitted};
use crate::schedule::{LastRun, Run, SkipReason};
use crate::state::JobState;
use crate::{JobId, JobStatus, Json, Now, Timestamp};

/// How long a job waits that cannot be added now.
const POSTPONEMENT: Duration = Duration::from_secs(1);

impl Machine {
    /// Whether the machine waits for the job of a run. A run that it does not wait for is dropped: its schedule was
    /// removed, changed or paused meanwhile.
    #[must_use]
    pub fn expects_run(&self, run: &Run) -> bool {
        let found = self.schedules.find(&run.name).filter(|schedule| schedule.kept.uid == run.uid);
        found.is_some_and(|schedule| run.triggered || schedule.starting == Some(run.at))
    }

    /// Adds the job of a run that is [expected](Machine::expects_run). The schedule goes on in the same commit.
    ///
    /// # Errors
    /// If the id belongs to another job, or the ids of the tasks would collide with those of another job.
    pub fn submit_run(
        &mut self,
        (run, labels): (Run, Option<Arc<Labels>>),
        id: JobId,
        job: Arc<Job>,
        inputs: Option<Json>,
        now: Now,
    ) -> Result<Submitted, Refused> {
        if let Some(known) = self.jobs.of_family(id.family()) {
            return if known == id { Ok(Submitted::Known) } else { Err(Refused::IdTaken) };
        }
        let mut state = JobState::pending(now.wall);
        let details = state.details_mut();
        (details.inputs, details.labels, details.run) = (inputs, labels, Some(Arc::new(run.clone())));
        self.add(id, job, state, now);
        self.note_run(&run, Some(id), now);
        Ok(Submitted::New)
    }

    /// The job of a run cannot be added: the time is recorded as skipped.
    pub fn refuse_run(&mut self, run: &Run, reason: SkipReason, msg: Option<Arc<str>>, now: Now) {
        if !self.expects_run(run) || run.triggered {
            return;
        }
        let Some(schedule) = self.schedules.of_run(run) else { return };
        let state = schedule.state_mut();
        state.skip(run.at, reason, msg.clone());
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

    /// The job of a run cannot be added now: it is prepared again in a second.
    pub fn postpone_run(&mut self, run: &Run, now: Now) {
        if let Some(schedule) = self.schedules.of_run(run).filter(|schedule| schedule.starting == Some(run.at)) {
            schedule.starting = None;
            schedule.postponed = Some((run.at, now.wall.after(POSTPONEMENT)));
            self.plan_schedule(&run.name, now);
        }
    }

    /// A time of a schedule is decided: it goes on with the next one.
    fn note_run(&mut self, run: &Run, job: Option<JobId>, now: Now) {
        let Some(schedule) = self.schedules.of_run(run) else { return };
        let late = now.wall.since(schedule.kept.schedule.due(run.uid, run.at)) > LATE;
        let next = schedule.kept.schedule.next_after(run.at);
        let was_starting = schedule.starting.take_if(|starting| *starting == run.at && !run.triggered).is_some();
        let state = schedule.state_mut();
        if let Some(job) = job {
            state.started += 1;
            state.last = Some(LastRun { at: run.at, job });
        }
        if was_starting {
            let millis = run.at.as_millis();
            if state.buffered.first() == Some(&millis) {
                state.buffered.remove(0);
            } else if state.next_at == Some(run.at) {
                state.next_at = next;
                state.caught_up = if late { state.caught_up + 1 } else { 0 };
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
            let reason = format!("{} in a row did not succeed: {last}", self.state.failures);
            self.pause(PauseRecord { at: wall, by: Some("hub".into()), reason: Some(reason.into()) });
        }
    }
}
