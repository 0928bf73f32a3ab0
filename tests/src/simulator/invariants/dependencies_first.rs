//! No task starts before all its dependencies have succeeded, unless its trigger rule says otherwise.

use std::collections::BTreeSet;

use hub_core::TaskId;

use super::invariant::{Invariant, check};
use crate::simulator::event::Event;
use crate::simulator::facts::Facts;
use crate::simulator::note::short;

#[derive(Default)]
pub(super) struct DependenciesFirst {
    well: BTreeSet<TaskId>,
}

impl Invariant for DependenciesFirst {
    fn name(&self) -> &'static str {
        "dependencies_first"
    }

    fn see(&mut self, event: &Event, facts: &Facts) -> Result<(), String> {
        match event {
            Event::RunEnded(_, task, true) | Event::Outside(_, task) => drop(self.well.insert(*task)),
            Event::RunBegan(run) => {
                let (fact, index) = facts.find(run.task).ok_or_else(|| format!("{:?} is nobody's", run.task))?;
                let task = fact.spec(index);
                // A task with items ends when its items have ended, which are other tasks.
                let runs = |before: &&usize| fact.job.tasks()[**before].for_each.is_none();
                for before in task.upstream.iter().filter(|_| task.trigger_rule == "all_success").filter(runs) {
                    let before = fact.plan.id.task(u32::try_from(*before).unwrap_or(u32::MAX));
                    check(self.well.contains(&before), || {
                        format!("{} begins before {} has ended well", short(run.task), short(before))
                    })?;
                }
            }
            _ => {}
        }
        Ok(())
    }
}
