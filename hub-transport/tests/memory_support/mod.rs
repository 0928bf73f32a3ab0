//! The memory backend as a fixture of the conformance suite.

use std::sync::Arc;

use async_trait::async_trait;
use hub_transport::memory::MemoryBroker;
use hub_transport::testing::conformance::Fixture;
use hub_transport::{Topology, Transport};

pub(crate) struct Memory {
    pub(crate) broker: MemoryBroker,
    pub(crate) transport: Arc<dyn Transport>,
}

#[async_trait]
impl Fixture for Memory {
    fn transport(&self) -> Arc<dyn Transport> {
        Arc::clone(&self.transport)
    }

    async fn restart(&self) {
        self.broker.restart();
    }

    async fn drop_connections(&self) {
        self.broker.drop_sessions();
    }

    async fn block(&self) {
        self.broker.block("low on memory");
    }

    async fn unblock(&self) {
        self.broker.unblock();
    }

    async fn delete_queue(&self, name: &str) {
        self.broker.delete_queue(name);
    }

    async fn provide(&self, topology: &Topology) {
        self.broker.provide(topology).expect("operators can make it");
    }
}
