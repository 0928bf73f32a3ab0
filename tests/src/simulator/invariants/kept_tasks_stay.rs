//! A task that a retry of a job keeps has the state that it had in the job in which it ran, and is not handed out.

use hub_core::JobId;
use hub_core::action::Change;
use hub_core::state::TaskState;

use super::invariant::{Invariant, check};
use crate::simulator::event::Event;
use crate::simulator::facts::Facts;
use crate::simulator::note::{Note, short};

pub(super) struct KeptTasksStay;

/// The job in which a task ran that is kept.
pub(super) fn kept_from(state: &TaskState) -> Option<JobId> {
    state.details.as_ref().and_then(|details| details.rare().kept_from)
}

impl Invariant for KeptTasksStay {
    fn name(&self) -> &'static str {
        "kept_tasks_stay"
    }

    fn see(&mut self, event: &Event, facts: &Facts) -> Result<(), String> {
        match event {
            Event::Took(_, _, Note::Task(issue)) => {
                let kept = facts.task(issue.task).and_then(kept_from);
                check(kept.is_none(), || format!("{} is handed out, and was kept from {kept:?}", short(issue.task)))
            }
            Event::Kept(_, changes) => changes.iter().try_for_each(|change| {
                let Change::TaskChanged { job, index, state } = change else { return Ok(()) };
                let Some(origin) = kept_from(state) else { return Ok(()) };
                let mut was =
                    facts.job(origin).map(|fact| fact.state_of(*index).clone()).unwrap_or_else(TaskState::pending);
                was.details_mut().rare_mut().kept_from = Some(origin);
                check(was == **state, || format!("{} was {was:?} and is kept as {state:?}", short(job.task(*index))))
            }),
            _ => Ok(()),
        }
    }
}
