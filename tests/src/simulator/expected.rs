//! The expected results of a simulated job: the evaluator with the behaviour of the modules and the random choices.

use hub_core::{JobStatus, Json, TaskStatus};
use serde_json::Value;
use uuid::Uuid;

use super::facts::{Fact, Facts};
use super::waits;
use super::work::{self, Module};
use crate::evaluator::{Call, Expected, Limits, Outcome, Scenario, Task, evaluate_with};

/// The random outcomes, as recorded.
pub trait Chance {
    /// The run whose value counts for the task or the item at a position.
    fn run(&self, index: u32) -> Option<u64>;
    /// Whether it failed because of too many lost leases.
    fn lost(&self, index: u32) -> bool;
}

/// The scenario of one job.
struct Simulated<'a> {
    facts: &'a Facts,
    fact: &'a Fact,
    chance: &'a dyn Chance,
}

impl Scenario for Simulated<'_> {
    fn run(&self, call: Call<'_>) -> Outcome {
        let module = Module::named(&call.task.module);
        let task = call.task.position;
        let position = call.item.map_or(task as u32, |item| self.fact.position_of(task, item));
        let state = self.fact.state_of(position);
        let is_kept = state.details.as_ref().is_some_and(|details| details.rare().kept_from.is_some());
        if let Some(data) = state.data.as_ref().filter(|_| is_kept && state.status == TaskStatus::Success) {
            // Its arguments may have the ids of the job in which it ran.
            return Outcome::Success(data.to_value());
        }
        if self.chance.lost(position) || module.kills() {
            return Outcome::Failed(Some("WORKER_LOST"));
        }
        match module {
            _ if module.fails_at(call.attempt) => Outcome::Failed(Some("TASK_FAILED")),
            Module::Abandon => Outcome::Failed(Some("TIMED_OUT")),
            _ => Outcome::Success(work::value(call.args, call.kwargs, self.chance.run(position).unwrap_or_default())),
        }
    }

    fn first(&self, task: &Task) -> Option<usize> {
        let details = self.fact.state_of(task.position as u32).details.as_deref()?;
        details.first.map(|first| first as usize)
    }

    /// What the record of the sub-job says, which is compared with its own expected result.
    fn job(&self, task: &Task, item: Option<usize>, inputs: &Value) -> Option<Outcome> {
        let position = item.map_or(task.position as u32, |item| self.fact.position_of(task.position, item));
        let state = self.fact.state_of(position);
        let details = state.details.as_deref()?;
        let is_kept = details.rare().kept_from.is_some();
        let has_taken = details.rare().cache.as_ref().is_some_and(|cache| cache.from.is_some());
        let is_from_elsewhere = (is_kept || has_taken) && state.status == TaskStatus::Success;
        if let Some(data) = state.data.as_ref().filter(|_| is_from_elsewhere) {
            return Some(Outcome::Success(data.to_value()));
        }
        let Some(child) = details.rare().child.and_then(|child| self.facts.job(child)) else {
            return Some(Outcome::Failed(None));
        };
        let has_inputs = comparable_value(&child.inputs) == comparable_value(inputs);
        let is_here = is_kept || child.parent_task() == Some(self.fact.plan.id.task(position));
        let status = child.state.as_ref().filter(|_| has_inputs && is_here).map(|state| state.status);
        Some(match status {
            Some(JobStatus::Success) => {
                let output = child.state.as_ref().and_then(|state| state.output.as_ref());
                Outcome::Success(output.map_or(Value::Null, comparable))
            }
            Some(JobStatus::Failed) => Outcome::Failed(Some("JOB_FAILED")),
            _ => Outcome::Failed(None),
        })
    }

    fn wait(&self, task: &Task) -> Outcome {
        let recorded = self.fact.tasks[task.position].data.as_ref().map(hub_core::Json::to_value);
        waits::outcome(task.wait.as_ref().expect("it is a wait"), recorded)
    }

    fn id(&self, task: &Task) -> String {
        // The last four bytes of the id of the job are increased.
        let job = self.fact.plan.id.uuid().as_u128();
        let low = (job as u32).wrapping_add(task.position as u32 + 1);
        Uuid::from_u128(job & !u128::from(u32::MAX) | u128::from(low)).to_string()
    }
}

/// The expected result of this job.
#[must_use]
pub fn expected(facts: &Facts, fact: &Fact, chance: &dyn Chance) -> Expected {
    evaluate_with(&fact.job, &Simulated { facts, fact, chance }, Limits::default(), &fact.inputs)
}

/// The value with errors as the evaluator knows them: it computes the kind.
pub fn comparable(value: &Json) -> Value {
    comparable_value(&value.to_value())
}

fn comparable_value(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(comparable_value).collect(),
        Value::Object(object) => {
            let known = object.iter().filter(|(key, _)| !["which", "cause"].contains(&key.as_str()));
            known.map(|(key, value)| (key.clone(), comparable_value(value))).collect::<serde_json::Map<_, _>>().into()
        }
        _ => value.clone(),
    }
}
