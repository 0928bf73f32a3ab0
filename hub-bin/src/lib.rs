//! The command lines of Hub's programs. They translate arguments into calls of `hub-engine`, and results into output and exit
//! codes.

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
