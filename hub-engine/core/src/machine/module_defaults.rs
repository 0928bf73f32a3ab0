//! The defaults of task modules: see [`ModuleDefaults`].
//!
//! A task keeps them from its first issue on. If no worker was known then that has the module, the task awaits them: the worker
//! that runs it applies the limits of its module and reports the defaults with the end of the issue.

use std::collections::HashMap;
use std::sync::Arc;

use super::Machine;
use super::live::LiveJob;
use super::types::WorkerId;
use crate::details::TaskDetails;
use crate::job::{ModuleDefaults, RetryPolicy, Timeouts};
use crate::state::TaskState;
use crate::{JobId, Json};

impl Machine {
    /// A task is about to be issued. If it is the first time, it keeps the defaults of its module.
    pub(super) fn take_defaults(&mut self, id: JobId, index: u32) {
        let job = self.jobs.job_mut(id);
        if job.task(index).state().issue.is_some() || !job.may_take_defaults(index) {
            return;
        }
        let spec = job.spec(index);
        match self.workers.catalogue().defaults(spec.pool(), spec.module()) {
            Some(None) => {}
            Some(Some(defaults)) => {
                let defaults = Arc::clone(defaults);
                job.task_mut(index).state_mut().details_mut().defaults = Some(defaults);
            }
            None => job.task_mut(index).state_mut().details_mut().awaits_defaults = true,
        }
    }

    /// A worker has reported the end of an issue, and the defaults of the module that ran if the issue asked for them and the worker
    /// could load the module.
    pub(super) fn settle_by_result(&mut self, id: JobId, index: u32, defaults: Option<Arc<ModuleDefaults>>) {
        if defaults.is_none() {
            self.settle_by_catalogue(id, index);
        } else if self.jobs.job(id).awaits_defaults(index) {
            self.jobs.job_mut(id).settle_defaults(index, defaults);
        }
    }

    /// A worker runs the task. Its heartbeat may have named the defaults of its module. Returns whether the task has them now.
    pub(super) fn settle_by_report(&mut self, id: JobId, index: u32, worker: &WorkerId) -> bool {
        let job = self.jobs.job_mut(id);
        let known = job.awaits_defaults(index).then(|| self.workers.defaults_of(worker, job.spec(index).module()));
        let Some(defaults) = known.flatten().map(Option::<&Arc<_>>::cloned) else { return false };
        job.settle_defaults(index, defaults);
        true
    }

    /// An issue has ended. If no worker has reported the defaults of its module, the workers that are known by now decide.
    pub(super) fn settle_by_catalogue(&mut self, id: JobId, index: u32) {
        let job = self.jobs.job_mut(id);
        if job.awaits_defaults(index) {
            let spec = job.spec(index);
            let defaults = self.workers.catalogue().defaults(spec.pool(), spec.module()).flatten().cloned();
            job.settle_defaults(index, defaults);
        }
    }
}

impl LiveJob {
    /// The retry policy of a task: its own, that of its job, or that of its module.
    pub(super) fn retry_policy(&self, index: u32) -> Option<&RetryPolicy> {
        self.job.retry_policy(index).or_else(|| self.defaults(index)?.retry())
    }

    /// The time limits of a task: its own, those of its job, or those of its module.
    pub(super) fn timeouts(&self, index: u32) -> Option<&Timeouts> {
        self.job.timeouts(index).or_else(|| self.defaults(index)?.timeouts())
    }

    fn defaults(&self, index: u32) -> Option<&ModuleDefaults> {
        self.task(index).state().details.as_deref()?.defaults.as_deref()
    }

    /// Whether the defaults of the task's module are not known yet.
    fn awaits_defaults(&self, index: u32) -> bool {
        self.task(index).state().details.as_deref().is_some_and(|details| details.awaits_defaults)
    }

    fn settle_defaults(&mut self, index: u32, defaults: Option<Arc<ModuleDefaults>>) {
        let state = self.task_mut(index).state_mut();
        let details = state.details_mut();
        details.awaits_defaults = false;
        details.defaults = defaults.filter(|defaults| !defaults.is_empty());
        // A task without any takes no memory for them.
        state.details.take_if(|details| **details == TaskDetails::default());
    }

    /// Whether the defaults of a module may count for the task.
    fn may_take_defaults(&self, index: u32) -> bool {
        let (job, spec) = (&self.job, self.spec(index));
        (job.retry_policy(index).is_none() || job.timeouts(index).is_none()) && spec.run().is_none()
    }
}

/// Has tasks with the same defaults share them.
pub(super) fn share_defaults<'s>(states: impl Iterator<Item = &'s mut Arc<TaskState>>) {
    let mut known: HashMap<Json, Arc<ModuleDefaults>> = HashMap::new();
    for state in states {
        let Some(own) = state.details.as_deref().and_then(|details| details.defaults.clone()) else { continue };
        let shared = known.entry(own.text().clone()).or_insert(own);
        Arc::make_mut(state).details_mut().defaults = Some(Arc::clone(shared));
    }
}
