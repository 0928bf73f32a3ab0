//! The events of a link.

use std::sync::Arc;
use std::time::Duration;

use super::plan::SubscriptionId;
use crate::{Delivery, DeliveryTag, Error};

/// Identifies a delivery across sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DeliveryRef {
    /// The number of the subscription's start. Deliveries of earlier starts are stale.
    pub epoch: u64,
    /// The subscription.
    pub subscription: SubscriptionId,
    /// The delivery.
    pub tag: DeliveryTag,
}

/// An event of a link.
#[derive(Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "most events are deliveries, and boxing them would need an allocation for each"
)]
pub enum LinkEvent {
    /// Connected, declared and subscribed.
    Up {
        /// The number of the session, from 1.
        session: u64,
        /// The address of the queue for replies to this session.
        inbox: Option<String>,
    },
    /// The session ended, or an attempt to connect failed.
    Down {
        /// The cause.
        cause: Arc<Error>,
        /// Delay of the next attempt. Zero if another node is tried at once.
        retry_in: Duration,
        /// Number of attempts with all nodes since the last success.
        attempt: u32,
    },
    /// The broker blocks publishing, with its reason.
    Blocked(String),
    /// The broker accepts messages again.
    Unblocked,
    /// A message.
    Delivery(SubscriptionId, DeliveryRef, Delivery),
}

/// The health of a link.
#[derive(Clone, Debug)]
pub enum LinkHealth {
    /// Connected.
    Up,
    /// Connected, but the broker blocks publishing.
    Blocked(String),
    /// Not connected. The cause is `None` until the first attempt has failed.
    Down(Option<Arc<Error>>),
    /// Closed by its owner.
    Closed,
}
