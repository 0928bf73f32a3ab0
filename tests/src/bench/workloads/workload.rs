//! The definition of a workload.

use crate::bench::figure::Figure;
use crate::bench::round::Round;
use crate::bench::run::Bench;

/// A workload.
#[derive(Debug)]
pub(in crate::bench) struct Workload {
    pub(in crate::bench) name: &'static str,
    pub(in crate::bench) about: &'static str,
    pub(in crate::bench) needs_broker: bool,
    /// Whether it runs only on request.
    pub(in crate::bench) on_request: bool,
    pub(in crate::bench) figures: fn() -> Vec<Figure>,
    pub(in crate::bench) run: fn(&Bench, &mut Round),
}
