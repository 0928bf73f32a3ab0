//! What a workload is, and the list of all.

use super::{
    chain, clients, command_line, compare, fan, fibonacci, flat, idle, live, load, many, memory, one_by_one, scale,
    sizes,
};
use crate::bench::figure::Figure;
use crate::bench::round::Round;
use crate::bench::run::Bench;

/// Something to be measured.
#[derive(Debug)]
pub(in crate::bench) struct Workload {
    pub(in crate::bench) name: &'static str,
    pub(in crate::bench) about: &'static str,
    pub(in crate::bench) needs_broker: bool,
    /// Whether it runs only where it is named.
    pub(in crate::bench) on_request: bool,
    pub(in crate::bench) figures: fn() -> Vec<Figure>,
    pub(in crate::bench) run: fn(&Bench, &mut Round),
}

/// All workloads, in the order in which they run.
pub(in crate::bench) const ALL: [&Workload; 15] = [
    &flat::WORKLOAD,
    &chain::WORKLOAD,
    &fan::WORKLOAD,
    &many::WORKLOAD,
    &fibonacci::WORKLOAD,
    &one_by_one::WORKLOAD,
    &memory::WORKLOAD,
    &scale::WORKLOAD,
    &live::WORKLOAD,
    &idle::WORKLOAD,
    &command_line::WORKLOAD,
    &clients::WORKLOAD,
    &sizes::WORKLOAD,
    &load::WORKLOAD,
    &compare::WORKLOAD,
];
