//! The list of all fuzz targets.

use super::{job, machine, reference, wire};

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
