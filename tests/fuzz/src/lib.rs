//! The properties, and the evaluator that they compare with, taken in as they are in `hub-tests`: that crate has more dependencies than a
//! fuzzer needs.

#[path = "../../src/evaluator/mod.rs"]
pub mod evaluator;
#[path = "../../src/fuzzing/mod.rs"]
pub mod fuzzing;
