//! One queue: its messages and consumers.

use std::collections::VecDeque;

use tokio::time::Instant;

use crate::Message;
use crate::session::Death;
use crate::topology::{Queue, QueueKind};

/// A queue of the broker.
pub(super) struct QueueState {
    pub(super) spec: Queue,
    /// The session that an exclusive queue belongs to.
    pub(super) owner: Option<u64>,
    /// Messages in the order of arrival. A redelivered message keeps its position.
    pub(super) ready: VecDeque<Box<Stored>>,
    /// Consumers. The first one is served next.
    pub(super) consumers: VecDeque<u64>,
    /// The time of the last use.
    pub(super) unused_since: Instant,
}

/// A message in a queue or with a consumer. It is boxed, since it moves between them.
pub(super) struct Stored {
    pub(super) sequence: u64,
    pub(super) message: Message,
    pub(super) deliveries: u32,
    pub(super) redelivered: bool,
    pub(super) expires: Option<Instant>,
    pub(super) death: Option<Death>,
}

impl QueueState {
    pub(super) fn new(spec: Queue, owner: Option<u64>) -> Self {
        Self { spec, owner, ready: VecDeque::new(), consumers: VecDeque::new(), unused_since: Instant::now() }
    }

    /// Whether it has been unused for longer than its expiry time.
    pub(super) fn is_expired(&self, now: Instant) -> bool {
        match self.spec.kind {
            QueueKind::Expiring(after) => self.consumers.is_empty() && now.duration_since(self.unused_since) >= after,
            QueueKind::Quorum | QueueKind::Exclusive => false,
        }
    }

    /// Inserts a message in the order of arrival.
    pub(super) fn put(&mut self, stored: Box<Stored>) {
        if self.ready.back().is_none_or(|last| last.sequence < stored.sequence) {
            self.ready.push_back(stored);
        } else {
            let at = self.ready.partition_point(|other| other.sequence < stored.sequence);
            self.ready.insert(at, stored);
        }
    }

    /// Whether a message with this number of redeliveries exceeds the delivery limit.
    pub(super) fn exceeds_limit(&self, deliveries: u32) -> bool {
        self.spec.kind == QueueKind::Quorum && self.spec.delivery_limit.is_some_and(|limit| deliveries > limit)
    }
}
