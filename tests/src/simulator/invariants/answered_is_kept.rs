//! Every answer to a client is in the store: an accepted job, a cancellation, a pause, a posted result.

use hub_core::JobStatus;

use super::invariant::{Invariant, check};
use crate::simulator::event::Event;
use crate::simulator::facts::Facts;
use crate::simulator::note::{run_of, short};

pub(super) struct AnsweredIsKept;

impl Invariant for AnsweredIsKept {
    fn name(&self) -> &'static str {
        "answered_is_kept"
    }

    fn see(&mut self, event: &Event, facts: &Facts) -> Result<(), String> {
        match event {
            Event::Submitted(id) => {
                check(facts.job(*id).is_some_and(|job| job.added), || format!("{id:?} is not in the store"))
            }
            Event::Cancelled(id) => {
                let state = facts.job(*id).and_then(|job| job.state.as_ref());
                let status = state.map(|state| state.status);
                // A cancel does not change what has been decided.
                let is_decided = state.and_then(|state| state.details.as_ref()?.verdict).is_some();
                let is_kept = is_decided || matches!(status, Some(JobStatus::Cancelling | JobStatus::Cancelled));
                check(is_kept, || format!("{id:?} is {status:?} after its cancel"))
            }
            Event::Paused(id, true) => {
                // Another request may have come in between, and a paused job can end.
                let status = facts.job(*id).and_then(|job| job.state.as_ref()).map(|state| state.status);
                let is_kept = status.is_some_and(|status| !matches!(status, JobStatus::Pending | JobStatus::Running));
                check(is_kept, || format!("{id:?} is {status:?} after its pause"))
            }
            Event::Posted(run, task) => {
                let data = facts.task(*task).and_then(|task| task.data.as_ref()).map(hub_core::Json::to_value);
                let kept = data.as_ref().and_then(run_of);
                check(kept == Some(*run), || format!("{} is {data:?} after the post of run {run}", short(*task)))
            }
            _ => Ok(()),
        }
    }
}
