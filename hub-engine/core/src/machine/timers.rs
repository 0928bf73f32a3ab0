//! Named timers, ordered by deadline.
//!
//! A deadline follows from stored state, so timers are not stored: they are set again when jobs are restored. A
//! transition that ends the owner of a timer also stops the timer. The handler of a timer checks the current state, so
//! a timer that fires twice has no effect.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::{JobId, Steady};

/// The timers of the machine.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// The delay of a task ends, or the time for which it is held: its job and position.
    Rest(JobId, u32),
    /// A task has not started in time.
    ToStart(JobId, u32),
    /// The same task, if the broker or a worker had it then: a worker has had time to say that it runs it.
    Recall(JobId, u32),
    /// A task has not ended in time.
    ToClose(JobId, u32),
    /// An attempt has not ended in time.
    Attempt(JobId, u32),
    /// The depth of this pool's queue has to be queried.
    Probe(Arc<str>),
    /// The time at which a job starts.
    Start(JobId),
    /// The deadline of a job.
    Deadline(JobId),
    /// The deadline of the handlers of a job that run.
    Handlers(JobId),
    /// The next time of a schedule.
    Schedules,
    /// The job of this schedule is prepared again.
    Postponed(Arc<str>),
}

/// Timers by deadline. Each name has at most one deadline.
#[derive(Debug)]
pub(super) struct Timers<T> {
    due: BTreeSet<(Steady, T)>,
    deadlines: BTreeMap<T, Steady>,
}

impl<T: Clone + Ord> Timers<T> {
    /// Sets a timer, or moves it.
    pub(super) fn set(&mut self, timer: T, deadline: Steady) {
        let before = self.deadlines.insert(timer.clone(), deadline);
        if before == Some(deadline) {
            return;
        }
        if let Some(before) = before {
            self.due.remove(&(before, timer.clone()));
        }
        self.due.insert((deadline, timer));
    }

    /// Stops a timer if it is set.
    pub(super) fn stop(&mut self, timer: T) {
        if let Some(deadline) = self.deadlines.remove(&timer) {
            self.due.remove(&(deadline, timer));
        }
    }

    /// The deadline of the next timer.
    pub(super) fn next_timeout(&self) -> Option<Steady> {
        self.due.first().map(|(deadline, _)| *deadline)
    }

    /// Removes and returns the timers that are due, in order.
    pub(super) fn take_due(&mut self, now: Steady) -> Vec<T> {
        let mut due = Vec::new();
        while self.next_timeout().is_some_and(|deadline| deadline <= now) {
            let Some((_, timer)) = self.due.pop_first() else { break };
            self.deadlines.remove(&timer);
            due.push(timer);
        }
        due
    }
}

impl<T> Default for Timers<T> {
    fn default() -> Self {
        Self { due: BTreeSet::new(), deadlines: BTreeMap::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_has_one_deadline_and_timers_fire_in_order() {
        let at = Steady::from_millis;
        let mut timers = Timers::default();
        timers.set("a", at(30));
        timers.set("b", at(20));
        timers.set("c", at(20));
        timers.set("d", at(10));
        assert_eq!(timers.next_timeout(), Some(at(10)));
        timers.set("d", at(40));
        timers.set("a", at(30));
        timers.stop("c");
        timers.stop("c");
        assert_eq!((timers.next_timeout(), timers.take_due(at(19))), (Some(at(20)), vec![]));
        assert_eq!(timers.take_due(at(30)), ["b", "a"]);
        assert_eq!((timers.take_due(at(30)), timers.take_due(at(40))), (vec![], vec!["d"]));
        assert!(timers.due.is_empty() && timers.deadlines.is_empty());
    }
}
