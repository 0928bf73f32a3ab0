//! An issue that the dispatcher knows to be on the broker is not published again: not over the same connection, not after its
//! confirm, and not after a restart if the confirm was stored.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hub_core::IssueId;
use hub_core::action::Change;

use super::invariant::{Invariant, check};
use crate::simulator::event::Event;
use crate::simulator::facts::Facts;
use crate::simulator::note::{Note, short_issue};

#[derive(Default)]
pub(super) struct ConfirmedGoesOutOnce {
    /// The connections over which each issue was published.
    over: BTreeSet<(IssueId, u64)>,
    /// The dispatchers that know that an issue is on the broker.
    knows: BTreeSet<(IssueId, Arc<str>)>,
    /// Issues whose confirm is in the store.
    kept: BTreeSet<IssueId>,
    /// The confirmed issues that a dispatcher read at its start.
    found: BTreeMap<Arc<str>, BTreeSet<IssueId>>,
}

impl Invariant for ConfirmedGoesOutOnce {
    fn name(&self) -> &'static str {
        "confirmed_goes_out_once"
    }

    fn see(&mut self, event: &Event, _facts: &Facts) -> Result<(), String> {
        match event {
            Event::Kept(_, changes) => {
                for change in changes.iter() {
                    if let Change::TaskChanged { job, index, state } = change
                        && let (true, Some(issue)) = (state.confirmed, state.issue)
                    {
                        self.kept.insert(issue.of(job.task(*index)));
                    }
                }
            }
            Event::Loaded(who) => drop(self.found.insert(Arc::clone(who), self.kept.clone())),
            Event::Confirmed(who, Note::Task(issue)) => drop(self.knows.insert((*issue, Arc::clone(who)))),
            Event::Took(who, connection, Note::Task(issue)) => {
                let name = short_issue(issue);
                check(self.over.insert((*issue, *connection)), || {
                    format!("{name} goes out twice over connection {connection} of {who}")
                })?;
                check(!self.knows.contains(&(*issue, Arc::clone(who))), || {
                    format!("{name} goes out again although {who} knows that the broker has it")
                })?;
                let found = self.found.get(who).is_some_and(|found| found.contains(issue));
                check(!found, || format!("{name} goes out again although {who} found its confirm in the store"))?;
            }
            _ => {}
        }
        Ok(())
    }
}
