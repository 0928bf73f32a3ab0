//! The suite on the memory backend, and the supervisor under faults.

use std::sync::Arc;

use async_trait::async_trait;
use hub_transport::Transport;
use hub_transport::memory::MemoryBroker;
use hub_transport::testing::chaos::{ChaosTransport, FaultRates};
use hub_transport::testing::conformance::{Fixture, cases};

struct Memory {
    broker: MemoryBroker,
    transport: Arc<dyn Transport>,
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
}

#[tokio::test]
async fn the_memory_backend_conforms() {
    for (name, case) in cases() {
        eprintln!("{name}");
        let broker = MemoryBroker::new().with_max_message_bytes(1_000_000);
        let transport = broker.transport();
        case(&Memory { broker, transport }).await;
    }
}

/// Under a clock that jumps whenever nothing is to be done, so that no wait takes any time.
#[tokio::test(start_paused = true)]
async fn the_supervisor_gets_everything_through_all_faults() {
    let supervised: Vec<_> = cases().into_iter().filter(|(name, _)| name.starts_with("the_supervisor")).collect();
    assert_eq!(supervised.len(), 2);
    for seed in 0..20 {
        for (name, case) in &supervised {
            eprintln!("{name} with seed {seed}");
            let broker = MemoryBroker::new();
            let transport = ChaosTransport::new(broker.transport(), seed, FaultRates::default());
            case(&Memory { broker, transport }).await;
        }
    }
}
