//! For tests: the suite that every store has to pass. Behind the feature `testing`.

pub mod store;
