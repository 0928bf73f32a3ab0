//! The settings of a worker.

use std::sync::Arc;
use std::time::Duration;

use hub_transport::SubscribeOptions;
use hub_transport::supervisor::{Backoff, Plan, Subscribe, SubscriptionId};
use uuid::Uuid;

use crate::wire::Names;

/// Number of further deliveries of each pool that may be unsettled while tasks are short. It covers the tasks that run
/// during the round trip of a result to the broker.
const SHORT_TASK_PREFETCH: u16 = 256;

/// Settings of a worker.
#[derive(Clone, Debug)]
pub struct WorkerSettings {
    /// The id of the worker, unique in the Hub and new at every start.
    pub id: Arc<str>,
    /// The names of the Hub: see [`Names`].
    pub names: Names,
    /// The pools it serves.
    pub pools: Vec<String>,
    /// Maximum number of tasks that it runs at the same time.
    pub slots: u32,
    /// Interval of heartbeats. At most a third of the dispatcher's lease.
    pub heartbeat: Duration,
    /// Duration after which a task is long: it is held by a lease instead of its delivery.
    pub long_after: Duration,
    /// The delays between attempts to connect to the broker.
    pub backoff: Backoff,
}

impl WorkerSettings {
    /// Default settings for a worker of the Hub named `prefix`, with `slots` slots in the pool `default`. Its id
    /// contains the name of the machine and a part of a new UUID.
    #[must_use]
    pub fn new(prefix: &str, slots: u32) -> Self {
        let unique = Uuid::new_v4().simple().to_string();
        Self {
            id: format!("{}-{}", host_name(), &unique[..8]).into(),
            names: Names::new(prefix),
            pools: vec![hub_core::job::DEFAULT_POOL.to_owned()],
            slots,
            heartbeat: Duration::from_secs(5),
            long_after: Duration::from_secs(1),
            backoff: Backoff::default(),
        }
    }

    /// The subscriptions that are active as long as there are slots, one for each pool.
    pub(super) fn regular_subscriptions(&self) -> impl Iterator<Item = SubscriptionId> + use<> {
        (1..=self.pools.len()).map(SubscriptionId)
    }

    /// The subscriptions that are active while tasks are short, one for each pool.
    pub(super) fn short_task_subscriptions(&self) -> impl Iterator<Item = SubscriptionId> + use<> {
        let pools = self.pools.len();
        (pools + 1..=2 * pools).map(SubscriptionId)
    }

    /// The prefetch of each pool: the number of slots, and a reserve so that a slot does not wait for the broker
    /// between two tasks that are not very short.
    pub(super) fn prefetch(&self) -> u16 {
        let beside = self.slots.saturating_mul(4).clamp(16, 256);
        u16::try_from(self.slots.saturating_add(beside)).unwrap_or(u16::MAX)
    }

    /// The plan of the supervisor. Subscription 0 is control, followed by the pools in order for regular and again for
    /// short tasks.
    pub(super) fn plan(&self) -> Plan {
        let options = |prefetch| SubscribeOptions { prefetch, exclusive: false };
        let control =
            Subscribe::new(self.names.control_queue(&self.id), SubscribeOptions { prefetch: 64, exclusive: true });
        let queues = self.pools.iter().map(|pool| self.names.pool_queue(pool));
        let steady = queues.clone().map(|queue| Subscribe::new(queue, options(self.prefetch())));
        let short_tasks = queues.map(|queue| Subscribe::new(queue, options(SHORT_TASK_PREFETCH)).paused());
        Plan {
            foundation: Some(self.names.foundation()),
            topology: self.names.worker_topology(&self.id, &self.pools),
            subscriptions: std::iter::once(control).chain(steady).chain(short_tasks).collect(),
            inbox: false,
            window: 1024,
            backoff: self.backoff.clone(),
            seed: u64::from(std::process::id()) ^ Uuid::new_v4().as_u64_pair().0,
        }
    }
}

/// The name of this machine, or `localhost` if it has none.
pub(super) fn host_name() -> String {
    let name = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
    name.filter(|name| !name.is_empty()).unwrap_or_else(|| "localhost".to_owned())
}
