//! Hub's programs: arguments in, exit code out. What Hub does is in `hub-engine`; here is only how people
//! and scripts tell it what to do, and how it answers them.

mod bounds;
pub mod client;
mod config;
pub mod control;
mod daemon;
pub mod dispatcher;
mod exit;
mod ini;
mod limits;
mod logging;
mod notify;
mod probe;
mod reach;
mod signals;
mod stdio;
mod store;
pub mod worker;

/// The dispatcher's and the worker's parts hand messages to each other from thread to thread. The allocator of glibc has the
/// thread that lets go of one wait for the thread that made it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
