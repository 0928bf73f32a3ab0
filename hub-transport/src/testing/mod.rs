//! For tests: the suite that every backend has to pass, and a transport that makes trouble.

pub mod chaos;
pub mod conformance;
