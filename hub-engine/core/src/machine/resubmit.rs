//! Adds retries of jobs. A retry begins like a job that is restored: some of its tasks have ended already.

use std::sync::Arc;

use super::Machine;
use super::job_retry::RetriedJob;
use super::types::{Refused, Submitted};
use crate::action::{Action, Change, Notice};
use crate::state::{JobSnapshot, TaskState};
use crate::{JobId, Now};

impl Machine {
    /// Adds a retry of a job. The states of the tasks that are kept are stored with the job, and nothing of these tasks is
    /// published. Adding the same retry of the same job under the same id again has no effect.
    ///
    /// # Errors
    /// If the id belongs to another job or to another retry of the same one, or the ids of the tasks would collide with those of another job.
    pub fn submit_retry(&mut self, id: JobId, retried: RetriedJob, now: Now) -> Result<Submitted, Refused> {
        if let Some(known) = self.jobs.of_family(id.family()) {
            let is_same = known == id && retried.is_same(&self.jobs.job(known).state);
            return if is_same { Ok(Submitted::Known) } else { Err(Refused::IdTaken) };
        }
        self.add_retry(id, retried, now);
        Ok(Submitted::New)
    }

    /// Adds a retry of a job, or the continuation of a sub-job.
    pub(super) fn add_retry(&mut self, id: JobId, retried: RetriedJob, now: Now) {
        let RetriedJob { job, state, tasks, items, .. } = retried;
        self.actions.push(Action::Persist(Change::JobAdded {
            id,
            job: Arc::clone(&job),
            submitted_at: state.submitted_at,
        }));
        self.actions.push(Action::Persist(Change::JobChanged { id, state: state.clone() }));
        let pending = TaskState::pending();
        let known = (0..).zip(&tasks).filter(|(_, task)| ***task != pending);
        let states = known.chain(items.iter().map(|(position, item)| (*position, item)));
        self.actions.extend(
            states.map(|(index, state)| {
                Action::Persist(Change::TaskChanged { job: id, index, state: Arc::clone(state) })
            }),
        );
        self.actions.push(Action::Notify(Notice::Job {
            id,
            name: Arc::clone(job.shared_name()),
            status: state.status,
        }));
        self.restore(JobSnapshot { id, job, state, tasks, items, waiting: Vec::new() }, now);
    }
}
