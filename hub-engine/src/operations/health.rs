//! The health of the dispatcher and its workers.

use hub_core::{TaskKinds, Timestamp};
use hub_transport::supervisor::LinkHealth;
use serde::{Deserialize, Serialize};

use super::pause::PausedPool;

/// A live worker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerInfo {
    /// The id of the worker.
    pub id: String,
    /// The host name of its machine.
    pub host: String,
    /// Its process id.
    pub pid: u32,
    /// The pools it serves.
    pub pools: Vec<String>,
    /// Maximum number of tasks that it runs at the same time.
    pub slots: u32,
    /// Number of tasks that it runs, as last reported.
    pub running: u32,
    /// The task modules it has.
    pub tasks: Vec<String>,
    /// The task modules it could not load, with the reason.
    pub broken: std::collections::BTreeMap<String, String>,
    /// The kinds of tasks that it allows.
    #[serde(default)]
    pub allow: TaskKinds,
    /// The resource that its machine lacks. While it is set, the worker takes no tasks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shortage: Option<String>,
    /// When its last message arrived.
    #[serde(with = "hub_core::time::rfc3339")]
    pub last_seen: Timestamp,
}

/// The health of the dispatcher.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthReport {
    /// The connection to the broker.
    pub broker: BrokerHealth,
    /// Whether the store accepts changes.
    pub store: StoreHealth,
    /// Hub's version.
    pub version: String,
    /// The number of the dispatcher's start, counted in its store.
    pub incarnation: u64,
    /// Jobs that have not ended.
    pub live_jobs: u64,
    /// Their approximate memory in bytes.
    #[serde(default)]
    pub live_bytes: u64,
    /// Live workers.
    pub workers: u64,
    /// Tasks handed to the broker or running.
    pub tasks_in_flight: u64,
    /// Ready tasks that wait for a slot or a worker.
    pub tasks_ready: u64,
    /// The paused pools.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paused_pools: Vec<PausedPool>,
}

/// The state of the dispatcher's connection to the broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BrokerHealth {
    /// Connected, and the broker accepts messages.
    Up,
    /// Connected, but the broker blocks publishers.
    Blocked,
    /// Not connected.
    Down,
}

/// The state of the dispatcher's store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StoreHealth {
    /// The last commit succeeded.
    Up,
    /// The last commit failed and is repeated.
    Failing,
}

impl HealthReport {
    /// Whether the dispatcher can work: the broker accepts messages, and the store accepts changes.
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
