//! The definition of an invariant.

use crate::simulator::event::Event;
use crate::simulator::facts::Facts;
use crate::simulator::leftovers::Leftovers;

/// An invariant.
pub trait Invariant: Send {
    /// Its name.
    fn name(&self) -> &'static str;

    /// Checks an event. `facts` is the state of the store before it.
    ///
    /// # Errors
    /// If the event violates the invariant.
    fn see(&mut self, _event: &Event, _facts: &Facts) -> Result<(), String> {
        Ok(())
    }

    /// Checks the state after everything has stopped.
    ///
    /// # Errors
    /// If the final state violates the invariant.
    fn end(&mut self, _facts: &Facts, _leftovers: &Leftovers) -> Result<(), String> {
        Ok(())
    }
}

/// Returns an error with the message of `say`, unless `holds`.
pub(super) fn check(holds: bool, say: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(say()) }
}
