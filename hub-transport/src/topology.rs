//! Exchanges, queues and bindings, as Hub wants them. Each backend renders them for its broker.

use std::time::Duration;

/// Everything that a program needs to exist before it publishes or subscribes. Declaring it again
/// changes nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Topology {
    /// Exchanges, declared first.
    pub exchanges: Vec<Exchange>,
    /// Queues, declared second.
    pub queues: Vec<Queue>,
    /// Bindings, declared last.
    pub bindings: Vec<Binding>,
}

/// An exchange. Always durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// Its name.
    pub name: String,
    /// How it routes.
    pub kind: ExchangeKind,
    /// The exchange that takes what this one cannot route.
    pub alternate: Option<String>,
}

/// How an exchange routes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExchangeKind {
    /// To the queues bound with exactly the routing key.
    Direct,
    /// To the queues whose pattern matches: words between dots, `*` for one word, `#` for any number.
    Topic,
    /// To every queue bound.
    Fanout,
}

/// A queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queue {
    /// Its name.
    pub name: String,
    /// What it promises.
    pub kind: QueueKind,
    /// The exchange and key for what is dead-lettered.
    pub dead_letter: Option<DeadLetter>,
    /// After this many redeliveries a message is dead-lettered (quorum queues; dropped without a
    /// `dead_letter`). `None`: never.
    pub delivery_limit: Option<u32>,
    /// Messages vanish after this long in the queue.
    pub message_ttl: Option<Duration>,
    /// Of several consumers only one is served, the next takes over when it goes.
    pub single_active_consumer: bool,
    /// Where a queue of this name exists with other properties, it is used as it is: see
    /// [`crate::supervisor::declare`].
    pub adopt: bool,
}

/// What a queue promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueueKind {
    /// Replicated where the broker is a cluster, on disk, counts deliveries. For what must not be lost.
    Quorum,
    /// Replicated as a quorum queue, gone after this long without a consumer. For requests. (A durable queue that is not
    /// replicated cannot be used or declared again while the node that it is on is away.)
    Expiring(Duration),
    /// Belongs to the session that declares it and goes with it. For what only a live program can use. Others are kept out of
    /// it where the backend can do that ([`crate::Capabilities::exclusive`]).
    Exclusive,
}

/// Where dead-lettered messages go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// The exchange.
    pub exchange: String,
    /// The routing key; the message's own where `None`.
    pub routing_key: Option<String>,
}

/// A binding of a queue to an exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// The exchange.
    pub exchange: String,
    /// The queue.
    pub queue: String,
    /// The key, or the pattern for a topic exchange. Ignored by a fanout exchange.
    pub routing_key: String,
}

impl Queue {
    /// A queue of this kind with nothing else set.
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

    /// Whether a broker would hold the two for the same queue.
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

    /// The queues that go with the session that declares them, and their bindings.
    #[must_use]
    pub fn of_session(&self) -> Self {
        let is_own = |queue: &&Queue| queue.kind == QueueKind::Exclusive;
        let queues: Vec<Queue> = self.queues.iter().filter(is_own).cloned().collect();
        let is_bound = |binding: &&Binding| queues.iter().any(|queue| queue.name == binding.queue);
        let bindings = self.bindings.iter().filter(is_bound).cloned().collect();
        Self { exchanges: Vec::new(), queues, bindings }
    }

    /// What stays when a session ends: everything but [`Topology::of_session`].
    #[must_use]
    pub fn lasting(mut self) -> Self {
        let own = self.of_session();
        self.queues.retain(|queue| queue.kind != QueueKind::Exclusive);
        self.bindings.retain(|binding| !own.bindings.contains(binding));
        self
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.exchanges.is_empty() && self.queues.is_empty() && self.bindings.is_empty()
    }

    /// Adds everything of `other`.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.exchanges.extend(other.exchanges);
        self.queues.extend(other.queues);
        self.bindings.extend(other.bindings);
        self
    }
}
