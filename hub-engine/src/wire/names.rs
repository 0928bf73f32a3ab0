//! Names on the broker, and which program needs which of them.

use std::time::Duration;

use hub_core::id::SLOTS;
use hub_core::{JobId, TaskId};
use hub_transport::supervisor::Foundation;
use hub_transport::topology::{DeadLetter, ExchangeKind, Queue, QueueKind};
use hub_transport::{Message, Topology};

/// After so many redeliveries of one task the broker gives it up to `hub.dead`.
pub(crate) const TASK_DELIVERY_LIMIT: u32 = 20;

/// How long the request queue outlives its last dispatcher.
const REQUESTS_EXPIRE: Duration = Duration::from_secs(60);

/// The names of one Hub's exchanges and queues. All start with its prefix, so that several Hubs can share
/// a virtual host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    prefix: String,
}

impl Names {
    /// The names of the Hub called `prefix`, normally `hub`.
    #[must_use]
    pub fn new(prefix: impl Into<String>) -> Self {
        Self { prefix: prefix.into() }
    }

    /// The topic exchange for jobs, results and requests.
    #[must_use]
    pub fn hub(&self) -> String {
        self.prefix.clone()
    }

    /// The direct exchange for tasks; keys are pools.
    #[must_use]
    pub fn tasks(&self) -> String {
        self.named("tasks")
    }

    /// The fanout exchange that reaches every worker.
    #[must_use]
    pub fn control(&self) -> String {
        self.named("control")
    }

    /// The topic exchange for heartbeats and live events.
    #[must_use]
    pub fn events(&self) -> String {
        self.named("events")
    }

    /// The queue of submissions. One partition holds them all.
    #[must_use]
    pub fn jobs_queue(&self) -> String {
        self.named("jobs.0")
    }

    /// The queue of what workers and others report of tasks.
    #[must_use]
    pub fn results_queue(&self) -> String {
        self.named("results.0")
    }

    /// The direct exchange of status and control requests. It has no alternate: a request that finds no dispatcher's queue
    /// comes back at once, instead of lying among the unrouted.
    #[must_use]
    pub fn requests(&self) -> String {
        self.named("requests")
    }

    /// The queue of status and control requests. One partition holds them all.
    #[must_use]
    pub fn requests_queue(&self) -> String {
        self.named("requests.0")
    }

    /// The queue of a pool's tasks.
    #[must_use]
    pub fn pool_queue(&self, pool: &str) -> String {
        format!("{}.tasks.{pool}", self.prefix)
    }

    /// The exchange and queue of what found no other queue.
    #[must_use]
    pub fn unrouted(&self) -> String {
        self.named("unrouted")
    }

    /// The exchange and queue of what workers could not survive.
    #[must_use]
    pub fn dead(&self) -> String {
        self.named("dead")
    }

    /// A worker's own queue for control messages.
    #[must_use]
    pub fn control_queue(&self, worker: &str) -> String {
        format!("{}.control.{worker}", self.prefix)
    }

    /// A dispatcher's own queue for heartbeats.
    #[must_use]
    pub fn heartbeats_queue(&self, dispatcher: &str) -> String {
        format!("{}.heartbeats.{dispatcher}", self.prefix)
    }

    /// Held by the dispatcher that serves this Hub, and by nobody else as long as that one is connected.
    #[must_use]
    pub fn dispatcher_lock(&self) -> String {
        self.named("dispatcher")
    }

    /// The key of submissions of any slots: all lead to one queue.
    #[must_use]
    pub fn jobs_key(&self) -> &'static str {
        "jobs"
    }

    /// The key of a submission.
    #[must_use]
    pub fn job_key(&self, id: JobId) -> String {
        format!("jobs.{}", id.slot())
    }

    /// The key of a result, and of what is reported of several tasks under the key of any of them: all slots lead to one
    /// queue. (With more partitions than one, whoever reports will have to tell them apart.)
    #[must_use]
    pub fn result_key(&self, id: TaskId) -> String {
        format!("results.{}", id.slot())
    }

    /// The key of requests.
    #[must_use]
    pub fn request_key(&self) -> &'static str {
        "requests"
    }

    /// The key of a worker's heartbeats.
    #[must_use]
    pub fn heartbeat_key(&self, worker: &str) -> String {
        format!("heartbeat.{worker}")
    }

    /// The key of what a dispatcher says to itself, by the way that heartbeats take.
    #[must_use]
    pub fn echo_key(&self, dispatcher: &str) -> String {
        format!("echo.{dispatcher}")
    }

    /// The key of a job's live events.
    #[must_use]
    pub fn event_key(&self, id: JobId) -> String {
        format!("job.{id}")
    }

    /// Whether a message came by the way that submissions take.
    #[must_use]
    pub fn is_submission(&self, message: &Message) -> bool {
        self.came_by(message, self.jobs_key())
    }

    /// Whether a message came by the way that results take. Clients need no right to write there.
    #[must_use]
    pub fn is_result(&self, message: &Message) -> bool {
        self.came_by(message, "results")
    }

    fn came_by(&self, message: &Message, key: &str) -> bool {
        let rest = message.routing_key.strip_prefix(key);
        message.exchange == self.prefix && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    }

    /// Whether a message came by the way that this worker's heartbeats take.
    #[must_use]
    pub fn is_heartbeat_of(&self, worker: &str, message: &Message) -> bool {
        message.exchange == self.events() && message.routing_key == self.heartbeat_key(worker)
    }

    /// What everyone who talks to this Hub needs: the exchanges, and the queues that must not miss anything.
    #[must_use]
    pub fn shared_topology(&self) -> Topology {
        let hub = self.hub();
        let mut topology = Topology::default()
            .exchange(&self.unrouted(), ExchangeKind::Fanout, None)
            .exchange(&self.dead(), ExchangeKind::Fanout, None)
            .exchange(&hub, ExchangeKind::Topic, Some(&self.unrouted()))
            .exchange(&self.tasks(), ExchangeKind::Direct, Some(&self.unrouted()))
            .exchange(&self.control(), ExchangeKind::Fanout, None)
            .exchange(&self.events(), ExchangeKind::Topic, None)
            .exchange(&self.requests(), ExchangeKind::Direct, None)
            .queue(Queue::new(self.unrouted(), QueueKind::Quorum))
            .queue(Queue::new(self.dead(), QueueKind::Quorum))
            .queue(Queue::new(self.jobs_queue(), QueueKind::Quorum))
            .queue(Queue::new(self.results_queue(), QueueKind::Quorum))
            .bind(&self.unrouted(), &self.unrouted(), "")
            .bind(&self.dead(), &self.dead(), "")
            .bind(&hub, &self.jobs_queue(), self.jobs_key())
            .bind(&hub, &self.results_queue(), "results");
        for slot in 0..SLOTS {
            topology = topology.bind(&hub, &self.jobs_queue(), &format!("jobs.{slot}")).bind(
                &hub,
                &self.results_queue(),
                &format!("results.{slot}"),
            );
        }
        topology
    }

    /// The same for clients and workers, which may lack the right to declare it: they do so only where no dispatcher has, so
    /// that a job that is submitted before the first dispatcher came is kept.
    #[must_use]
    pub fn foundation(&self) -> Foundation {
        Foundation { queue: self.jobs_queue(), topology: self.shared_topology() }
    }

    /// A pool's queue.
    #[must_use]
    pub fn pool_topology(&self, pool: &str) -> Topology {
        let queue = self.pool_queue(pool);
        Topology::default()
            .queue(Queue {
                dead_letter: Some(DeadLetter { exchange: self.dead(), routing_key: None }),
                delivery_limit: Some(TASK_DELIVERY_LIMIT),
                // Workers of other origins declare it too. What it loses is noticed and handed out again.
                adopt: true,
                ..Queue::new(&queue, QueueKind::Quorum)
            })
            .bind(&self.tasks(), &queue, pool)
    }

    /// What only a dispatcher needs.
    #[must_use]
    pub fn dispatcher_topology(&self, dispatcher: &str) -> Topology {
        let heartbeats = self.heartbeats_queue(dispatcher);
        self.shared_topology()
            .and(self.pool_topology(hub_core::job::DEFAULT_POOL))
            .queue(Queue::new(self.requests_queue(), QueueKind::Expiring(REQUESTS_EXPIRE)))
            .queue(Queue::new(&heartbeats, QueueKind::Exclusive))
            .queue(Queue::new(self.dispatcher_lock(), QueueKind::Exclusive))
            .bind(&self.hub(), &self.requests_queue(), self.request_key())
            .bind(&self.requests(), &self.requests_queue(), self.request_key())
            .bind(&self.events(), &heartbeats, "heartbeat.*")
            .bind(&self.events(), &heartbeats, &self.echo_key(dispatcher))
    }

    /// What only a worker needs, beside [`Names::foundation`].
    #[must_use]
    pub fn worker_topology(&self, worker: &str, pools: &[String]) -> Topology {
        let control = self.control_queue(worker);
        let topology =
            Topology::default().queue(Queue::new(&control, QueueKind::Exclusive)).bind(&self.control(), &control, "");
        pools.iter().fold(topology, |topology, pool| topology.and(self.pool_topology(pool)))
    }

    fn named(&self, what: &str) -> String {
        format!("{}.{what}", self.prefix)
    }
}
