//! The live jobs, indexed by the ids of jobs and tasks.

use super::live::LiveJob;
use crate::id::Family;
use crate::{IdMap, JobId, TaskId};

/// The live jobs: those that have not ended.
#[derive(Debug, Default)]
pub(super) struct Jobs {
    jobs: IdMap<JobId, LiveJob>,
    families: IdMap<Family, JobId>,
}

impl Jobs {
    /// The live job with this id, if there is one. For ids from outside and for jobs that may have ended.
    pub(super) fn find(&self, id: JobId) -> Option<&LiveJob> {
        self.jobs.get(&id)
    }

    /// Like [`Jobs::find`], for writing.
    pub(super) fn find_mut(&mut self, id: JobId) -> Option<&mut LiveJob> {
        self.jobs.get_mut(&id)
    }

    /// The live job with this id.
    ///
    /// # Panics
    /// If the job is not live, which is a bug of the machine.
    #[track_caller]
    pub(super) fn job(&self, id: JobId) -> &LiveJob {
        self.jobs.get(&id).unwrap_or_else(|| panic!("{id:?} is not live"))
    }

    /// The live job with this id, for writing.
    ///
    /// # Panics
    /// If the job is not live, which is a bug of the machine.
    #[track_caller]
    pub(super) fn job_mut(&mut self, id: JobId) -> &mut LiveJob {
        self.jobs.get_mut(&id).unwrap_or_else(|| panic!("{id:?} is not live"))
    }

    /// The live job whose task ids begin with these bytes.
    pub(super) fn of_family(&self, family: Family) -> Option<JobId> {
        self.families.get(&family).copied()
    }

    /// The job and the position of a task, if its job is live.
    pub(super) fn find_task(&self, task: TaskId) -> Option<(JobId, u32)> {
        let id = self.of_family(task.family())?;
        let index = task.index_in(id)?;
        self.job(id).contains(index).then_some((id, index))
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

    /// Removes a job.
    ///
    /// # Panics
    /// If the job is not live.
    pub(super) fn remove(&mut self, id: JobId) -> LiveJob {
        self.families.remove(&id.family());
        self.jobs.remove(&id).unwrap_or_else(|| panic!("{id:?} is not live"))
    }
}
