//! What a job of the simulation must give: the evaluator, told what the modules do and what chance has decided.

use uuid::Uuid;

use super::facts::Fact;
use super::work::{self, Module};
use crate::evaluator::{Call, Expected, Outcome, Scenario, Task, evaluate};

/// What was left to chance, as the record has it.
pub trait Chance {
    /// The run whose value counts for a task.
    fn run(&self, task: usize) -> Option<u64>;
    /// Whether the workers of a task were lost so often that it failed.
    fn lost(&self, task: usize) -> bool;
}

/// The scenario of one job.
struct Simulated<'a> {
    fact: &'a Fact,
    chance: &'a dyn Chance,
}

impl Scenario for Simulated<'_> {
    fn run(&self, call: Call<'_>) -> Outcome {
        let (module, position) = (Module::named(&call.task.module), call.task.position);
        if self.chance.lost(position) || module.kills() {
            return Outcome::Failed(Some("WORKER_LOST"));
        }
        match module {
            Module::Fail => Outcome::Failed(Some("TASK_FAILED")),
            Module::Flaky if call.attempt <= work::FLAKY_FAILURES => Outcome::Failed(Some("TASK_FAILED")),
            _ => Outcome::Success(work::value(call.args, call.kwargs, self.chance.run(position).unwrap_or_default())),
        }
    }

    fn id(&self, task: &Task) -> String {
        // Jobs of the simulation have ids that end in zeros.
        Uuid::from_u128(self.fact.plan.id.uuid().as_u128() + task.position as u128 + 1).to_string()
    }
}

/// What this job must give.
#[must_use]
pub fn expected(fact: &Fact, chance: &dyn Chance) -> Expected {
    evaluate(&fact.job, &Simulated { fact, chance })
}
