//! The conformance suite for stores, with the feature `testing`.

pub mod store;
