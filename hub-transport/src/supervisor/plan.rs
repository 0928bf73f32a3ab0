//! What a link keeps up, as its owner plans it.

use super::backoff::Backoff;
use crate::{SubscribeOptions, Topology};

/// What a link keeps up.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Declared before `topology` where it does not exist yet.
    pub foundation: Option<Foundation>,
    /// Declared on every new session, and whenever a subscription has ended.
    pub topology: Topology,
    /// Started on every new session; the position is the [`SubscriptionId`].
    pub subscriptions: Vec<Subscribe>,
    /// Whether there shall be a place for replies.
    pub inbox: bool,
    /// How many publishes may be without an outcome.
    pub window: usize,
    /// How to wait between tries.
    pub backoff: Backoff,
    /// Decides the chance in the waits.
    pub seed: u64,
}

/// What several programs share, and not each of them may declare.
#[derive(Clone, Debug)]
pub struct Foundation {
    /// Where this queue exists, nothing is declared. To look for it needs no rights. Where it cannot be looked for, nothing is declared
    /// either.
    pub queue: String,
    /// What is declared where it is missing.
    pub topology: Topology,
}

/// A queue to be consumed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscribe {
    /// The queue.
    pub queue: String,
    /// How.
    pub options: SubscribeOptions,
    /// It does not flow before [`super::Link::resume`].
    pub paused: bool,
}

impl Subscribe {
    /// Consumes this queue from the start.
    #[must_use]
    pub fn new(queue: impl Into<String>, options: SubscribeOptions) -> Self {
        Self { queue: queue.into(), options, paused: false }
    }

    /// The same, but only once it is resumed.
    #[must_use]
    pub fn paused(self) -> Self {
        Self { paused: true, ..self }
    }
}

/// A subscription of a plan, by its position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SubscriptionId(pub usize);

impl SubscriptionId {
    /// The place for replies.
    pub const INBOX: Self = Self(usize::MAX);
}
