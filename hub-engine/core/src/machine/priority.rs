//! Changes the priority of a live job.
//!
//! The new priority counts for the tasks without a priority of their own that are not handed out yet. Those in a queue
//! move to the queue of the new priority.

use std::sync::Arc;

use super::Machine;
use super::control::Remark;
use super::live::LiveJob;
use super::types::ControlError;
use crate::job_details::{PauseRecord, PriorityRecord};
use crate::{JobId, Now};

impl Machine {
    /// Changes the priority of a job. A change to the priority that it has has no effect.
    ///
    /// # Errors
    /// If no live job has this id, or the job is being cancelled.
    pub fn set_priority(&mut self, id: JobId, priority: i32, remark: Remark, now: Now) -> Result<(), ControlError> {
        let job = self.jobs.find_mut(id).ok_or(ControlError::UnknownJob)?;
        if job.cancelled {
            return Err(ControlError::Cancelling);
        }
        let before = job.default_priority();
        if before == priority {
            return Ok(());
        }
        let PauseRecord { at, by, reason } = remark.into_record(now.wall);
        job.state.details_mut().priority = Some(PriorityRecord { priority, at, by, reason });
        self.move_tasks(id, before);
        Ok(())
    }

    /// The task that runs a job has this priority from now on.
    pub(super) fn inherit_priority(&mut self, id: JobId, priority: i32) {
        let Some(job) = self.jobs.find_mut(id) else { return };
        let before = job.default_priority();
        if let Some(parent) = &mut job.state.details_mut().parent
            && parent.priority != priority
        {
            parent.priority = priority;
            self.move_tasks(id, before);
        }
    }

    /// Stores a job whose priority has changed, and moves its tasks to the queues of the new one.
    fn move_tasks(&mut self, id: JobId, before: i32) {
        let job = self.jobs.job(id);
        job.persist_job(&mut self.actions);
        let after = job.default_priority();
        if after == before {
            return;
        }
        let checked = Arc::clone(&job.job);
        for (_, pool) in self.pools.iter_mut() {
            pool.move_tasks(id, before, after, |index| checked.spec(index).own_priority().is_none());
        }
        self.pass_priority(id);
    }
}

impl LiveJob {
    /// The priority of a task: its own, else that of the job. Higher priorities run first.
    pub(super) fn priority(&self, index: u32) -> i32 {
        self.spec(index).own_priority().unwrap_or_else(|| self.default_priority())
    }

    /// The priority of tasks that have none.
    fn default_priority(&self) -> i32 {
        let inherited = || self.parent().map(|parent| parent.priority);
        self.changed_priority().or(self.job.priority()).or_else(inherited).unwrap_or(0)
    }

    /// The priority that the job was given after its submission.
    fn changed_priority(&self) -> Option<i32> {
        let details = self.state.details.as_deref()?;
        details.priority.as_ref().map(|record| record.priority)
    }
}
