//! The list of all fuzz targets.

use super::{features, job, machine, reference, wire};

/// One fuzz target.
pub struct Target {
    /// Its name, which is also the folder of its inputs in `tests/fuzz/corpus`.
    pub name: &'static str,
    /// Checks an input. It panics if a property is violated. It returns whether the input was accepted.
    pub check: fn(&[u8]) -> bool,
}

/// All fuzz targets.
pub const TARGETS: [Target; 5] = [
    Target { name: "features", check: features::check },
    Target { name: "job", check: job::check },
    Target { name: "machine", check: machine::check },
    Target { name: "reference", check: reference::check },
    Target { name: "wire", check: wire::check },
];

/// Runs the target with this name on one input.
///
/// # Panics
/// If there is no such target, or a property does not hold.
pub fn check(name: &str, bytes: &[u8]) -> bool {
    let target = TARGETS.iter().find(|target| target.name == name);
    (target.unwrap_or_else(|| panic!("no target is called {name:?}")).check)(bytes)
}
