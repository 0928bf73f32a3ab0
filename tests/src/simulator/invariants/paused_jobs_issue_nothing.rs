//! While a job is paused or being cancelled, none of its tasks is handed out, except handlers of a cancelled job.

use std::collections::BTreeMap;

use hub_core::action::Change;
use hub_core::{JobId, JobStatus};

use super::invariant::{Invariant, check};
use crate::simulator::event::Event;
use crate::simulator::facts::Facts;

pub(super) struct PausedJobsIssueNothing;

impl Invariant for PausedJobsIssueNothing {
    fn name(&self) -> &'static str {
        "paused_jobs_issue_nothing"
    }

    fn see(&mut self, event: &Event, facts: &Facts) -> Result<(), String> {
        let Event::Kept(_, changes) = event else { return Ok(()) };
        // A batch that is committed again leads through the same states, and its issues are known. The change that stores the
        // confirm of an issue may follow in the same batch, after the job was paused.
        let mut statuses: BTreeMap<JobId, JobStatus> = BTreeMap::new();
        let mut issues = BTreeMap::new();
        for change in changes.iter() {
            match change {
                Change::JobChanged { id, state } => drop(statuses.insert(*id, state.status)),
                Change::TaskChanged { job, index, state } => {
                    let Some(fact) = facts.job(*job) else { continue };
                    let kept = || fact.state.as_ref().map(|state| state.status);
                    let status = statuses.get(job).copied().or_else(kept);
                    let is_handler = fact.job.list_of(fact.spec(*index).position).start > 0;
                    let stands_still = match status {
                        Some(JobStatus::Paused) => true,
                        Some(JobStatus::Cancelling) => !is_handler,
                        _ => false,
                    };
                    let in_batch = issues.insert((*job, *index), state.issue).flatten();
                    let known = in_batch.max(fact.state_of(*index).issue);
                    let is_new = state.issue > known;
                    check(!(stands_still && is_new), || {
                        format!("task {index} of {job:?} is handed out while the job is {status:?}")
                    })?;
                }
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
        Ok(())
    }
}
