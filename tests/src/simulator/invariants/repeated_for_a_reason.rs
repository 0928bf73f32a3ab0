//! An attempt runs once, except after faults: each further run has a fault that happened after the first publish. (If a dispatcher
//! was killed before its commits, several issues of a task can be on one worker. The worker's death is a reason for each of
//! them.)

use std::collections::BTreeMap;
use std::sync::Arc;

use hub_core::TaskId;

use super::invariant::{Invariant, check};
use crate::simulator::event::Event;
use crate::simulator::facts::Facts;
use crate::simulator::note::{Note, short};

#[derive(Default)]
pub(super) struct RepeatedForAReason {
    faults: u64,
    /// For each task, the number of faults before its first publish, and the number of its runs.
    tasks: BTreeMap<TaskId, (u64, u64)>,
    /// The running tasks: worker and task by the number of the run.
    at_work: BTreeMap<u64, (Arc<str>, TaskId)>,
}

impl RepeatedForAReason {
    /// Handles the death of a worker, which is a reason to repeat each of its runs.
    fn lose(&mut self, worker: &str) {
        let mut lost = BTreeMap::<TaskId, u64>::new();
        self.at_work.retain(|_, (on, task)| {
            let stays = **on != *worker;
            if !stays {
                *lost.entry(*task).or_default() += 1;
            }
            stays
        });
        for (task, count) in lost {
            if let Some((before, _)) = self.tasks.get_mut(&task) {
                // The death itself is the reason for one of the runs.
                *before = before.wrapping_sub(count - 1);
            }
        }
    }
}

impl Invariant for RepeatedForAReason {
    fn name(&self) -> &'static str {
        "repeated_for_a_reason"
    }

    fn see(&mut self, event: &Event, _facts: &Facts) -> Result<(), String> {
        match event {
            // What befalls the broker befalls all connections: the worker's, whose delivery goes to another, and the
            // dispatcher's, which does not hear that the broker has the task and publishes it again.
            Event::Fault(_) => self.faults += 2,
            Event::Died(_) | Event::Cut(..) | Event::Stopping(_) | Event::Stopped(_) => {
                self.faults += 1;
                if let Event::Died(process) = event {
                    self.lose(process);
                }
            }
            Event::Took(_, _, Note::Task(issue)) => drop(self.tasks.entry(issue.task).or_insert((self.faults, 0))),
            Event::RunBegan(run) => {
                let faults = self.faults;
                let (before, runs) = self.tasks.entry(run.task).or_insert((faults, 0));
                *runs += 1;
                self.at_work.insert(run.number, (Arc::clone(&run.worker), run.task));
                let since = faults.wrapping_sub(*before);
                check(*runs <= u64::from(run.attempt) + since, || {
                    let (task, attempt) = (short(run.task), run.attempt);
                    format!("run {runs} of {task} at attempt {attempt} with {since} faults since it first went out")
                })?;
            }
            Event::RunEnded(number, ..) => drop(self.at_work.remove(number)),
            _ => {}
        }
        Ok(())
    }
}
