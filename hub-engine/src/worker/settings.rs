//! What a worker has to be told.

use std::sync::Arc;
use std::time::Duration;

use hub_transport::SubscribeOptions;
use hub_transport::supervisor::{Backoff, Plan, Subscribe};
use uuid::Uuid;

use crate::wire::Names;

/// How a worker serves.
#[derive(Clone, Debug)]
pub struct WorkerSettings {
    /// Its id, unique among all workers of the Hub; new at every start.
    pub id: Arc<str>,
    /// The Hub it belongs to: see [`Names`].
    pub names: Names,
    /// The pools it serves.
    pub pools: Vec<String>,
    /// How many tasks it runs at a time.
    pub slots: u32,
    /// How often it says that it lives. A third of the dispatcher's lease at most.
    pub heartbeat: Duration,
    /// A task that runs longer than this is held by a lease instead of its delivery.
    pub long_after: Duration,
    /// How to wait between attempts to reach the broker.
    pub backoff: Backoff,
}

impl WorkerSettings {
    /// A worker of the Hub called `prefix`, with `slots` slots in the pool `default`, called after its
    /// machine and a part of a new UUID.
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

    /// How many deliveries of each pool may be here unsettled: the slots, and enough beside them that a
    /// slot never waits for the broker between two short tasks.
    pub(super) fn prefetch(&self) -> u16 {
        let beside = (self.slots * 4).clamp(16, 256);
        u16::try_from(self.slots.saturating_add(beside)).unwrap_or(u16::MAX)
    }

    /// What the supervisor keeps up. Subscription 0 is control, the pools follow in order.
    pub(super) fn plan(&self) -> Plan {
        let control = Subscribe {
            queue: self.names.control_queue(&self.id),
            options: SubscribeOptions { prefetch: 64, exclusive: true },
        };
        let pools = self.pools.iter().map(|pool| Subscribe {
            queue: self.names.pool_queue(pool),
            options: SubscribeOptions { prefetch: self.prefetch(), exclusive: false },
        });
        Plan {
            topology: self.names.worker_topology(&self.id, &self.pools),
            subscriptions: std::iter::once(control).chain(pools).collect(),
            inbox: false,
            window: 1024,
            backoff: self.backoff.clone(),
            seed: u64::from(std::process::id()) ^ Uuid::new_v4().as_u64_pair().0,
        }
    }
}

/// The name of this machine, or `localhost` where it has none.
pub(super) fn host_name() -> String {
    let name = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
    name.filter(|name| !name.is_empty()).unwrap_or_else(|| "localhost".to_owned())
}
