//! The simulator: a complete Hub in one thread and in simulated time, with faults determined by one seed.
//!
//! The dispatchers and workers are the real ones. Everything else is simulated: the clock, the connections to the broker, the disk of
//! the store, the tasks, and the clients. Processes are killed between any two of their steps, connections break, messages are
//! delayed, duplicated and reordered, commits and reads fail, and the broker becomes unavailable. An oracle checks all events against
//! the [`invariants`], and the [evaluator](crate::evaluator) computes the expected results of all jobs. After the fault phase, all
//! jobs must end.

mod answers;
pub mod clients;
pub mod connection;
mod daemons;
pub mod dice;
pub mod event;
pub mod expected;
pub mod facts;
mod faults;
pub mod invariants;
pub mod leftovers;
pub mod note;
pub mod oracle;
mod panics;
mod patience;
pub mod plans;
pub mod process;
pub mod publisher;
mod run;
pub mod runner;
mod sabotage;
pub mod schedules;
pub mod simulation;
pub mod socket;
pub mod store;
mod sub_jobs;
pub mod subscription;
mod tamper;
pub mod task_options;
mod trace;
pub mod transport;
mod waits;
pub mod weather;
pub mod work;
pub mod world;

pub use run::{Verdict, run};
pub use sabotage::Sabotage;
