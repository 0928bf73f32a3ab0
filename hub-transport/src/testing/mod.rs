//! Test support: the conformance suite for backends, and a transport that injects faults.

pub mod chaos;
pub mod conformance;
