//! A task that takes its workers down with it does not do so for ever: once faults are over, each of its issues is delivered
//! as often as the broker's delivery limit allows at most, and a lease is lost as often as the crash limit allows.

use std::collections::BTreeMap;
use std::sync::Arc;

use hub_core::TaskId;

use super::invariant::{Invariant, check};
use crate::simulator::event::Event;
use crate::simulator::facts::Facts;
use crate::simulator::note::short;

/// Maximum number of workers that die with an issue before the broker gives it up, the first delivery included.
const DELIVERIES: u32 = 20 + 1;
/// Maximum number of leases that are lost before a task fails.
const CRASH_LIMIT: u32 = 5;

#[derive(Default)]
pub(super) struct KillersAreStopped {
    calm: bool,
    /// What is at work: by the number of the run, its worker and its task.
    at_work: BTreeMap<u64, (Arc<str>, TaskId)>,
    /// How many workers died at a task since faults were over.
    deaths: BTreeMap<TaskId, u32>,
}

impl Invariant for KillersAreStopped {
    fn name(&self) -> &'static str {
        "killers_are_stopped"
    }

    fn see(&mut self, event: &Event, _facts: &Facts) -> Result<(), String> {
        match event {
            Event::Calm => self.calm = true,
            Event::RunBegan(run) => drop(self.at_work.insert(run.number, (Arc::clone(&run.worker), run.task))),
            Event::RunEnded(number, ..) => drop(self.at_work.remove(number)),
            Event::Died(process) => {
                for (_, (_, task)) in self.at_work.extract_if(.., |_, (on, _)| on == process) {
                    let deaths = self.deaths.entry(task).or_default();
                    *deaths += u32::from(self.calm);
                    let deaths = *deaths;
                    check(deaths <= DELIVERIES * CRASH_LIMIT, || format!("{deaths} workers died at {}", short(task)))?;
                }
            }
            _ => {}
        }
        Ok(())
    }
}
