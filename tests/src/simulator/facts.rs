//! The oracle's own model of the store's contents, derived from the changes alone.

use std::collections::BTreeMap;

use hub_core::action::Change;
use hub_core::state::{JobState, TaskState};
use hub_core::{JobId, TaskId};

use super::plans::Plan;
use crate::evaluator::Job;

/// The contents of the store.
pub struct Facts {
    jobs: BTreeMap<JobId, Fact>,
}

/// A planned job and its stored state.
pub struct Fact {
    /// The plan.
    pub plan: Plan,
    /// The planned job, parsed by the evaluator.
    pub job: Job,
    /// Whether it is in the store.
    pub added: bool,
    /// Its stored state, if it has changed since it was added.
    pub state: Option<JobState>,
    /// The stored states of its tasks.
    pub tasks: Vec<TaskState>,
}

impl Facts {
    /// The planned jobs, before any of them is stored.
    #[must_use]
    pub fn new(plans: &[Plan]) -> Self {
        let fact = |plan: &Plan| Fact {
            plan: plan.clone(),
            job: Job::of(&plan.job),
            added: false,
            state: None,
            tasks: vec![TaskState::pending(); plan.job["tasks"].as_array().map_or(0, Vec::len)],
        };
        Self { jobs: plans.iter().map(|plan| (plan.id, fact(plan))).collect() }
    }

    /// Applies a stored change.
    pub fn keep(&mut self, change: &Change) {
        match change {
            Change::JobAdded { id, .. } => {
                if let Some(fact) = self.jobs.get_mut(id) {
                    fact.added = true;
                }
            }
            Change::JobChanged { id, state } => {
                if let Some(fact) = self.jobs.get_mut(id) {
                    fact.state = Some(state.clone());
                }
            }
            Change::TaskChanged { job, index, state } => {
                let task = self.jobs.get_mut(job).and_then(|fact| fact.tasks.get_mut(*index as usize));
                if let Some(task) = task {
                    task.clone_from(state);
                }
            }
            Change::JobRemoved { .. } => {}
        }
    }

    /// The jobs.
    pub fn jobs(&self) -> impl Iterator<Item = &Fact> {
        self.jobs.values()
    }

    /// A job.
    #[must_use]
    pub fn job(&self, id: JobId) -> Option<&Fact> {
        self.jobs.get(&id)
    }

    /// The job and position of a task.
    #[must_use]
    pub fn find(&self, task: TaskId) -> Option<(&Fact, usize)> {
        self.jobs.iter().find_map(|(id, fact)| {
            let index = task.index_in(*id)? as usize;
            (index < fact.tasks.len()).then_some((fact, index))
        })
    }

    /// The state of a task.
    #[must_use]
    pub fn task(&self, task: TaskId) -> Option<&TaskState> {
        self.find(task).map(|(fact, index)| &fact.tasks[index])
    }

    /// Whether every job has ended.
    #[must_use]
    pub fn all_ended(&self) -> bool {
        self.jobs().all(Fact::has_ended)
    }
}

impl Fact {
    /// Whether it has ended.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.state.as_ref().is_some_and(|state| state.status.is_terminal())
    }
}
