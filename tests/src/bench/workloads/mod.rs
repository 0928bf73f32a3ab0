//! The workloads, one per file, with their figures and targets.

mod all;
mod chain;
mod clients;
mod command_line;
mod compare;
mod fan;
mod fibonacci;
mod flat;
mod idle;
mod live;
mod load;
mod many;
mod memory;
mod one_by_one;
mod scale;
mod sizes;
mod workload;

pub(super) use all::ALL;
pub(super) use workload::Workload;
