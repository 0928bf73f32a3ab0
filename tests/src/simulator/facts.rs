//! What the store has kept, as the oracle knows it: from the changes alone, with a book of its own.

use std::collections::BTreeMap;

use hub_core::action::Change;
use hub_core::state::{JobState, TaskState};
use hub_core::{JobId, TaskId};

use super::plans::Plan;
use crate::evaluator::Job;

/// Everything that was kept.
pub struct Facts {
    jobs: BTreeMap<JobId, Fact>,
}

/// A planned job, and what was kept of it.
pub struct Fact {
    /// What was planned.
    pub plan: Plan,
    /// The planned job, as the evaluator reads it.
    pub job: Job,
    /// Whether the store has it.
    pub added: bool,
    /// How it stands, once it has changed since it was added.
    pub state: Option<JobState>,
    /// How its tasks stand.
    pub tasks: Vec<TaskState>,
}

impl Facts {
    /// Nothing is kept yet of these.
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

    /// A change is kept.
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

    /// How a task stands.
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
