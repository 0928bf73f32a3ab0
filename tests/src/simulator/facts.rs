//! The oracle's own model of the store's contents, derived from the changes alone.

use std::collections::BTreeMap;
use std::time::Duration;

use hub_core::action::Change;
use hub_core::state::{JobState, TaskState};
use hub_core::{JobId, Json, TaskId};
use serde_json::Value;

use super::plans::Plan;
use crate::evaluator::{Job, Task};

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
    /// The stored states of items, by their positions.
    items: BTreeMap<u32, TaskState>,
    /// Its inputs, if it is a sub-job.
    pub inputs: Value,
}

/// The number of positions for the items of a task, as documented.
const ITEM_POSITIONS: u32 = 131_072;
static PENDING: TaskState = TaskState::pending();

impl Facts {
    /// The planned jobs, before any of them is stored.
    #[must_use]
    pub fn new(plans: &[Plan]) -> Self {
        Self { jobs: plans.iter().map(|plan| (plan.id, Fact::new(plan.clone()))).collect() }
    }

    /// Applies a stored change.
    pub fn keep(&mut self, change: &Change) {
        match change {
            Change::JobAdded { id, job, .. } => {
                // A job that no client has planned is a sub-job.
                let fact = self.jobs.entry(*id).or_insert_with(|| Fact::new(Plan::of_sub_job(*id, job.source())));
                fact.added = true;
            }
            Change::JobChanged { id, state } => {
                let details = state.details.as_deref();
                let parent = details.and_then(|details| self.jobs.get(&details.parent.as_ref()?.job));
                let cancel_after = parent.and_then(|parent| parent.plan.cancel_after);
                // The next job of a schedule can take the place of one.
                let is_replaced = details.is_some_and(|details| details.run.is_some() && details.cancel.is_some());
                let cancel_after = cancel_after.or(is_replaced.then_some(Duration::ZERO));
                if let Some(fact) = self.jobs.get_mut(id) {
                    fact.plan.cancel_after = fact.plan.cancel_after.or(cancel_after);
                    fact.inputs =
                        details.and_then(|details| details.inputs.as_ref()).map_or(Value::Null, Json::to_value);
                    fact.state = Some(state.clone());
                }
            }
            Change::TaskChanged { job, index, state } => {
                let Some(fact) = self.jobs.get_mut(job) else { return };
                match fact.tasks.get_mut(*index as usize) {
                    Some(task) => task.clone_from(state),
                    None => drop(fact.items.insert(*index, (**state).clone())),
                }
            }
            Change::JobRemoved { .. }
            | Change::PoolChanged { .. }
            | Change::ResultKept { .. }
            | Change::DefinitionAdded { .. }
            | Change::AliasChanged { .. }
            | Change::ScheduleSet { .. }
            | Change::ScheduleChanged { .. }
            | Change::ScheduleRemoved { .. } => {}
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

    /// The job and position of a task or an item.
    #[must_use]
    pub fn find(&self, task: TaskId) -> Option<(&Fact, u32)> {
        self.jobs.iter().find_map(|(id, fact)| {
            let index = task.index_in(*id)?;
            ((index as usize) < fact.tasks.len() || fact.item(index).is_some()).then_some((fact, index))
        })
    }

    /// The state of a task.
    #[must_use]
    pub fn task(&self, task: TaskId) -> Option<&TaskState> {
        self.find(task).map(|(fact, index)| fact.state_of(index))
    }

    /// Whether every job has ended.
    #[must_use]
    pub fn all_ended(&self) -> bool {
        self.jobs().all(Fact::has_ended)
    }
}

impl Fact {
    fn new(plan: Plan) -> Self {
        let job = Job::of(&plan.job);
        let tasks = vec![TaskState::pending(); job.tasks().len()];
        Self { plan, job, added: false, state: None, tasks, items: BTreeMap::new(), inputs: Value::Null }
    }

    /// The task that runs it, if it is a sub-job.
    #[must_use]
    pub fn parent_task(&self) -> Option<TaskId> {
        Some(self.state.as_ref()?.details.as_ref()?.parent.as_ref()?.task)
    }

    /// The stored state of a task or an item.
    #[must_use]
    pub fn state_of(&self, index: u32) -> &TaskState {
        self.tasks.get(index as usize).or_else(|| self.items.get(&index)).unwrap_or(&PENDING)
    }

    /// The task at a position, or the one that an item belongs to.
    #[must_use]
    pub fn spec(&self, index: u32) -> &Task {
        let task = self.item(index).map_or(index as usize, |(task, _)| task);
        &self.job.tasks()[task]
    }

    /// The task and the number of the item at a position.
    #[must_use]
    pub fn item(&self, index: u32) -> Option<(usize, usize)> {
        let beyond = index.checked_sub(self.tasks.len() as u32)?;
        let task = self.iterating().nth((beyond / ITEM_POSITIONS) as usize)?;
        Some((task, (beyond % ITEM_POSITIONS) as usize))
    }

    /// The position of an item.
    ///
    /// # Panics
    /// If the task has no items.
    #[must_use]
    pub fn position_of(&self, task: usize, item: usize) -> u32 {
        let at = self.iterating().position(|other| other == task).expect("the task has items");
        self.tasks.len() as u32 + at as u32 * ITEM_POSITIONS + item as u32
    }

    /// The stored items, by their positions.
    pub fn items(&self) -> impl Iterator<Item = (u32, &TaskState)> {
        self.items.iter().map(|(index, state)| (*index, state))
    }

    /// The positions of the tasks that run for items.
    fn iterating(&self) -> impl Iterator<Item = usize> {
        self.job.tasks().iter().filter(|task| task.for_each.is_some()).map(|task| task.position)
    }

    /// Whether it has ended.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.state.as_ref().is_some_and(|state| state.status.is_terminal())
    }
}
