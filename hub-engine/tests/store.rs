//! The conformance suite: the store in memory passes it, and it detects a store that loses changes.

mod store_support;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::FutureExt;
use hub_core::action::Change;
use hub_engine::store::{MemoryStore, Store};
use hub_engine::testing::store::{Fixture, test_all};
use store_support::Hooked;

struct InMemory;

#[async_trait]
impl Fixture for InMemory {
    async fn open(&self) -> Arc<dyn Store> {
        Arc::new(MemoryStore::new())
    }
}

#[tokio::test]
async fn the_store_in_memory_conforms() {
    test_all(async || InMemory).await;
}

struct Losing(fn(&Change) -> bool);

#[async_trait]
impl Fixture for Losing {
    async fn open(&self) -> Arc<dyn Store> {
        Arc::new(Hooked::losing(self.0))
    }
}

#[tokio::test]
async fn a_store_that_loses_changes_does_not_conform() {
    test_all(async || Losing(|_| false)).await;
    let losses: [fn(&Change) -> bool; 6] = [
        |change| matches!(change, Change::JobAdded { .. }),
        |change| matches!(change, Change::TaskChanged { .. }),
        |change| matches!(change, Change::JobChanged { .. }),
        |change| matches!(change, Change::JobRemoved { .. }),
        |change| matches!(change, Change::PoolChanged { .. }),
        |change| matches!(change, Change::ResultKept { .. }),
    ];
    for (at, loses) in losses.into_iter().enumerate() {
        let outcome = AssertUnwindSafe(test_all(async || Losing(loses))).catch_unwind().await;
        assert!(outcome.is_err(), "the suite does not notice loss {at}");
    }
}
