//! Properties that hold for arbitrary bytes. `tests/fuzz` tests them with generated inputs, and `tests/tests/corpus.rs` with the inputs
//! in the repository.
//!
//! This module must not depend on processes, brokers, or the rest of this crate except the evaluator, since the fuzz programs include
//! its sources.

mod choices;
mod features;
mod job;
mod ledger;
mod machine;
mod reference;
mod repeats;
mod reports;
mod run;
mod targets;
mod wire;

pub use targets::{TARGETS, Target, check};
