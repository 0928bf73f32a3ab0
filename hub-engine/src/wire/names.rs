//! The names of exchanges, queues and routing keys, and the topology that each program needs.

use std::time::Duration;

use hub_core::id::SLOTS;
use hub_core::{JobId, TaskId};
use hub_transport::supervisor::Foundation;
use hub_transport::topology::{DeadLetter, ExchangeKind, Queue, QueueKind};
use hub_transport::{Message, Topology};

/// Number of redeliveries of a task after which the broker dead-letters it to `hub.dead`.
pub(crate) const TASK_DELIVERY_LIMIT: u32 = 20;

/// Time after which the queue of requests expires without a dispatcher.
const REQUESTS_EXPIRE: Duration = Duration::from_secs(60);

/// The names of one Hub's exchanges and queues. All begin with its prefix, so that several Hubs can share a virtual
/// host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    prefix: String,
}

impl Names {
    /// The names of the Hub with this prefix, normally `hub`.
    #[must_use]
    pub fn new(prefix: impl Into<String>) -> Self {
        Self { prefix: prefix.into() }
    }

    /// The topic exchange for jobs, results and requests.
    #[must_use]
    pub fn hub(&self) -> String {
        self.prefix.clone()
    }

    /// The direct exchange for tasks. The routing keys are pools.
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

    /// The queue of submissions, with one partition.
    #[must_use]
    pub fn jobs_queue(&self) -> String {
        self.named("jobs.0")
    }

    /// The queue of results and reports from workers and others.
    #[must_use]
    pub fn results_queue(&self) -> String {
        self.named("results.0")
    }

    /// The direct exchange of status and control requests. It has no alternate exchange, so that a request without a
    /// dispatcher is returned immediately instead of being queued as unrouted.
    #[must_use]
    pub fn requests(&self) -> String {
        self.named("requests")
    }

    /// The queue of status and control requests, with one partition.
    #[must_use]
    pub fn requests_queue(&self) -> String {
        self.named("requests.0")
    }

    /// The queue of a pool's tasks.
    #[must_use]
    pub fn pool_queue(&self, pool: &str) -> String {
        format!("{}.tasks.{pool}", self.prefix)
    }

    /// The exchange and the queue of unroutable messages.
    #[must_use]
    pub fn unrouted(&self) -> String {
        self.named("unrouted")
    }

    /// The exchange and the queue of dead letters.
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

    /// The exclusive queue of the dispatcher that serves this Hub, which prevents a second one.
    #[must_use]
    pub fn dispatcher_lock(&self) -> String {
        self.named("dispatcher")
    }

    /// The routing key of submissions independent of their slots. All keys lead to one queue.
    #[must_use]
    pub fn jobs_key(&self) -> &'static str {
        "jobs"
    }

    /// The routing key of a submission.
    #[must_use]
    pub fn job_key(&self, id: JobId) -> String {
        format!("jobs.{}", id.slot())
    }

    /// The routing key of a result. A report about several tasks uses the key of any of them, because all slots lead to
    /// one queue. (With several partitions, reports would have to be separated.)
    #[must_use]
    pub fn result_key(&self, id: TaskId) -> String {
        format!("results.{}", id.slot())
    }

    /// The routing key of requests.
    #[must_use]
    pub fn request_key(&self) -> &'static str {
        "requests"
    }

    /// The routing key of a worker's heartbeats.
    #[must_use]
    pub fn heartbeat_key(&self, worker: &str) -> String {
        format!("heartbeat.{worker}")
    }

    /// The routing key of a dispatcher's echoes, which take the same way as heartbeats.
    #[must_use]
    pub fn echo_key(&self, dispatcher: &str) -> String {
        format!("echo.{dispatcher}")
    }

    /// The routing key of a job's live events.
    #[must_use]
    pub fn event_key(&self, id: JobId) -> String {
        format!("job.{id}")
    }

    /// Whether a message was published as a submission.
    #[must_use]
    pub fn is_submission(&self, message: &Message) -> bool {
        self.came_by(message, self.jobs_key())
    }

    /// Whether a message was published as a result. Clients need no right to publish results.
    #[must_use]
    pub fn is_result(&self, message: &Message) -> bool {
        self.came_by(message, "results")
    }

    fn came_by(&self, message: &Message, key: &str) -> bool {
        let rest = message.routing_key.strip_prefix(key);
        message.exchange == self.prefix && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    }

    /// Whether a message was published as a heartbeat of this worker.
    #[must_use]
    pub fn is_heartbeat_of(&self, worker: &str, message: &Message) -> bool {
        message.exchange == self.events() && message.routing_key == self.heartbeat_key(worker)
    }

    /// The topology that all programs need: the exchanges and the durable queues.
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

    /// The shared topology for clients and workers, which may lack the right to declare it. They declare it only if no
    /// dispatcher has done so, so that jobs submitted before the first dispatcher are not lost.
    #[must_use]
    pub fn foundation(&self) -> Foundation {
        Foundation { queue: self.jobs_queue(), topology: self.shared_topology() }
    }

    /// The queue of a pool.
    #[must_use]
    pub fn pool_topology(&self, pool: &str) -> Topology {
        let queue = self.pool_queue(pool);
        Topology::default()
            .queue(Queue {
                dead_letter: Some(DeadLetter { exchange: self.dead(), routing_key: None }),
                delivery_limit: Some(TASK_DELIVERY_LIMIT),
                // Other kinds of workers declare the queue, too. Lost tasks are noticed and handed out again.
                adopt: true,
                ..Queue::new(&queue, QueueKind::Quorum)
            })
            .bind(&self.tasks(), &queue, pool)
    }

    /// The topology of a dispatcher.
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

    /// The topology of a worker, in addition to [`Names::foundation`].
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
