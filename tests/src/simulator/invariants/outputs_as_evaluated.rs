//! Every job and every task ends as computed by the evaluator from the JSON of the job.

use std::collections::BTreeMap;

use hub_core::state::{ErrorKind, TaskState};
use hub_core::{JobStatus, TaskId, TaskStatus};
use serde_json::Value;

use super::invariant::{Invariant, check};
use super::kept_tasks_stay::kept_from;
use crate::evaluator::{Expected, Status, TaskEnd};
use crate::simulator::event::Event;
use crate::simulator::expected::{Chance, comparable, expected};
use crate::simulator::facts::{Fact, Facts};
use crate::simulator::leftovers::Leftovers;
use crate::simulator::note::{Note, run_of};

/// Number of deliveries after which a task may fail because of lost workers, even if it does not kill them.
const OFTEN: u32 = 5;

#[derive(Default)]
pub(super) struct OutputsAsEvaluated {
    /// Number of deliveries of each task.
    deliveries: BTreeMap<TaskId, u32>,
}

/// The random outcomes of a job, from its record.
struct Recorded<'a> {
    fact: &'a Fact,
    deliveries: &'a BTreeMap<TaskId, u32>,
}

impl Chance for Recorded<'_> {
    fn run(&self, index: u32) -> Option<u64> {
        self.fact.state_of(index).data.as_ref().and_then(|data| run_of(&data.to_value()))
    }

    fn lost(&self, index: u32) -> bool {
        let id = self.fact.plan.id.task(index);
        let is_kept = kept_from(self.fact.state_of(index)).is_some();
        let often = is_kept || self.deliveries.get(&id).is_some_and(|times| *times >= OFTEN);
        often && self.fact.state_of(index).error.as_ref().is_some_and(|error| error.kind == ErrorKind::WorkerLost)
    }
}

impl Invariant for OutputsAsEvaluated {
    fn name(&self) -> &'static str {
        "outputs_as_evaluated"
    }

    fn see(&mut self, event: &Event, _facts: &Facts) -> Result<(), String> {
        if let Event::Delivered(who, _, Note::Task(issue)) = event
            && who.starts_with("worker")
        {
            *self.deliveries.entry(issue.task).or_default() += 1;
        }
        Ok(())
    }

    fn end(&mut self, facts: &Facts, _leftovers: &Leftovers) -> Result<(), String> {
        for fact in facts.jobs() {
            let chance = Recorded { fact, deliveries: &self.deliveries };
            compare(fact, &expected(facts, fact, &chance)).map_err(|what| format!("{:?}: {what}", fact.plan.id))?;
        }
        Ok(())
    }
}

fn compare(fact: &Fact, expected: &Expected) -> Result<(), String> {
    let state = fact.state.as_ref().ok_or("it has no state")?;
    let cancelled = state.status == JobStatus::Cancelled;
    check(!cancelled || fact.plan.cancel_after.is_some(), || {
        "it was cancelled, and no client asked for it".to_owned()
    })?;
    let is_stopped = state.details.as_ref().is_some_and(|details| details.cancel.is_some());
    let tasks = fact.job.list_of(0).len();
    for (at, (task, end)) in fact.tasks.iter().zip(&expected.tasks).enumerate() {
        // Of a job that a client cancels, it depends on chance what its handlers see.
        if cancelled && task.status == TaskStatus::Cancelled || is_stopped && at >= tasks {
            continue;
        }
        check(agrees(task, end), || {
            let (status, msg, data) = (task.status, task.msg.as_deref().unwrap_or_default(), task.data.as_ref());
            format!("task {at} is {status} with {data:?} ({msg}), expected is {end:?}")
        })?;
        for (item, end) in end.items.iter().enumerate() {
            let state = fact.state_of(fact.position_of(at, item));
            check(agrees(state, end), || format!("item {item} of task {at} is {state:?}, expected is {end:?}"))?;
        }
    }
    let output = state.output.as_ref().map(comparable);
    let agrees = match expected.status {
        _ if cancelled => output.is_none(),
        Status::Success => {
            state.status == JobStatus::Success && output.as_ref().unwrap_or(&Value::Null) == &expected.output
        }
        _ => state.status == JobStatus::Failed && output.is_none(),
    };
    check(agrees, || format!("it is {} with {output:?}, expected is {:?}", state.status, expected))
}

fn agrees(task: &TaskState, end: &TaskEnd) -> bool {
    let data = || task.data.as_ref().map(comparable);
    let kind = || task.error.as_ref().map(|error| serde_json::to_value(error.kind).expect("a kind has a name"));
    match end.status {
        Status::Success => task.status == TaskStatus::Success && data() == end.data,
        Status::Failed => {
            let is_recovered = task.details.as_ref().is_some_and(|details| details.recovered);
            let is_as_failed = task.status == TaskStatus::Failed && kind() == end.error.map(Value::from);
            is_as_failed && (is_recovered, data()) == (end.recovered, end.data.clone())
        }
        Status::UpstreamFailed => task.status == TaskStatus::UpstreamFailed,
        Status::Skipped => task.status == TaskStatus::Skipped,
    }
}
