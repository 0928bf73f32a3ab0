//! What every [`Store`](crate::store::Store) promises, as cases that the author of a store runs on it.
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
//! A store in a file has a fixture with a temporary directory, as in `hub-engine/sqlite/tests/store_conformance.rs`. What only
//! one store promises (its files, its locks, what happens when its medium fails) is tested beside that store; [`rows`] has jobs
//! and states for these tests.

mod changes;
mod listing;
mod random;
mod reading;
mod removal;
mod reopening;
pub mod rows;
mod steps;
mod suite;

pub use suite::{Case, Fixture, cases, test_all};
