//! The expected results of a simulated job: the evaluator with the behaviour of the modules and the random choices.

use hub_core::TaskStatus;
use uuid::Uuid;

use super::facts::Fact;
use super::waits;
use super::work::{self, Module};
use crate::evaluator::{Call, Expected, Outcome, Scenario, Task, evaluate};

/// The random outcomes, as recorded.
pub trait Chance {
    /// The run whose value counts for the task or the item at a position.
    fn run(&self, index: u32) -> Option<u64>;
    /// Whether it failed because of too many lost leases.
    fn lost(&self, index: u32) -> bool;
}

/// The scenario of one job.
struct Simulated<'a> {
    fact: &'a Fact,
    chance: &'a dyn Chance,
}

impl Scenario for Simulated<'_> {
    fn run(&self, call: Call<'_>) -> Outcome {
        let module = Module::named(&call.task.module);
        let task = call.task.position;
        let position = call.item.map_or(task as u32, |item| self.fact.position_of(task, item));
        let state = self.fact.state_of(position);
        let is_kept = state.details.as_ref().is_some_and(|details| details.kept_from.is_some());
        if let Some(data) = state.data.as_ref().filter(|_| is_kept && state.status == TaskStatus::Success) {
            // Its arguments may have the ids of the job in which it ran.
            return Outcome::Success(data.to_value());
        }
        if self.chance.lost(position) || module.kills() {
            return Outcome::Failed(Some("WORKER_LOST"));
        }
        match module {
            Module::Fail => Outcome::Failed(Some("TASK_FAILED")),
            Module::Flaky if call.attempt <= work::FLAKY_FAILURES => Outcome::Failed(Some("TASK_FAILED")),
            Module::Abandon => Outcome::Failed(Some("TIMED_OUT")),
            _ => Outcome::Success(work::value(call.args, call.kwargs, self.chance.run(position).unwrap_or_default())),
        }
    }

    fn wait(&self, task: &Task) -> Outcome {
        let recorded = self.fact.tasks[task.position].data.as_ref().map(hub_core::Json::to_value);
        waits::outcome(task.wait.as_ref().expect("it is a wait"), recorded)
    }

    fn id(&self, task: &Task) -> String {
        // Jobs of the simulation have ids that end in zeros.
        Uuid::from_u128(self.fact.plan.id.uuid().as_u128() + task.position as u128 + 1).to_string()
    }
}

/// The expected result of this job.
#[must_use]
pub fn expected(fact: &Fact, chance: &dyn Chance) -> Expected {
    evaluate(&fact.job, &Simulated { fact, chance })
}
