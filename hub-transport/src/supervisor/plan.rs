//! The settings of a link.

use super::backoff::Backoff;
use crate::{SubscribeOptions, Topology};

/// The settings of a link: what it declares and consumes.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Declared before `topology` if it does not exist.
    pub foundation: Option<Foundation>,
    /// Declared on every new session, and again when a subscription has ended.
    pub topology: Topology,
    /// Started on every new session. The index is the [`SubscriptionId`].
    pub subscriptions: Vec<Subscribe>,
    /// Whether to open a queue for replies.
    pub inbox: bool,
    /// Maximum number of publishes without an outcome.
    pub window: usize,
    /// Delays between connection attempts.
    pub backoff: Backoff,
    /// Seed of the jitter.
    pub seed: u64,
}

/// A topology that several programs share, although only some of them may have permission to declare it.
#[derive(Clone, Debug)]
pub struct Foundation {
    /// If this queue exists, nothing is declared. Checking for a queue needs no permissions. If queues cannot be checked, nothing is
    /// declared either.
    pub queue: String,
    /// The topology to declare if the queue is missing.
    pub topology: Topology,
}

/// A queue to consume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscribe {
    /// The queue.
    pub queue: String,
    /// The options.
    pub options: SubscribeOptions,
    /// The subscription starts only with [`super::Link::resume`].
    pub paused: bool,
}

impl Subscribe {
    /// Consumes this queue from the start.
    #[must_use]
    pub fn new(queue: impl Into<String>, options: SubscribeOptions) -> Self {
        Self { queue: queue.into(), options, paused: false }
    }

    /// Starts the subscription paused.
    #[must_use]
    pub fn paused(self) -> Self {
        Self { paused: true, ..self }
    }
}

/// A subscription of a plan, by its index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SubscriptionId(pub usize);

impl SubscriptionId {
    /// The queue for replies.
    pub const INBOX: Self = Self(usize::MAX);
}
