//! A task has no more attempts than its retry policy allows, they are counted one by one, and each begins only after the one
//! before has failed.

use std::collections::BTreeMap;
use std::sync::Arc;

use hub_core::TaskId;
use hub_core::action::Change;
use hub_core::state::TaskState;

use super::invariant::{Invariant, check};
use crate::simulator::event::Event;
use crate::simulator::facts::Facts;
use crate::simulator::note::short;

pub(super) struct AttemptsWithinMaximum;

impl Invariant for AttemptsWithinMaximum {
    fn name(&self) -> &'static str {
        "attempts_within_maximum"
    }

    fn see(&mut self, event: &Event, facts: &Facts) -> Result<(), String> {
        match event {
            Event::RunBegan(run) => {
                let Some((fact, index)) = facts.find(run.task) else { return Ok(()) };
                let (most, kept) = (fact.spec(index).attempts, failures(fact.state_of(index)));
                check(run.attempt <= most && run.attempt <= kept + 1, || {
                    let task = short(run.task);
                    format!("attempt {} of {task} begins, {kept} failures are kept, {most} may be", run.attempt)
                })
            }
            Event::Kept(_, changes) => {
                // What counts is the last state of each task: a batch whose commit seemed to fail is committed again as a whole.
                let changed = changes.iter().filter_map(|change| match change {
                    Change::TaskChanged { job, index, state } => Some((job.task(*index), state)),
                    _ => None,
                });
                let last: BTreeMap<TaskId, &Arc<TaskState>> = changed.collect();
                last.into_iter().try_for_each(|(task, state)| {
                    let Some((fact, index)) = facts.find(task) else { return Ok(()) };
                    let (before, now) = (failures(fact.state_of(index)), failures(state));
                    let most = fact.spec(index).attempts;
                    check(now <= most && now >= before, || {
                        format!("{} is kept with {now} failures after {before}, {most} may be", short(task))
                    })
                })
            }
            _ => Ok(()),
        }
    }
}

fn failures(state: &TaskState) -> u32 {
    state.details.as_ref().map_or(0, |details| details.failures)
}
