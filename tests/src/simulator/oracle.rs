//! Sees all that happens, and says when it should not have.

use std::fmt;

use super::event::Event;
use super::facts::Facts;
use super::invariants::{self, Invariant};
use super::leftovers::Leftovers;
use super::plans::Plan;

/// Holds a simulation to every invariant.
pub struct Oracle {
    facts: Facts,
    invariants: Vec<Box<dyn Invariant>>,
    violation: Option<Violation>,
}

/// Something that should not have happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which invariant says so.
    pub invariant: &'static str,
    /// What happened.
    pub what: String,
}

impl Oracle {
    /// An oracle for these jobs.
    #[must_use]
    pub fn new(plans: &[Plan]) -> Self {
        Self { facts: Facts::new(plans), invariants: invariants::all(), violation: None }
    }

    /// Something happened. Returns the violation, where it is the first.
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

    /// Everything has stopped.
    pub fn end(&mut self, leftovers: &Leftovers) {
        for invariant in &mut self.invariants {
            if let Err(what) = invariant.end(&self.facts, leftovers) {
                self.violation.get_or_insert(Violation { invariant: invariant.name(), what });
            }
        }
    }

    /// Something happened that no invariant sees.
    pub fn accuse(&mut self, invariant: &'static str, what: String) {
        self.violation.get_or_insert(Violation { invariant, what });
    }

    /// What was kept.
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
