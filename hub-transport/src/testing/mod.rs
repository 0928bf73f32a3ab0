//! For tests: the suite that every backend has to pass, and a transport that injects faults.

pub mod chaos;
pub mod conformance;
