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
mod wire;

/// One fuzz target.
pub struct Target {
    /// What it is called, and the folder of its seeds in `tests/fuzz/corpus`.
    pub name: &'static str,
    /// Panics where a property does not hold; whether the input was understood, rather than refused, otherwise.
    pub check: fn(&[u8]) -> bool,
}

/// Every fuzz target.
pub const TARGETS: [Target; 4] = [
    Target { name: "job", check: job::check },
    Target { name: "machine", check: machine::check },
    Target { name: "reference", check: reference::check },
    Target { name: "wire", check: wire::check },
];

/// Tries one input on the target of this name.
///
/// # Panics
/// Where there is no such target, or a property does not hold.
pub fn check(name: &str, bytes: &[u8]) -> bool {
    let target = TARGETS.iter().find(|target| target.name == name);
    (target.unwrap_or_else(|| panic!("no target is called {name:?}")).check)(bytes)
}
