//! A task that waits is never handed out, and receives each signal at most once, and none that was not sent.

use std::collections::BTreeMap;

use hub_core::action::Change;
use hub_core::{JobId, TaskStatus};

use super::invariant::{Invariant, check};
use super::kept_tasks_stay::kept_from;
use crate::simulator::event::Event;
use crate::simulator::facts::Facts;
use crate::simulator::note::short;
use crate::simulator::waits;

#[derive(Default)]
pub(super) struct SignalsArriveOnce {
    /// Number of signals that clients have begun to send, by job and name.
    sent: BTreeMap<(JobId, String), usize>,
}

impl Invariant for SignalsArriveOnce {
    fn name(&self) -> &'static str {
        "signals_arrive_once"
    }

    fn see(&mut self, event: &Event, facts: &Facts) -> Result<(), String> {
        match event {
            Event::Sent(id, name) => *self.sent.entry((*id, name.clone())).or_default() += 1,
            Event::RunBegan(run) => {
                let is_wait = facts.find(run.task).is_some_and(|(fact, at)| fact.spec(at).wait.is_some());
                check(!is_wait, || format!("{} waits, and a worker has begun it", short(run.task)))?;
            }
            Event::Kept(_, changes) => {
                for change in changes.iter() {
                    let Change::TaskChanged { job: id, index, state } = change else { continue };
                    let spec = facts.job(*id).map(|fact| fact.spec(*index));
                    let Some(wait) = spec.and_then(|spec| spec.wait.as_ref()) else { continue };
                    let Some(name) = wait["signal"].as_str().filter(|_| kept_from(state).is_none()) else { continue };
                    let received = state.details.as_ref().map_or(0, |details| details.rare().signals.len());
                    let sent = self.sent.get(&(*id, name.to_owned())).copied().unwrap_or_default();
                    let needed = if state.status == TaskStatus::Success { waits::count(wait) } else { 0 };
                    check(received <= sent && received >= needed, || {
                        let task = short(id.task(*index));
                        format!("{task} is {} with {received} signals, {sent} were sent", state.status)
                    })?;
                }
            }
            _ => {}
        }
        Ok(())
    }
}
