//! What must hold for any bytes at all: the properties that `tests/fuzz` tries with inputs that a fuzzer thinks of,
//! and `tests/tests/corpus.rs` with those that are kept.
//!
//! It must not know of processes and brokers, nor of the rest of this crate but the evaluator: the fuzz targets take both in as they
//! are.

mod choices;
mod job;
mod ledger;
mod machine;
mod reference;
mod repeats;
mod run;
mod targets;
mod wire;

pub use targets::{TARGETS, Target, check};
