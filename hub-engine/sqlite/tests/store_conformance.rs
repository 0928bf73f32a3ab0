//! The conformance suite for the store in a file.

mod support;

use std::sync::Arc;

use async_trait::async_trait;
use hub_engine::store::Store;
use hub_engine::testing::store::{Fixture, test_all};
use tempfile::TempDir;

struct InDirectory(TempDir);

#[async_trait]
impl Fixture for InDirectory {
    async fn open(&self) -> Arc<dyn Store> {
        Arc::new(support::open(self.0.path()))
    }
}

#[tokio::test]
async fn the_store_in_a_file_conforms() {
    test_all(async || InDirectory(tempfile::tempdir().unwrap())).await;
}
