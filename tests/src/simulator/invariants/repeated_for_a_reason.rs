//! An attempt runs once, except after faults: each further run has a fault that happened after the first publish. (If a dispatcher
//! was killed before its commits, several issues of a task can be on one worker. The worker's death is a reason for each of
//! them.) A fault can repeat every issue so far, because the broker may not have received the acknowledgements yet.

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
    tasks: BTreeMap<TaskId, Runs>,
    /// The running tasks: worker and task by the number of the run.
    at_work: BTreeMap<u64, (Arc<str>, TaskId)>,
}

/// The runs of a task.
#[derive(Clone, Copy, Default)]
struct Runs {
    /// Number of faults before its first publish.
    faults_before: u64,
    count: u64,
    /// Number of its latest attempt.
    attempts: u32,
    /// Number of its latest issue.
    issues: u32,
}

impl RepeatedForAReason {
    fn runs(&mut self, task: TaskId) -> &mut Runs {
        let first = Runs { faults_before: self.faults, ..Runs::default() };
        self.tasks.entry(task).or_insert(first)
    }

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
            if let Some(runs) = self.tasks.get_mut(&task) {
                // The death itself is the reason for one of the runs.
                runs.faults_before = runs.faults_before.wrapping_sub(count - 1);
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
            Event::Took(_, _, Note::Task(issue)) => {
                let runs = self.runs(issue.task);
                runs.issues = runs.issues.max(issue.number);
            }
            Event::RunBegan(run) => {
                let faults = self.faults;
                self.at_work.insert(run.number, (Arc::clone(&run.worker), run.task));
                let runs = self.runs(run.task);
                runs.count += 1;
                runs.attempts = runs.attempts.max(run.attempt);
                let Runs { faults_before, count, attempts, issues } = *runs;
                let since = faults.wrapping_sub(faults_before);
                check(count <= u64::from(attempts) + since * u64::from(issues), || {
                    let (task, attempt) = (short(run.task), run.attempt);
                    format!("run {count} of {task} at attempt {attempt} with {since} faults since it first went out")
                })?;
            }
            Event::RunEnded(number, ..) => drop(self.at_work.remove(number)),
            _ => {}
        }
        Ok(())
    }
}
