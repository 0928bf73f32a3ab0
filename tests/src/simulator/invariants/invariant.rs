//! What an invariant is.

use crate::simulator::event::Event;
use crate::simulator::facts::Facts;
use crate::simulator::leftovers::Leftovers;

/// Something that must hold.
pub trait Invariant: Send {
    /// What it is called.
    fn name(&self) -> &'static str;

    /// Something happened. `facts` are what was kept before.
    ///
    /// # Errors
    /// Where it should not have happened.
    fn see(&mut self, _event: &Event, _facts: &Facts) -> Result<(), String> {
        Ok(())
    }

    /// Everything has stopped.
    ///
    /// # Errors
    /// Where it should not have come to this.
    fn end(&mut self, _facts: &Facts, _leftovers: &Leftovers) -> Result<(), String> {
        Ok(())
    }
}

/// `Err` with what `say` says, unless `holds`.
pub(super) fn check(holds: bool, say: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(say()) }
}
