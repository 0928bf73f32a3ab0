//! Hub's programs: arguments in, exit code out. What Hub does is in `hub-engine`; here is only how people
//! and scripts tell it what to do, and how it answers them.

mod bounds;
pub mod client;
mod config;
pub mod control;
mod daemon;
pub mod dispatcher;
#[cfg(test)]
mod documented;
mod exit;
mod ini;
mod limits;
mod logging;
mod notify;
pub mod parts;
mod probe;
mod reach;
mod signals;
mod stdio;
mod store;
pub mod worker;
