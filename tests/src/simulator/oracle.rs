//! Observes all events and reports violations.

use std::fmt;

use super::event::Event;
use super::facts::Facts;
use super::invariants::{self, Invariant};
use super::leftovers::Leftovers;
use super::plans::Plan;

/// Checks all invariants of a simulation.
pub struct Oracle {
    facts: Facts,
    invariants: Vec<Box<dyn Invariant>>,
    violation: Option<Violation>,
}

/// A violation of an invariant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The invariant.
    pub invariant: &'static str,
    /// A description.
    pub what: String,
}

impl Oracle {
    /// An oracle for these jobs.
    #[must_use]
    pub fn new(plans: &[Plan]) -> Self {
        Self { facts: Facts::new(plans), invariants: invariants::all(), violation: None }
    }

    /// Checks an event. Returns the violation if it is the first one.
    pub fn see(&mut self, event: &Event) -> Option<&Violation> {
        let before = self.violation.is_some();
        for invariant in &mut self.invariants {
            if let Err(what) = invariant.see(event, &self.facts) {
                self.violation.get_or_insert(Violation { invariant: invariant.name(), what });
            }
        }
        if let Event::Kept(_, changes) = event {
            changes.iter().for_each(|change| self.facts.keep(change));
        }
        self.violation.as_ref().filter(|_| !before)
    }

    /// Checks the state after everything has stopped.
    pub fn end(&mut self, leftovers: &Leftovers) {
        for invariant in &mut self.invariants {
            if let Err(what) = invariant.end(&self.facts, leftovers) {
                self.violation.get_or_insert(Violation { invariant: invariant.name(), what });
            }
        }
    }

    /// Reports a violation that was detected elsewhere.
    pub fn accuse(&mut self, invariant: &'static str, what: String) {
        self.violation.get_or_insert(Violation { invariant, what });
    }

    /// The state of the store.
    #[must_use]
    pub const fn facts(&self) -> &Facts {
        &self.facts
    }

    /// The first violation, if there is one.
    #[must_use]
    pub const fn violation(&self) -> Option<&Violation> {
        self.violation.as_ref()
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is broken: {}", self.invariant, self.what)
    }
}
