//! The jobs that have not ended, found by their ids and by those of their tasks.

use std::collections::HashMap;

use super::live::LiveJob;
use crate::id::Family;
use crate::{JobId, TaskId};

/// Every live job.
#[derive(Debug, Default)]
pub(super) struct Jobs {
    jobs: HashMap<JobId, LiveJob>,
    families: HashMap<Family, JobId>,
}

impl Jobs {
    /// The job of this id, where one is live: for ids from outside, and for those that may have ended meanwhile.
    pub(super) fn find(&self, id: JobId) -> Option<&LiveJob> {
        self.jobs.get(&id)
    }

    /// The same, to be changed.
    pub(super) fn find_mut(&mut self, id: JobId) -> Option<&mut LiveJob> {
        self.jobs.get_mut(&id)
    }

    /// A job that is live.
    ///
    /// # Panics
    /// Where it is not: that is a bug of the machine's.
    #[track_caller]
    pub(super) fn job(&self, id: JobId) -> &LiveJob {
        self.jobs.get(&id).unwrap_or_else(|| panic!("{id:?} is not live"))
    }

    /// A job that is live, to be changed.
    ///
    /// # Panics
    /// Where it is not: that is a bug of the machine's.
    #[track_caller]
    pub(super) fn job_mut(&mut self, id: JobId) -> &mut LiveJob {
        self.jobs.get_mut(&id).unwrap_or_else(|| panic!("{id:?} is not live"))
    }

    /// The live job whose tasks' ids begin with these bytes.
    pub(super) fn of_family(&self, family: Family) -> Option<JobId> {
        self.families.get(&family).copied()
    }

    /// The job and position of a task, where its job is live.
    pub(super) fn find_task(&self, task: TaskId) -> Option<(JobId, u32)> {
        let id = self.of_family(task.family())?;
        let index = task.index_in(id)?;
        ((index as usize) < self.job(id).tasks.len()).then_some((id, index))
    }

    /// The live jobs, in no particular order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &LiveJob> {
        self.jobs.values()
    }

    pub(super) fn len(&self) -> usize {
        self.jobs.len()
    }

    pub(super) fn insert(&mut self, job: LiveJob) {
        self.families.insert(job.id.family(), job.id);
        self.jobs.insert(job.id, job);
    }

    /// Lets go of a job.
    ///
    /// # Panics
    /// Where it is not live.
    pub(super) fn remove(&mut self, id: JobId) -> LiveJob {
        self.families.remove(&id.family());
        self.jobs.remove(&id).unwrap_or_else(|| panic!("{id:?} is not live"))
    }
}
