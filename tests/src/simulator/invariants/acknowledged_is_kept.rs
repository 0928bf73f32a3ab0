//! The dispatcher acknowledges a message only after its effects are in the store.

use hub_core::{IssueId, TaskStatus};
use hub_transport::Settlement;

use super::invariant::{Invariant, check};
use crate::simulator::event::Event;
use crate::simulator::facts::Facts;
use crate::simulator::note::{Note, short_issue};

pub(super) struct AcknowledgedIsKept;

impl Invariant for AcknowledgedIsKept {
    fn name(&self) -> &'static str {
        "acknowledged_is_kept"
    }

    fn see(&mut self, event: &Event, facts: &Facts) -> Result<(), String> {
        let Event::Settled(who, queue, Settlement::Ack, notes) = event else { return Ok(()) };
        if !who.starts_with("dispatcher") {
            return Ok(());
        }
        for note in notes {
            match note {
                Note::Submission(jobs) => {
                    for id in jobs {
                        check(facts.job(*id).is_some_and(|job| job.added), || format!("{id:?} is not in the store"))?;
                    }
                }
                Note::Results(results) => {
                    for (issue, _) in results {
                        is_over(issue, false, note, facts)?;
                    }
                }
                Note::Returned(issue) => is_over(issue, false, note, facts)?,
                // A task that was not in the queue of its pool.
                Note::Task(issue) => is_over(issue, queue != "hub.dead", note, facts)?,
                Note::Started(issues) => {
                    for issue in issues {
                        is_over(issue, true, note, facts)?;
                    }
                }
                Note::Posted(_) | Note::Heartbeat | Note::Other => {}
            }
        }
        Ok(())
    }
}

/// Checks that the stored state of the issue is later than "published"; with `may_run`, "running" is sufficient.
fn is_over(issue: &IssueId, may_run: bool, note: &Note, facts: &Facts) -> Result<(), String> {
    let Some(task) = facts.task(issue.task) else { return Ok(()) };
    let is_out = match task.status {
        TaskStatus::Submitted => true,
        TaskStatus::Running => !task.launched && !may_run,
        _ => false,
    };
    check(task.issue != Some(issue.issue()) || !is_out, || {
        format!("{note} is acknowledged while the store has {} as {}", short_issue(issue), task.status)
    })
}
