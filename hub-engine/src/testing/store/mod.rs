//! A conformance suite for implementations of [`Store`](crate::store::Store).
//!
//! Depend on `hub-engine` with the feature `testing` (among `[dev-dependencies]`), implement [`Fixture`], and call [`test_all`]
//! in a test:
//!
//! ```
//! use std::sync::Arc;
//!
//! use hub_engine::store::{MemoryStore, Store};
//! use hub_engine::testing::store::{Fixture, test_all};
//!
//! struct Memory;
//!
//! #[async_trait::async_trait]
//! impl Fixture for Memory {
//!     async fn open(&self) -> Arc<dyn Store> {
//!         Arc::new(MemoryStore::new())
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! test_all(async || Memory).await;
//! # }
//! ```
//!
//! The fixture of a store in a file has a temporary directory, as in `hub-engine/sqlite/tests/store_conformance.rs`.
//! Properties of one store (its files, its locks, failures of its medium) are tested with that store; [`rows`] has jobs
//! and states for these tests.

mod changes;
mod definitions;
mod listing;
mod random;
mod reading;
mod removal;
mod reopening;
pub mod rows;
mod schedules;
mod steps;
mod suite;

pub use suite::{Case, Fixture, cases, test_all};
