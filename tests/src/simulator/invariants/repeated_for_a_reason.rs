//! A task is run once, but for faults: each further run of it has a fault that happened since it first went out.

use std::collections::BTreeMap;

use hub_core::TaskId;

use super::{Invariant, check};
use crate::simulator::event::Event;
use crate::simulator::facts::Facts;
use crate::simulator::note::{Note, short};

#[derive(Default)]
pub(super) struct RepeatedForAReason {
    faults: u64,
    /// How many faults there were when a task first went out, and how often it has been run.
    tasks: BTreeMap<TaskId, (u64, u64)>,
}

impl Invariant for RepeatedForAReason {
    fn name(&self) -> &'static str {
        "repeated_for_a_reason"
    }

    fn see(&mut self, event: &Event, _facts: &Facts) -> Result<(), String> {
        match event {
            Event::Died(_) | Event::Cut(..) | Event::Stopping(_) | Event::Stopped(_) | Event::Fault(_) => {
                self.faults += 1;
            }
            Event::Took(_, _, Note::Task((task, _))) => drop(self.tasks.entry(*task).or_insert((self.faults, 0))),
            Event::RunBegan(run) => {
                let faults = self.faults;
                let (before, runs) = self.tasks.entry(run.task).or_insert((faults, 0));
                *runs += 1;
                let since = faults - *before;
                check(*runs <= 1 + since, || {
                    format!("run {runs} of {} with {since} faults since it first went out", short(run.task))
                })?;
            }
            _ => {}
        }
        Ok(())
    }
}
