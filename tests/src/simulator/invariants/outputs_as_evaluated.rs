//! Every job and every task ends as the evaluator works out from the job's JSON.

use std::collections::BTreeMap;

use hub_core::state::ErrorKind;
use hub_core::{JobStatus, TaskId, TaskStatus};
use serde_json::Value;

use super::invariant::{Invariant, check};
use crate::simulator::evaluator::{Chance, Evaluation, Evaluator, Expected};
use crate::simulator::event::Event;
use crate::simulator::facts::{Fact, Facts};
use crate::simulator::leftovers::Leftovers;
use crate::simulator::note::{Note, run_of};

/// A task that came to workers so often may have lost them all, though it kills none itself.
const OFTEN: u32 = 5;

#[derive(Default)]
pub(super) struct OutputsAsEvaluated {
    /// How often a task came to a worker.
    deliveries: BTreeMap<TaskId, u32>,
}

/// What chance has decided about a job, by its record.
struct Recorded<'a> {
    fact: &'a Fact,
    deliveries: &'a BTreeMap<TaskId, u32>,
}

impl Chance for Recorded<'_> {
    fn run(&self, task: usize) -> Option<u64> {
        self.fact.tasks[task].data.as_ref().and_then(|data| run_of(&data.to_value()))
    }

    fn lost(&self, task: usize) -> bool {
        let id = self.fact.plan.id.task(u32::try_from(task).unwrap_or(u32::MAX));
        let often = self.deliveries.get(&id).is_some_and(|times| *times >= OFTEN);
        often && self.fact.tasks[task].error.as_ref().is_some_and(|error| error.kind == ErrorKind::WorkerLost)
    }
}

impl Invariant for OutputsAsEvaluated {
    fn name(&self) -> &'static str {
        "outputs_as_evaluated"
    }

    fn see(&mut self, event: &Event, _facts: &Facts) -> Result<(), String> {
        if let Event::Delivered(who, _, Note::Task((task, _))) = event
            && who.starts_with("worker")
        {
            *self.deliveries.entry(*task).or_default() += 1;
        }
        Ok(())
    }

    fn end(&mut self, facts: &Facts, _leftovers: &Leftovers) -> Result<(), String> {
        for fact in facts.jobs() {
            let chance = Recorded { fact, deliveries: &self.deliveries };
            let expected = Evaluator::new(fact.plan.id, &fact.plan.job, &chance).evaluate(&fact.plan.job);
            compare(fact, &expected).map_err(|what| format!("{:?}: {what}", fact.plan.id))?;
        }
        Ok(())
    }
}

fn compare(fact: &Fact, expected: &Evaluation) -> Result<(), String> {
    let state = fact.state.as_ref().ok_or("it has no state")?;
    let cancelled = state.status == JobStatus::Cancelled;
    check(!cancelled || fact.plan.cancel_after.is_some(), || "it was cancelled by nobody".to_owned())?;
    for (at, (task, expected)) in fact.tasks.iter().zip(&expected.tasks).enumerate() {
        if cancelled && task.status == TaskStatus::Cancelled {
            continue;
        }
        let data = task.data.as_ref().map(hub_core::Json::to_value);
        let agrees = match expected {
            Expected::Success(value) => task.status == TaskStatus::Success && data.as_ref() == Some(value),
            Expected::Failed => task.status == TaskStatus::Failed,
            Expected::UpstreamFailed => task.status == TaskStatus::UpstreamFailed,
        };
        check(agrees, || {
            let (status, msg) = (task.status, task.msg.as_deref().unwrap_or_default());
            format!("task {at} is {status} with {data:?} ({msg}), expected is {expected:?}")
        })?;
    }
    let output = state.output.as_ref().map(hub_core::Json::to_value);
    let agrees = match &expected.output {
        _ if cancelled => output.is_none(),
        Some(value) => state.status == JobStatus::Success && output.as_ref().unwrap_or(&Value::Null) == value,
        None => state.status == JobStatus::Failed && output.is_none(),
    };
    check(agrees, || format!("it is {} with {output:?}, expected is {:?}", state.status, expected.output))
}
