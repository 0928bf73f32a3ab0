//! Passes replies to the waiting requests.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hub_transport::supervisor::{DeliveryRef, Link, LinkEvent, LinkEvents};
use hub_transport::{Bytes, Settlement, Text};
use tokio::sync::{oneshot, watch};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::wire::{self, ReplyFor};

/// Maximum number of replies that are acknowledged together.
const MAXIMUM_REPLIES: usize = 64;

/// The waiting requests by correlation id.
#[derive(Clone, Debug, Default)]
pub(super) struct Replies {
    waiting: Arc<Mutex<HashMap<Text, oneshot::Sender<Bytes>>>>,
}

/// An awaited reply, until this is dropped.
#[derive(Debug)]
pub(super) struct Awaited {
    replies: Replies,
    /// The correlation id of the reply.
    pub(super) correlation_id: Text,
    /// The body of the reply.
    pub(super) body: oneshot::Receiver<Bytes>,
}

impl Replies {
    /// Registers a new awaited reply.
    pub(super) fn expect(&self) -> Awaited {
        let correlation_id = Text::from(Uuid::new_v4().to_string());
        let (sender, body) = oneshot::channel();
        self.waiting().insert(correlation_id.clone(), sender);
        Awaited { replies: self.clone(), correlation_id, body }
    }

    /// Passes replies on and announces the current address for replies, until `stop`. Then the link is dropped, and it
    /// ends with its last handle.
    pub(super) async fn serve(
        self,
        mut events: LinkEvents,
        address: watch::Sender<Option<Text>>,
        link: Link,
        stop: CancellationToken,
    ) {
        loop {
            let first = tokio::select! {
                event = events.next() => event,
                () = stop.cancelled() => return,
            };
            let Some(first) = first else { return };
            let mut last = self.take(first, &address);
            for _ in 1..MAXIMUM_REPLIES {
                let Some(event) = events.try_next() else { break };
                last = self.take(event, &address).or(last);
            }
            if let Some(last) = last {
                // An error is ignored, because the inbox is removed with its session.
                let _ = link.settle(last, Settlement::Ack, true).await;
            }
        }
    }

    /// Handles an event. Returns the delivery, if it was one.
    fn take(&self, event: LinkEvent, address: &watch::Sender<Option<Text>>) -> Option<DeliveryRef> {
        match event {
            LinkEvent::Up { inbox, .. } => drop(address.send_replace(inbox.map(Text::from))),
            LinkEvent::Down { .. } => drop(address.send_replace(None)),
            LinkEvent::Blocked(_) | LinkEvent::Unblocked => {}
            LinkEvent::Delivery(_, at, delivery) => {
                let body = delivery.message.body;
                match delivery.message.correlation_id {
                    Some(correlation_id) => self.hand_out(&correlation_id, body),
                    None => self.hand_out_all(&body),
                }
                return Some(at);
            }
        }
        None
    }

    fn hand_out_all(&self, body: &Bytes) {
        match wire::Replies::decode(body) {
            Ok(replies) => {
                for ReplyFor { to, reply } in replies.replies {
                    self.hand_out(&to, body.slice_ref(reply.get().as_bytes()));
                }
            }
            Err(error) => tracing::warn!(%error, "ignored a message that is not a reply"),
        }
    }

    fn hand_out(&self, correlation_id: &str, body: Bytes) {
        match self.waiting().remove(correlation_id) {
            // An error means that the waiter was dropped.
            Some(waiter) => drop(waiter.send(body)),
            None => tracing::debug!(correlation_id, "ignored a reply without a waiting request"),
        }
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<Text, oneshot::Sender<Bytes>>> {
        // No code panics while holding this lock.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Awaited {
    fn drop(&mut self) {
        self.replies.waiting().remove(&self.correlation_id);
    }
}
