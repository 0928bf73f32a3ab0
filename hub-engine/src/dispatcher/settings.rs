//! Settings of a dispatcher.

use std::sync::Arc;
use std::time::Duration;

use hub_core::job::{InputCheck, Limits, NoSchemas};
use hub_core::machine::Settings;
use hub_transport::supervisor::{Backoff, Plan, Subscribe, SubscriptionId};
use hub_transport::{Capabilities, SubscribeOptions};
use uuid::Uuid;

use crate::wire::Names;

/// Submissions.
pub(super) const JOBS: SubscriptionId = SubscriptionId(0);
/// Results and reports of tasks, from workers and others.
pub(super) const RESULTS: SubscriptionId = SubscriptionId(1);
/// Status and control requests.
pub(super) const REQUESTS: SubscriptionId = SubscriptionId(2);
/// Heartbeats of workers.
pub(super) const HEARTBEATS: SubscriptionId = SubscriptionId(3);
/// Messages that could not be routed.
pub(super) const UNROUTED: SubscriptionId = SubscriptionId(4);
/// Dead letters.
pub(super) const DEAD: SubscriptionId = SubscriptionId(5);

/// Maximum number of open requests. Further ones wait in the broker.
pub(super) const OPEN_REQUESTS: u16 = 1024;
/// Number of bytes reserved in a message besides the arguments of its task.
const ENVELOPE_BYTES: usize = 64 * 1024;

/// Settings of a dispatcher.
#[derive(Clone, Debug)]
pub struct DispatcherSettings {
    /// The names of the Hub that it serves: see [`Names`].
    pub names: Names,
    /// Limits of jobs.
    pub limits: Limits,
    /// Duration of a worker's lease on its long tasks without a heartbeat.
    pub lease: Duration,
    /// Number of lost workers after which the task that they ran fails.
    pub crash_limit: u32,
    /// Maximum number of finished jobs in the store. The oldest ones are removed first.
    pub retain_jobs: u64,
    /// Number of tasks of unfinished jobs in memory beyond which submissions wait in the broker.
    pub live_tasks_high: u64,
    /// Approximate memory of unfinished jobs in bytes beyond which submissions wait in the broker, and submissions over
    /// HTTP are refused.
    pub max_live_bytes: u64,
    /// Maximum number of results that are kept for tasks with a cache. The oldest ones are removed first.
    pub max_kept_results: u32,
    /// Approximate maximum memory of these results in bytes. One result may take a sixty-fourth of it.
    pub max_kept_bytes: u64,
    /// Maximum memory of all open answers in bytes, which contain the jobs whose records are being read. Beyond it,
    /// clients are asked to try again. A single larger answer is sent alone.
    pub answer_bytes: usize,
    /// Whether the queues of the broker end with this process, as with the memory backend. If so, issues that are
    /// stored as confirmed are published again at the start.
    pub broker_forgets: bool,
    /// Whether the operator ensures that no second dispatcher serves this Hub. It has an effect only on a transport that cannot
    /// exclude a second one ([`Capabilities::exclusive`]).
    ///
    /// The programs have no key for it: every transport that they offer excludes a second dispatcher, so the key would have no
    /// effect, and look like a permission for two dispatchers.
    pub only_dispatcher: bool,
    /// Compares inputs with their schemas. By default, schemas are refused.
    pub inputs: Arc<dyn InputCheck>,
    /// The delays between attempts to connect to the broker.
    pub backoff: Backoff,
}

impl DispatcherSettings {
    /// Default settings for the dispatcher of the Hub named `prefix`.
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
            max_kept_results: 10_000,
            max_kept_bytes: 64 * 1024 * 1024,
            answer_bytes: 256 * 1024 * 1024,
            broker_forgets: false,
            only_dispatcher: false,
            inputs: Arc::new(NoSchemas("set `DispatcherSettings::inputs`")),
            backoff: Backoff::default(),
        }
    }

    /// Settings of the core. `max_message_bytes` is the maximum message size of the broker, if known.
    pub(super) fn machine(&self, incarnation: u64, max_message_bytes: Option<usize>) -> Settings {
        let carried = max_message_bytes.map_or(usize::MAX, |bytes| bytes - ENVELOPE_BYTES.min(bytes / 4));
        Settings {
            incarnation,
            lease: self.lease,
            crash_limit: self.crash_limit,
            inputs: Arc::clone(&self.inputs),
            max_kept_results: self.max_kept_results as usize,
            max_kept_bytes: usize::try_from(self.max_kept_bytes).unwrap_or(usize::MAX),
            max_value_bytes: self.limits.max_value_bytes.min(Limits::MAX_VALUE_BYTES).min(carried),
            ..Settings::default()
        }
    }

    /// Interval at which the dispatcher sends echoes. It is short enough to notice a broker that accepts no messages
    /// long before a lease expires.
    pub(super) fn echo_interval(&self) -> Duration {
        self.lease / 6
    }

    /// The plan of the supervisor for the dispatcher with this id.
    pub(super) fn plan(&self, unique: Uuid, capabilities: &Capabilities) -> Plan {
        let id = unique.simple().to_string();
        let names = &self.names;
        let mut topology = names.dispatcher_topology(&id);
        if !capabilities.exclusive {
            // Without exclusive queues, the lock has no effect.
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
