//! Leads replies to those who wait for them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hub_transport::supervisor::{DeliveryRef, Link, LinkEvent, LinkEvents};
use hub_transport::{Bytes, Settlement, Text};
use tokio::sync::{oneshot, watch};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::wire::{self, ReplyFor};

/// So many replies are handed out before they are acknowledged, all with one word.
const TURN: usize = 64;

/// Who waits for which reply, by correlation id.
#[derive(Clone, Debug, Default)]
pub(super) struct Replies {
    waiting: Arc<Mutex<HashMap<Text, oneshot::Sender<Bytes>>>>,
}

/// A reply that is awaited, until this is dropped.
#[derive(Debug)]
pub(super) struct Awaited {
    replies: Replies,
    /// What the reply will carry.
    pub(super) correlation_id: Text,
    /// Its body.
    pub(super) body: oneshot::Receiver<Bytes>,
}

impl Replies {
    /// A new reply to wait for.
    pub(super) fn expect(&self) -> Awaited {
        let correlation_id = Text::from(Uuid::new_v4().to_string());
        let (sender, body) = oneshot::channel();
        self.waiting().insert(correlation_id.clone(), sender);
        Awaited { replies: self.clone(), correlation_id, body }
    }

    /// Hands out what arrives, and says where replies reach this client, until `stop`. The link is let go
    /// then: it ends with its last handle.
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
            for _ in 1..TURN {
                let Some(event) = events.try_next() else { break };
                last = self.take(event, &address).or(last);
            }
            if let Some(last) = last {
                // The inbox goes with its session, settled or not.
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
            Err(error) => tracing::warn!(%error, "ignored a message that is no reply"),
        }
    }

    fn hand_out(&self, correlation_id: &str, body: Bytes) {
        match self.waiting().remove(correlation_id) {
            // Who has given up meanwhile misses nothing.
            Some(waiter) => drop(waiter.send(body)),
            None => tracing::debug!(correlation_id, "nobody waits for this reply any more"),
        }
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<Text, oneshot::Sender<Bytes>>> {
        // Nothing panics under this lock.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Awaited {
    fn drop(&mut self) {
        self.replies.waiting().remove(&self.correlation_id);
    }
}
