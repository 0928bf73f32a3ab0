//! What must hold in every simulation, one invariant to a file.

mod acknowledged_is_kept;
mod answered_is_kept;
mod confirmed_goes_out_once;
mod dependencies_first;
mod ends_are_final;
mod every_job_ends;
mod killers_are_stopped;
mod nothing_stays_behind;
mod one_run_counts;
mod outputs_as_evaluated;
mod repeated_for_a_reason;

use super::event::Event;
use super::facts::Facts;
use super::oracle::Leftovers;

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

/// Every invariant. Where one event breaks several, the first of them is named.
#[must_use]
pub fn all() -> Vec<Box<dyn Invariant>> {
    vec![
        Box::new(ends_are_final::EndsAreFinal),
        Box::new(acknowledged_is_kept::AcknowledgedIsKept),
        Box::new(answered_is_kept::AnsweredIsKept),
        Box::new(confirmed_goes_out_once::ConfirmedGoesOutOnce::default()),
        Box::new(dependencies_first::DependenciesFirst::default()),
        Box::new(one_run_counts::OneRunCounts::default()),
        Box::new(repeated_for_a_reason::RepeatedForAReason::default()),
        Box::new(killers_are_stopped::KillersAreStopped::default()),
        Box::new(every_job_ends::EveryJobEnds),
        Box::new(outputs_as_evaluated::OutputsAsEvaluated::default()),
        Box::new(nothing_stays_behind::NothingStaysBehind),
    ]
}

/// `Err` with what `say` says, unless `holds`.
fn check(holds: bool, say: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(say()) }
}
