//! Named moments at which something is due, in their order.
//!
//! A deadline follows from the row that it is about, so timers are never stored: they are set again when rows are loaded. What
//! ends the owner of a timer stops the timer in the same transition. What a timer wakes looks at its row again, so a timer that
//! goes off twice does no harm.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::{JobId, Steady};

/// What the machine does by the clock.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// The rest of a task is over, or the time for which it was held: its job and position.
    Rest(JobId, u32),
    /// The queue of this pool is to be looked into.
    Probe(Arc<str>),
}

/// Timers by their deadlines; each name has one at most.
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

    /// Stops a timer, where it is set.
    pub(super) fn stop(&mut self, timer: T) {
        if let Some(deadline) = self.deadlines.remove(&timer) {
            self.due.remove(&(deadline, timer));
        }
    }

    /// When the next timer goes off.
    pub(super) fn next_timeout(&self) -> Option<Steady> {
        self.due.first().map(|(deadline, _)| *deadline)
    }

    /// Takes out the timers whose deadline has come, in their order.
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
    fn each_name_has_one_deadline_and_they_come_in_their_order() {
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
