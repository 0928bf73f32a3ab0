//! Many clients in one process, since a thousand calls of `hub-client` would take too long.

use std::sync::Arc;

use hub_engine::client::AmqpHub;
use hub_engine::operations::{HealthReport, Hub, Submission};
use hub_transport::amqp::AmqpSettings;
use serde_json::Value;
use tokio::runtime::Runtime;

use crate::{Broker, DEADLINE};

/// One connection that is used by many requests at the same time.
pub struct ClientPool {
    runtime: Runtime,
    hub: Arc<AmqpHub>,
}

impl ClientPool {
    /// Connects to the Hub with this prefix.
    ///
    /// # Panics
    /// If it cannot be reached.
    #[must_use]
    pub fn connect(broker: &Broker, prefix: &str) -> Self {
        Self::connect_to(&broker.address(), prefix)
    }

    /// Connects to the broker at this address.
    ///
    /// # Panics
    /// If it cannot be reached.
    #[must_use]
    pub fn connect_to(address: &str, prefix: &str) -> Self {
        let runtime = Runtime::new().expect("a runtime starts");
        let address = address.parse().expect("the broker has an address");
        let transport = hub_lapin::transport(AmqpSettings::new(address)).expect("the address can be used");
        let hub = runtime.block_on(AmqpHub::connect(transport, prefix, DEADLINE)).expect("the broker answers");
        Self { runtime, hub: Arc::new(hub) }
    }

    /// Submits all jobs together, waits only for the broker's confirms, and returns the ids.
    ///
    /// # Panics
    /// If the broker does not confirm a submission.
    #[must_use]
    pub fn submit(&self, jobs: impl IntoIterator<Item = String>) -> Vec<String> {
        self.runtime.block_on(async {
            let submit = |text: String| {
                let hub = Arc::clone(&self.hub);
                tokio::spawn(async move { hub.submit_detached(Submission { text: text.into(), id: None }).await })
            };
            let submissions: Vec<_> = jobs.into_iter().map(submit).collect();
            let mut ids = Vec::with_capacity(submissions.len());
            for submission in submissions {
                let id = submission.await.expect("no task panics").expect("the broker takes the job");
                ids.push(id.to_string());
            }
            ids
        })
    }

    /// Waits for the end of a job and returns its record.
    ///
    /// # Panics
    /// If the job does not end, or does not exist.
    #[must_use]
    pub fn ended(&self, id: &str) -> Value {
        let id = id.parse().expect("an id");
        let record = self.runtime.block_on(self.hub.job(id, Some(DEADLINE))).expect("the job is known");
        let record: Value = serde_json::from_str(record.get()).expect("a record is JSON");
        assert!(record["ended_at"].is_string(), "it has not ended within {DEADLINE:?}: {record:#}");
        record
    }

    /// The health of the dispatcher.
    ///
    /// # Panics
    /// If there is no response.
    #[must_use]
    pub fn health(&self) -> HealthReport {
        self.runtime.block_on(self.hub.health()).expect("the dispatcher answers")
    }
}

impl Drop for ClientPool {
    fn drop(&mut self) {
        self.runtime.block_on(self.hub.close());
    }
}
