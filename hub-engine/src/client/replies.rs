//! Leads replies to those who wait for them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hub_transport::supervisor::{Link, LinkEvent, LinkEvents};
use hub_transport::{Bytes, Settlement};
use tokio::sync::{oneshot, watch};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Who waits for which reply, by correlation id.
#[derive(Clone, Debug, Default)]
pub(super) struct Replies {
    waiting: Arc<Mutex<HashMap<String, oneshot::Sender<Bytes>>>>,
}

/// A reply that is awaited, until this is dropped.
#[derive(Debug)]
pub(super) struct Awaited {
    replies: Replies,
    /// What the reply will carry.
    pub(super) correlation_id: String,
    /// Its body.
    pub(super) body: oneshot::Receiver<Bytes>,
}

impl Replies {
    /// A new reply to wait for.
    pub(super) fn expect(&self) -> Awaited {
        let correlation_id = Uuid::new_v4().to_string();
        let (sender, body) = oneshot::channel();
        self.waiting().insert(correlation_id.clone(), sender);
        Awaited { replies: self.clone(), correlation_id, body }
    }

    /// Hands out what arrives, and says where replies reach this client, until `stop`. The link is let go
    /// then: it ends with its last handle.
    pub(super) async fn serve(
        self,
        mut events: LinkEvents,
        address: watch::Sender<Option<String>>,
        link: Link,
        stop: CancellationToken,
    ) {
        loop {
            let event = tokio::select! {
                event = events.next() => event,
                () = stop.cancelled() => return,
            };
            match event {
                None => return,
                Some(LinkEvent::Up { inbox, .. }) => drop(address.send_replace(inbox)),
                Some(LinkEvent::Down { .. }) => drop(address.send_replace(None)),
                Some(LinkEvent::Blocked(_) | LinkEvent::Unblocked) => {}
                Some(LinkEvent::Delivery(_, at, delivery)) => {
                    let correlation_id = delivery.message.correlation_id.unwrap_or_default();
                    match self.waiting().remove(&correlation_id) {
                        // Who has given up meanwhile misses nothing.
                        Some(waiter) => drop(waiter.send(delivery.message.body)),
                        None => tracing::debug!(correlation_id, "nobody waits for this reply any more"),
                    }
                    // The inbox goes with its session, settled or not.
                    let _ = link.settle(at, Settlement::Ack, false).await;
                }
            }
        }
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<String, oneshot::Sender<Bytes>>> {
        // Nothing panics under this lock.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Awaited {
    fn drop(&mut self) {
        self.replies.waiting().remove(&self.correlation_id);
    }
}
