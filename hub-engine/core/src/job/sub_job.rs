//! A job that a task runs: a sub-job.

use std::collections::HashSet;
use std::sync::Arc;

use super::model::{Job, SubJob, Task};
use super::secret::Secret;
use super::template::Template;

impl Job {
    /// This job and all its sub-jobs, of all levels. A definition that several tasks run is there once.
    #[must_use]
    pub fn with_sub_jobs(&self) -> Vec<&Self> {
        let mut jobs = vec![self];
        let (mut next, mut seen) = (0, HashSet::new());
        while let Some(job) = jobs.get(next).copied() {
            next += 1;
            if job.has_sub_jobs() {
                let inner = job.tasks.iter().filter_map(Task::sub_job).map(|sub_job| &sub_job.job);
                jobs.extend(inner.filter(|job| seen.insert(Arc::as_ptr(job))).map(|job| &**job));
            }
        }
        jobs
    }
}

impl PartialEq for SubJob {
    /// Compares the texts of the jobs, from which all else of them follows.
    fn eq(&self, other: &Self) -> bool {
        self.job.source == other.job.source
            && self.job.pins() == other.job.pins()
            && self.inputs == other.inputs
            && self.is_detached == other.is_detached
    }
}

impl SubJob {
    /// Maximum number of jobs that a job can be nested in.
    pub const MAXIMUM_LEVELS: u32 = 16;

    /// The job.
    #[must_use]
    pub const fn job(&self) -> &Arc<Job> {
        &self.job
    }

    /// A secret that its tasks use, also in jobs that they run.
    pub(super) fn first_secret(&self) -> Option<&Secret> {
        let jobs = self.job.with_sub_jobs().into_iter();
        jobs.flat_map(|job| &*job.tasks).find_map(|task| task.secrets()?.first())
    }

    /// Its inputs, an object, which it reads as `_.input`.
    #[must_use]
    pub const fn inputs(&self) -> Option<&Template> {
        self.inputs.as_ref()
    }

    /// Whether the task ends when the sub-job has been accepted, and the sub-job goes on by itself.
    #[must_use]
    pub const fn is_detached(&self) -> bool {
        self.is_detached
    }
}
