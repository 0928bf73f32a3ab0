//! A task that crashes its workers is stopped. After the faults have stopped, each of its issues is delivered at most as often
//! as the broker's delivery limit allows, and a lease is lost at most as often as the crash limit allows. Issues from before may
//! still be on the broker, although they are not current any more, and an issue that a busy worker returns has no part in a limit.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hub_core::{IssueId, TaskId};

use super::invariant::{Invariant, check};
use crate::simulator::event::Event;
use crate::simulator::facts::Facts;
use crate::simulator::note::{Note, short};

/// Maximum number of deliveries of an issue before the broker dead-letters it, including the first one.
const DELIVERIES: u32 = 20 + 1;
/// Maximum number of leases that are lost before a task fails.
const CRASH_LIMIT: u32 = 5;

#[derive(Default)]
pub(super) struct KillersAreStopped {
    has_no_faults: bool,
    /// The running tasks: worker and task by the number of the run.
    at_work: BTreeMap<u64, (Arc<str>, TaskId)>,
    /// The issues that were published during the fault phase, and those that workers have returned.
    uncounted: BTreeSet<IssueId>,
    /// Number of workers that each task has killed since the end of the fault phase.
    deaths: BTreeMap<TaskId, u32>,
}

impl Invariant for KillersAreStopped {
    fn name(&self) -> &'static str {
        "killers_are_stopped"
    }

    fn see(&mut self, event: &Event, _facts: &Facts) -> Result<(), String> {
        match event {
            Event::Calm => self.has_no_faults = true,
            Event::Took(_, _, Note::Task(issue)) if !self.has_no_faults => {
                self.uncounted.insert(*issue);
            }
            Event::Took(_, _, Note::Returned(issue)) => {
                self.uncounted.insert(*issue);
            }
            Event::RunBegan(run) => drop(self.at_work.insert(run.number, (Arc::clone(&run.worker), run.task))),
            Event::RunEnded(number, ..) => drop(self.at_work.remove(number)),
            Event::Died(process) => {
                for (_, (_, task)) in self.at_work.extract_if(.., |_, (on, _)| on == process) {
                    let deaths = self.deaths.entry(task).or_default();
                    *deaths += u32::from(self.has_no_faults);
                    let deaths = *deaths;
                    let uncounted = self.uncounted.iter().filter(|issue| issue.task == task).count() as u32;
                    check(deaths <= DELIVERIES * (CRASH_LIMIT + uncounted), || {
                        format!("{deaths} workers died at {}", short(task))
                    })?;
                }
            }
            _ => {}
        }
        Ok(())
    }
}
