//! No task starts before all its dependencies have succeeded, unless its trigger rule says otherwise, or a dependency can be
//! recovered, waits, runs a job, can take a kept result, or is kept from another job. No handler starts before all tasks of the
//! lists before have ended.

use std::collections::BTreeSet;

use hub_core::TaskId;

use super::invariant::{Invariant, check};
use super::kept_tasks_stay::kept_from;
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
                // An issue is published together with the commit of what made it ready.
                let earlier = &fact.tasks[..fact.job.list_of(task.position).start];
                let is_kept = fact.state_of(index).issue.is_some();
                check(!is_kept || earlier.iter().all(|before| before.status.is_terminal()), || {
                    format!("the handler {} begins before the tasks have ended", short(run.task))
                })?;
                // A task with items ends when its items have ended, which are other tasks.
                let must_run = |before: &&usize| {
                    let before = &fact.job.tasks()[**before];
                    before.for_each.is_none()
                        && before.recover.is_none()
                        && before.wait.is_none()
                        && before.sub_job.is_none()
                        && !before.has_cache
                };
                let upstream = task.upstream.iter().filter(|_| task.trigger_rule == "all_success");
                for before in upstream.filter(must_run) {
                    let is_kept = kept_from(&fact.tasks[*before]).is_some();
                    let before = fact.plan.id.task(u32::try_from(*before).unwrap_or(u32::MAX));
                    check(is_kept || self.well.contains(&before), || {
                        format!("{} begins before {} has ended well", short(run.task), short(before))
                    })?;
                }
            }
            _ => {}
        }
        Ok(())
    }
}
