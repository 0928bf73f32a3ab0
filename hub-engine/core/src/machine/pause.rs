//! Pauses jobs and pools: nothing further is issued, and what is out goes on.
//!
//! The ready tasks of a paused job are in no queue. Its clock stands still, so its waits have no timers: both follow
//! from its tasks when it is resumed. A paused pool keeps its queue.

use std::sync::Arc;
use std::time::Duration;

use super::control::Remark;
use super::live::LiveJob;
use super::place::Place;
use super::pool::Pool;
use super::timers::Timer;
use super::types::ControlError;
use super::{Machine, texts, timeouts};
use crate::action::{Action, Change};
use crate::details::TaskDetails;
use crate::job::Timeouts;
use crate::job_clock::JobClock;
use crate::job_details::{PauseCause, PauseRecord};
use crate::text::cut;
use crate::{JobId, JobStatus, Now, TaskStatus, Timestamp};

/// Maximum number of paused pools, because clients can name any pool.
const MAXIMUM_PAUSED_POOLS: usize = 1000;

impl Machine {
    /// Pauses a job. Pausing it again has no effect.
    ///
    /// # Errors
    /// If no live job has this id, or the job is being cancelled.
    pub fn pause_job(&mut self, id: JobId, remark: Remark, now: Now) -> Result<(), ControlError> {
        self.pause_because(id, PauseCause::Own, remark, now)
    }

    /// Pauses a job for this cause, and its sub-jobs with it.
    pub(super) fn pause_because(
        &mut self,
        id: JobId,
        cause: PauseCause,
        remark: Remark,
        now: Now,
    ) -> Result<(), ControlError> {
        let job = self.jobs.find_mut(id).ok_or(ControlError::UnknownJob)?;
        if job.cancelled || job.state.status == JobStatus::Cancelling {
            return Err(ControlError::Cancelling);
        }
        if job.is_paused_by(cause) {
            return Ok(());
        }
        if !job.pause(cause, remark.into_record(now.wall), now.wall) {
            // It was paused for another cause.
            job.persist_job(&mut self.actions);
            return Ok(());
        }
        let mut previous = None;
        for index in job.positions() {
            let place = job.task(index).place;
            if place == Place::Queued {
                job.task_mut(index).place = Place::Suspended;
                self.flights.note_left((id, index));
                let (priority, pool) = (job.priority(index), Arc::clone(job.spec(index).pool()));
                if previous.replace((priority, Arc::clone(&pool))) != previous {
                    self.pools.get_mut(&pool).forget(priority, id);
                }
            }
            timeouts::stop_clocks(job, index, &mut self.timers);
            let state = job.task(index).state();
            let stands_still = match place {
                Place::Resting | Place::Held => state.waits_for_a_time(),
                Place::Waiting => state.details.as_deref().is_some_and(TaskDetails::is_timed),
                _ => false,
            };
            if stands_still {
                self.timers.stop(Timer::Rest(id, index));
            }
        }
        job.set_job_status(JobStatus::Paused, &mut self.actions);
        self.set_job_timers(id, now);
        self.pass_pause(id);
        Ok(())
    }

    /// Resumes a job. Its durations go on. Resuming a job that is not paused has no effect.
    ///
    /// # Errors
    /// If no live job has this id.
    pub fn resume_job(&mut self, id: JobId, now: Now) -> Result<(), ControlError> {
        self.resume_because(id, PauseCause::Own, now)
    }

    /// Removes a cause for which a job is paused. If it was the last one, the job goes on, and its sub-jobs with it.
    pub(super) fn resume_because(&mut self, id: JobId, cause: PauseCause, now: Now) -> Result<(), ControlError> {
        let job = self.jobs.find_mut(id).ok_or(ControlError::UnknownJob)?;
        if !job.is_paused_by(cause) {
            return Ok(());
        }
        if !job.resume_from(cause, now.wall) {
            job.persist_job(&mut self.actions);
            return Ok(());
        }
        job.leave_pause(&mut self.actions);
        self.take_up(id, now);
        self.pass_resume(id);
        Ok(())
    }

    /// Goes on with the tasks of a job that was paused.
    pub(super) fn take_up(&mut self, id: JobId, now: Now) {
        let job = self.jobs.job_mut(id);
        let iterating: Vec<u32> =
            job.groups.keys().copied().filter(|task| job.task(*task).place == Place::Items).collect();
        self.advancing.extend(iterating.into_iter().map(|task| (id, task)));
        let (positions, mut ready) = (job.positions(), Vec::new());
        for index in positions {
            let task = self.jobs.job(id).task(index);
            match task.place {
                Place::Suspended => ready.push(index),
                Place::Resting | Place::Held if task.state().waits_for_a_time() => {
                    self.wait_for_its_time(id, index, now);
                }
                Place::Waiting if task.state().status == TaskStatus::Running => self.await_further(id, index, now),
                Place::Ended => continue,
                _ => {}
            }
            self.watch_schedule(id, index, now);
        }
        self.enqueue_all(id, &ready);
        self.set_job_timers(id, now);
    }

    /// Pauses a pool: none of its tasks is issued. Pausing it again has no effect.
    ///
    /// # Errors
    /// If too many pools are paused.
    pub fn pause_pool(&mut self, pool: Arc<str>, remark: Remark, now: Now) -> Result<(), ControlError> {
        if self.paused_pools.contains_key(&pool) {
            return Ok(());
        }
        if self.paused_pools.len() >= MAXIMUM_PAUSED_POOLS {
            return Err(ControlError::TooManyPools);
        }
        let record = remark.into_record(now.wall);
        self.paused_pools.insert(Arc::clone(&pool), record.clone());
        for (id, index) in self.waiting_with_limits(&pool) {
            self.watch_schedule(id, index, now);
        }
        self.actions.push(Action::Persist(Change::PoolChanged { pool, pause: Some(record) }));
        Ok(())
    }

    /// Resumes a pool. Resuming one that is not paused has no effect.
    pub fn resume_pool(&mut self, pool: &Arc<str>, now: Now) {
        let Some(pause) = self.paused_pools.remove(pool) else { return };
        self.actions.push(Action::Persist(Change::PoolChanged { pool: Arc::clone(pool), pause: None }));
        for (id, index) in self.waiting_with_limits(pool) {
            let job = self.jobs.job_mut(id);
            let waited = job.waited_since(index, pause.at, now.wall);
            job.shift_schedule(index, waited);
            job.share_state(index);
            job.persist_task(index, &mut self.actions);
            self.watch_schedule(id, index, now);
        }
    }

    /// Whether a task waits for a pool that is paused.
    pub(super) fn waits_for_paused_pool(&self, job: &LiveJob, index: u32) -> bool {
        let (task, spec) = (job.task(index), job.spec(index));
        let is_elsewhere = match task.place {
            Place::Resting | Place::Held | Place::Removed | Place::Cache => true,
            // The next gate is the cache.
            Place::Blocked => spec.cache().is_some(),
            _ => false,
        };
        task.state().status == TaskStatus::Pending
            && spec.is_for_worker()
            && !is_elsewhere
            && self.paused_pools.contains_key(spec.pool())
    }

    /// The tasks that wait for a pool and have limits that begin when a task is ready.
    fn waiting_with_limits(&self, pool: &str) -> Vec<(JobId, u32)> {
        let waiting = self.pools.get(pool).into_iter().flat_map(Pool::waiting);
        let is_limited =
            |(id, index): &(JobId, u32)| self.jobs.job(*id).timeouts(*index).is_some_and(Timeouts::begins_when_ready);
        waiting.filter(is_limited).collect()
    }

    /// Restores a paused pool from the store.
    pub fn restore_paused_pool(&mut self, pool: Arc<str>, pause: PauseRecord) {
        self.paused_pools.insert(pool, pause);
    }

    /// The paused pools.
    pub fn paused_pools(&self) -> impl Iterator<Item = (&Arc<str>, &PauseRecord)> {
        self.paused_pools.iter()
    }
}

impl Remark {
    pub(super) fn into_record(self, at: Timestamp) -> PauseRecord {
        let short = |text: Option<Arc<str>>| text.map(|text| cut(text, texts::MAXIMUM_REASON));
        PauseRecord { at, by: short(self.by), reason: short(self.reason) }
    }
}

impl LiveJob {
    /// The clock of its durations.
    pub(super) fn clock(&self) -> JobClock {
        self.state.clock()
    }

    /// Whether nothing of it is issued.
    pub(super) fn is_paused(&self) -> bool {
        self.first_pause().is_some()
    }

    /// Whether it is paused for this cause.
    fn is_paused_by(&self, cause: PauseCause) -> bool {
        self.state.details.as_deref().is_some_and(|details| details.pauses.contains_key(&cause))
    }

    /// The first of its pauses.
    pub(super) fn first_pause(&self) -> Option<&PauseRecord> {
        self.state.details.as_deref()?.pauses.values().next()
    }

    /// Adds a cause. Returns whether the job is paused from now on.
    fn pause(&mut self, cause: PauseCause, record: PauseRecord, now: Timestamp) -> bool {
        let was_paused = self.is_paused();
        let details = self.state.details_mut();
        details.pauses.entry(cause).or_insert(record);
        details.clock.pause(now);
        !was_paused
    }

    /// Removes a cause. Returns whether the job goes on from now on.
    fn resume_from(&mut self, cause: PauseCause, now: Timestamp) -> bool {
        let was_paused = self.is_paused();
        if was_paused {
            self.state.details_mut().pauses.remove(&cause);
        }
        was_paused && self.start_clock(now)
    }

    /// Removes all causes, because the job is being cancelled.
    pub(super) fn end_pauses(&mut self, now: Timestamp) {
        if self.is_paused() {
            self.state.details_mut().pauses.clear();
            self.start_clock(now);
        }
    }

    /// Stores a job that is not paused any more, with the status that follows.
    pub(super) fn leave_pause(&mut self, actions: &mut Vec<Action>) {
        if self.state.status == JobStatus::Paused {
            let status = if self.state.started_at.is_some() { JobStatus::Running } else { JobStatus::Pending };
            self.set_job_status(status, actions);
        } else {
            self.persist_job(actions);
        }
    }

    /// How long a task has waited for its pool since `paused_at`, on the job's clock.
    fn waited_since(&self, index: u32, paused_at: Timestamp, now: Timestamp) -> Duration {
        let (clock, details) = (self.clock(), self.task(index).state().details.as_deref());
        let began = details.and_then(|details| details.ready_at.max(details.retry_at).max(details.delayed_until));
        clock.read(now).since(clock.read(paused_at).max(began.unwrap_or_default()))
    }

    /// Has the clock go on if no cause is left. Returns whether it does.
    fn start_clock(&mut self, now: Timestamp) -> bool {
        let (is_over, start) = (!self.is_paused(), self.job.absolute_start());
        if is_over {
            self.state.details_mut().clock.resume(now, start);
        }
        is_over
    }
}
