//! A result that is kept for later tasks is that of a task that ran and succeeded. A task that takes a result has the data of this
//! task, and is not handed out.

use hub_core::TaskId;
use hub_core::action::Change;
use hub_core::cache::CachedFrom;
use hub_core::state::TaskState;
use hub_core::{Json, TaskStatus};

use super::invariant::{Invariant, check};
use crate::simulator::event::Event;
use crate::simulator::facts::Facts;
use crate::simulator::note::{Note, short};

pub(super) struct ResultsAreOfSuccesses;

/// The task whose kept result a task has taken.
pub(super) fn cached_from(state: &TaskState) -> Option<CachedFrom> {
    state.details.as_ref()?.rare().cache.as_ref()?.from
}

/// The state of a task after these changes.
fn after<'s>(changes: &'s [Change], facts: &'s Facts, wanted: TaskId) -> Option<&'s TaskState> {
    let changed = changes.iter().rev().find_map(|change| match change {
        Change::TaskChanged { job, index, state } if job.task(*index) == wanted => Some(&**state),
        _ => None,
    });
    changed.or_else(|| facts.task(wanted))
}

fn check_source(source: Option<&TaskState>, from: CachedFrom, data: Option<&Json>) -> Result<(), String> {
    let is_source = source.is_some_and(|source| {
        source.status == TaskStatus::Success && source.data.as_ref() == data && cached_from(source).is_none()
    });
    check(is_source, || format!("{data:?} is kept as the result of {}, which is {source:?}", short(from.task)))
}

impl Invariant for ResultsAreOfSuccesses {
    fn name(&self) -> &'static str {
        "results_are_of_successes"
    }

    fn see(&mut self, event: &Event, facts: &Facts) -> Result<(), String> {
        match event {
            Event::Took(_, _, Note::Task(issue)) => {
                // A message of an earlier issue can be late.
                let is_new = |state: &&TaskState| state.issue < Some(issue.issue());
                let taken = facts.task(issue.task).filter(is_new).and_then(cached_from);
                check(taken.is_none(), || format!("{} is handed out, and has taken a result", short(issue.task)))
            }
            Event::Kept(_, changes) => changes.iter().try_for_each(|change| match change {
                Change::ResultKept { kept: Some(kept), .. } => {
                    check_source(after(changes, facts, kept.from.task), kept.from, Some(&kept.data))
                }
                Change::TaskChanged { state, .. } => match cached_from(state) {
                    Some(from) => check_source(after(changes, facts, from.task), from, state.data.as_ref()),
                    None => Ok(()),
                },
                _ => Ok(()),
            }),
            _ => Ok(()),
        }
    }
}
