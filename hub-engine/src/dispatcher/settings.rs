//! What a dispatcher has to be told.

use std::time::Duration;

use hub_core::job::Limits;
use hub_core::machine::Settings;
use hub_transport::supervisor::{Backoff, Plan, Subscribe, SubscriptionId};
use hub_transport::{Capabilities, SubscribeOptions};
use uuid::Uuid;

use crate::wire::Names;

/// Submissions.
pub(super) const JOBS: SubscriptionId = SubscriptionId(0);
/// What workers and others report of tasks.
pub(super) const RESULTS: SubscriptionId = SubscriptionId(1);
/// Status and control requests.
pub(super) const REQUESTS: SubscriptionId = SubscriptionId(2);
/// Heartbeats of workers.
pub(super) const HEARTBEATS: SubscriptionId = SubscriptionId(3);
/// What found no queue.
pub(super) const UNROUTED: SubscriptionId = SubscriptionId(4);
/// What killed its workers, or is no task.
pub(super) const DEAD: SubscriptionId = SubscriptionId(5);

/// Maximum number of requests that are open at a time: further ones wait in the broker.
pub(super) const OPEN_REQUESTS: u16 = 1024;
/// Room that a message has beside the arguments of its task.
const ENVELOPE_BYTES: usize = 64 * 1024;

/// How a dispatcher serves.
#[derive(Clone, Debug)]
pub struct DispatcherSettings {
    /// The Hub that it is the dispatcher of: see [`Names`].
    pub names: Names,
    /// What a job may be at most.
    pub limits: Limits,
    /// How long a worker's lease on its long tasks lasts without a heartbeat.
    pub lease: Duration,
    /// A task that took so many workers down with it fails.
    pub crash_limit: u32,
    /// How many finished jobs are kept; the oldest go first.
    pub retain_jobs: u64,
    /// With so many tasks of unfinished jobs in memory, further submissions wait in the broker.
    pub live_tasks_high: u64,
    /// With so many bytes of unfinished jobs in memory, about, likewise; and submissions over HTTP are refused for the
    /// time being.
    pub max_live_bytes: u64,
    /// How many bytes all open answers may hold together: jobs whose records are being read. Beyond it, who asks is told to
    /// try again. One answer that is larger is given alone.
    pub answer_bytes: usize,
    /// Whether the broker's queues end with this process, as those in memory do: what the store has as confirmed is
    /// published again at the start.
    pub broker_forgets: bool,
    /// Whether the operator ensures that no second dispatcher serves this Hub. It has an effect only on a transport that cannot keep a
    /// second one out ([`Capabilities::exclusive`]).
    ///
    /// Hub's programs have no key for it: every transport that they offer keeps a second dispatcher out, so a key would have no
    /// effect, and look like a permission for two dispatchers.
    pub only_dispatcher: bool,
    /// How to wait between attempts to reach the broker.
    pub backoff: Backoff,
}

impl DispatcherSettings {
    /// The dispatcher of the Hub called `prefix`, with everything else as is good for most.
    #[must_use]
    pub fn new(prefix: &str) -> Self {
        Self {
            names: Names::new(prefix),
            limits: Limits::default(),
            lease: Duration::from_secs(30),
            crash_limit: 5,
            retain_jobs: 10_000,
            live_tasks_high: 2_000_000,
            max_live_bytes: 1024 * 1024 * 1024,
            answer_bytes: 256 * 1024 * 1024,
            broker_forgets: false,
            only_dispatcher: false,
            backoff: Backoff::default(),
        }
    }

    /// How the core decides. `max_message_bytes`: what the broker carries, if that is known.
    pub(super) fn machine(&self, incarnation: u64, max_message_bytes: Option<usize>) -> Settings {
        let carried = max_message_bytes.map_or(usize::MAX, |bytes| bytes - ENVELOPE_BYTES.min(bytes / 4));
        Settings {
            incarnation,
            lease: self.lease,
            crash_limit: self.crash_limit,
            max_value_bytes: self.limits.max_value_bytes.min(Limits::LARGEST_VALUE).min(carried),
            ..Settings::default()
        }
    }

    /// Interval at which the dispatcher sends echoes: short enough that a broker that takes nothing is noticed long
    /// before a lease runs out.
    pub(super) fn echo_interval(&self) -> Duration {
        self.lease / 6
    }

    /// What the supervisor keeps up for the dispatcher of this id.
    pub(super) fn plan(&self, unique: Uuid, capabilities: &Capabilities) -> Plan {
        let id = unique.simple().to_string();
        let names = &self.names;
        let mut topology = names.dispatcher_topology(&id);
        if !capabilities.exclusive {
            // It would lock nothing.
            topology.queues.retain(|queue| queue.name != names.dispatcher_lock());
        }
        let queues = [
            (names.jobs_queue(), 256),
            (names.results_queue(), 2048),
            (names.requests_queue(), OPEN_REQUESTS),
            (names.heartbeats_queue(&id), 256),
            (names.unrouted(), 256),
            (names.dead(), 256),
        ];
        Plan {
            foundation: None,
            topology,
            subscriptions: queues
                .into_iter()
                .map(|(queue, prefetch)| Subscribe::new(queue, SubscribeOptions { prefetch, exclusive: false }))
                .collect(),
            inbox: false,
            window: 1024,
            backoff: self.backoff.clone(),
            seed: unique.as_u64_pair().0,
        }
    }
}
