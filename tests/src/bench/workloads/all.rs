//! The list of all workloads.

use super::workload::Workload;
use super::{
    chain, clients, command_line, compare, fan, fibonacci, flat, idle, live, load, many, memory, one_by_one, scale,
    sizes,
};

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
