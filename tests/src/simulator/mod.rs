//! The simulator: a whole Hub in one thread and no time, under faults that follow from one seed.
//!
//! The dispatchers and workers are the real ones. Around them everything is simulated: the clock, the way to the
//! broker, the disk under the store, what tasks do, and the clients. A process dies between any two of its steps;
//! connections break, messages are late, doubled and overtaken, commits and readings fail, the broker goes away.
//! An oracle sees all that happens and holds it to the [`invariants`]; the [evaluator](crate::evaluator) computes what every job must
//! give. When the faults are over, progress is demanded.

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
pub mod plans;
pub mod process;
pub mod publisher;
mod run;
pub mod runner;
mod sabotage;
pub mod simulation;
pub mod socket;
pub mod store;
pub mod subscription;
mod tamper;
pub mod trace;
pub mod transport;
pub mod weather;
pub mod work;
pub mod world;

pub use run::{Verdict, run};
pub use sabotage::Sabotage;
