//! A task or a job that has ended never changes.

use std::collections::BTreeMap;

use hub_core::action::Change;

use super::invariant::{Invariant, check};
use crate::simulator::event::Event;
use crate::simulator::facts::Facts;

pub(super) struct EndsAreFinal;

impl Invariant for EndsAreFinal {
    fn name(&self) -> &'static str {
        "ends_are_final"
    }

    fn see(&mut self, event: &Event, facts: &Facts) -> Result<(), String> {
        let Event::Kept(_, changes) = event else { return Ok(()) };
        // A commit is all of its changes at once: one that was done although it failed is done again, and then
        // leads through the same states to the same end.
        let (mut tasks, mut jobs) = (BTreeMap::new(), BTreeMap::new());
        for change in changes.iter() {
            match change {
                Change::TaskChanged { job, index, state } => drop(tasks.insert((*job, *index), state)),
                Change::JobChanged { id, state } => drop(jobs.insert(*id, state)),
                Change::JobAdded { .. }
                | Change::JobRemoved { .. }
                | Change::PoolChanged { .. }
                | Change::ResultKept { .. }
                | Change::DefinitionAdded { .. }
                | Change::AliasChanged { .. }
                | Change::ScheduleSet { .. }
                | Change::ScheduleChanged { .. }
                | Change::ScheduleRemoved { .. } => {}
            }
        }
        for ((job, index), state) in tasks {
            let Some(was) = facts.job(job).map(|fact| fact.state_of(index)) else { continue };
            check(!was.status.is_terminal() || was == &**state, || {
                format!("task {index} of {job:?} was {was:?} and becomes {state:?}")
            })?;
        }
        for (id, state) in jobs {
            let Some(was) = facts.job(id).and_then(|fact| fact.state.as_ref()) else { continue };
            check(!was.status.is_terminal() || was == state, || format!("{id:?} was {was:?} and becomes {state:?}"))?;
        }
        Ok(())
    }
}
