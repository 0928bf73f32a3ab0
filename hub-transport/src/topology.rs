//! Exchanges, queues and bindings. Each backend converts them for its broker.

use std::time::Duration;

/// The exchanges, queues and bindings that a program needs before it publishes or subscribes. Declaring them is idempotent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Topology {
    /// Exchanges, declared first.
    pub exchanges: Vec<Exchange>,
    /// Queues, declared second.
    pub queues: Vec<Queue>,
    /// Bindings, declared last.
    pub bindings: Vec<Binding>,
}

/// A durable exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// The name.
    pub name: String,
    /// The kind of routing.
    pub kind: ExchangeKind,
    /// The exchange for messages that this one cannot route.
    pub alternate: Option<String>,
}

/// The kind of routing of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExchangeKind {
    /// To the queues that are bound with the routing key.
    Direct,
    /// To the queues whose pattern matches the routing key. A pattern consists of words separated by dots. `*` matches one word, `#` any
    /// number of words.
    Topic,
    /// To all bound queues.
    Fanout,
}

/// A queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queue {
    /// The name.
    pub name: String,
    /// The kind of queue.
    pub kind: QueueKind,
    /// The exchange and the routing key for dead letters.
    pub dead_letter: Option<DeadLetter>,
    /// Maximum number of redeliveries of a message in a quorum queue. After that, the message is dead-lettered, or dropped without
    /// `dead_letter`. `None` means no limit.
    pub delivery_limit: Option<u32>,
    /// Maximum time of a message in the queue.
    pub message_ttl: Option<Duration>,
    /// Only one of several consumers receives messages. The next one takes over when it ends.
    pub single_active_consumer: bool,
    /// If a queue with this name exists with other properties, it is used unchanged: see [`crate::supervisor::declare`].
    pub adopt: bool,
}

/// The kind of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueueKind {
    /// A durable queue that is replicated in a cluster and counts deliveries. For messages that must not be lost.
    Quorum,
    /// A quorum queue that is deleted after this time without a consumer. For requests. (A durable queue without replication could
    /// not be used or declared while its node is unavailable.)
    Expiring(Duration),
    /// A queue that belongs to the session that declares it and is deleted with it. For messages that only a running program needs.
    /// Other sessions cannot use it if the backend supports this ([`crate::Capabilities::exclusive`]).
    Exclusive,
}

/// The address for dead letters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// The exchange.
    pub exchange: String,
    /// The routing key. `None` keeps the routing key of the message.
    pub routing_key: Option<String>,
}

/// A binding of a queue to an exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// The exchange.
    pub exchange: String,
    /// The queue.
    pub queue: String,
    /// The routing key, or the pattern for a topic exchange. A fanout exchange ignores it.
    pub routing_key: String,
}

impl Queue {
    /// A queue of this kind without further properties.
    #[must_use]
    pub fn new(name: impl Into<String>, kind: QueueKind) -> Self {
        Self {
            name: name.into(),
            kind,
            dead_letter: None,
            delivery_limit: None,
            message_ttl: None,
            single_active_consumer: false,
            adopt: false,
        }
    }

    /// Whether both have the same properties on a broker.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        *self == Self { adopt: self.adopt, ..other.clone() }
    }
}

impl Topology {
    /// Adds an exchange.
    #[must_use]
    pub fn exchange(mut self, name: &str, kind: ExchangeKind, alternate: Option<&str>) -> Self {
        self.exchanges.push(Exchange { name: name.to_owned(), kind, alternate: alternate.map(str::to_owned) });
        self
    }

    /// Adds a queue.
    #[must_use]
    pub fn queue(mut self, queue: Queue) -> Self {
        self.queues.push(queue);
        self
    }

    /// Adds a binding.
    #[must_use]
    pub fn bind(mut self, exchange: &str, queue: &str, routing_key: &str) -> Self {
        self.bindings.push(Binding {
            exchange: exchange.to_owned(),
            queue: queue.to_owned(),
            routing_key: routing_key.to_owned(),
        });
        self
    }

    /// The queues that are deleted with their session, and their bindings.
    #[must_use]
    pub fn of_session(&self) -> Self {
        let is_own = |queue: &&Queue| queue.kind == QueueKind::Exclusive;
        let queues: Vec<Queue> = self.queues.iter().filter(is_own).cloned().collect();
        let is_bound = |binding: &&Binding| queues.iter().any(|queue| queue.name == binding.queue);
        let bindings = self.bindings.iter().filter(is_bound).cloned().collect();
        Self { exchanges: Vec::new(), queues, bindings }
    }

    /// The part that outlives a session: everything except [`Topology::of_session`].
    #[must_use]
    pub fn lasting(mut self) -> Self {
        let own = self.of_session();
        self.queues.retain(|queue| queue.kind != QueueKind::Exclusive);
        self.bindings.retain(|binding| !own.bindings.contains(binding));
        self
    }

    /// Whether it is empty.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.exchanges.is_empty() && self.queues.is_empty() && self.bindings.is_empty()
    }

    /// Adds the contents of `other`.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.exchanges.extend(other.exchanges);
        self.queues.extend(other.queues);
        self.bindings.extend(other.bindings);
        self
    }
}
