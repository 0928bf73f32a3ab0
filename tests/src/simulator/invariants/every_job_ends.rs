//! Progress: after the faults have stopped, every job and every task ends.

use super::invariant::{Invariant, check};
use crate::simulator::facts::Facts;
use crate::simulator::leftovers::Leftovers;

pub(super) struct EveryJobEnds;

impl Invariant for EveryJobEnds {
    fn name(&self) -> &'static str {
        "every_job_ends"
    }

    fn end(&mut self, facts: &Facts, _leftovers: &Leftovers) -> Result<(), String> {
        for job in facts.jobs() {
            let open: Vec<String> = job
                .tasks
                .iter()
                .enumerate()
                .filter(|(_, task)| !task.status.is_terminal())
                .map(|(at, task)| format!("{at} is {}", task.status))
                .collect();
            check(job.added, || format!("{:?} never got into the store", job.plan.id))?;
            check(job.has_ended(), || format!("{:?} does not end: of its tasks {}", job.plan.id, open.join(", ")))?;
            check(open.is_empty(), || format!("{:?} has ended without its tasks: {}", job.plan.id, open.join(", ")))?;
        }
        Ok(())
    }
}
