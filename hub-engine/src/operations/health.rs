//! How the dispatcher and its workers are.

use hub_core::Timestamp;
use hub_transport::supervisor::LinkHealth;
use serde::{Deserialize, Serialize};

/// A live worker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerInfo {
    /// Its id.
    pub id: String,
    /// The machine it runs on.
    pub host: String,
    /// Its process id there.
    pub pid: u32,
    /// The pools it serves.
    pub pools: Vec<String>,
    /// How many tasks it runs at a time.
    pub slots: u32,
    /// How many it runs now, as far as it has reported.
    pub running: u32,
    /// The task modules it has.
    pub tasks: Vec<String>,
    /// The task modules it could not load, with the reason.
    pub broken: std::collections::BTreeMap<String, String>,
    /// What its machine is short of, so that it takes no tasks for now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shortage: Option<String>,
    /// When it was last heard of.
    #[serde(with = "hub_core::time::rfc3339")]
    pub last_seen: Timestamp,
}

/// How the dispatcher is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthReport {
    /// The connection to the broker.
    pub broker: BrokerHealth,
    /// Whether the store takes changes.
    pub store: StoreHealth,
    /// Hub's version.
    pub version: String,
    /// Which start of the dispatcher this is, counted in its store.
    pub incarnation: u64,
    /// Jobs that have not ended.
    pub live_jobs: u64,
    /// The memory that they take, about, in bytes.
    #[serde(default)]
    pub live_bytes: u64,
    /// Live workers.
    pub workers: u64,
    /// Tasks handed to the broker or running.
    pub tasks_in_flight: u64,
    /// Tasks that could run and wait for room or a worker.
    pub tasks_ready: u64,
}

/// How the dispatcher's connection to the broker is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BrokerHealth {
    /// There is a connection, and the broker takes messages.
    Up,
    /// There is a connection, and the broker takes no messages.
    Blocked,
    /// There is no connection.
    Down,
}

/// How the dispatcher's store is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StoreHealth {
    /// It took the last changes.
    Up,
    /// It did not take the last changes, and they are tried again.
    Failing,
}

impl HealthReport {
    /// Whether work would be done: there is a broker that takes messages, and a store that takes changes.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.broker == BrokerHealth::Up && self.store == StoreHealth::Up
    }
}

impl From<&LinkHealth> for BrokerHealth {
    fn from(link: &LinkHealth) -> Self {
        match link {
            LinkHealth::Up => Self::Up,
            LinkHealth::Blocked(_) => Self::Blocked,
            LinkHealth::Down(_) | LinkHealth::Closed => Self::Down,
        }
    }
}
