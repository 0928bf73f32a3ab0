//! What a link reports to its owner.

use std::sync::Arc;
use std::time::Duration;

use super::plan::SubscriptionId;
use crate::{Delivery, DeliveryTag, Error};

/// Names a delivery across sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DeliveryRef {
    /// Which start of the subscription it came by: a delivery of an earlier one is stale.
    pub epoch: u64,
    /// The subscription.
    pub subscription: SubscriptionId,
    /// The delivery.
    pub tag: DeliveryTag,
}

/// Something that happened on a link.
#[derive(Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "nearly all events are deliveries: boxing them would cost each an allocation"
)]
pub enum LinkEvent {
    /// Connected, declared and subscribed.
    Up {
        /// Counts the sessions of this link, from 1.
        session: u64,
        /// Where replies reach this session.
        inbox: Option<String>,
    },
    /// Not connected any more, or still not.
    Down {
        /// Why.
        cause: Arc<Error>,
        /// When the next try is made. Zero where another node is tried at once.
        retry_in: Duration,
        /// How many times all nodes were tried since the last success.
        attempt: u32,
    },
    /// The broker takes no messages at present; with its reason.
    Blocked(String),
    /// The broker takes messages again.
    Unblocked,
    /// A message.
    Delivery(SubscriptionId, DeliveryRef, Delivery),
}

/// How a link is.
#[derive(Clone, Debug)]
pub enum LinkHealth {
    /// Connected.
    Up,
    /// Connected, but the broker takes no messages.
    Blocked(String),
    /// Not connected; why, once that is known.
    Down(Option<Arc<Error>>),
    /// Closed by its owner.
    Closed,
}
