//! The properties, taken in as they are in `hub-tests`: that crate has more dependencies than a fuzzer needs.

#[path = "../../src/fuzzing/mod.rs"]
pub mod fuzzing;
