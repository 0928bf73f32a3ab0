//! Brings queued messages to whichever session there is, and outcomes back to whoever waits for them.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot, watch};

use super::link::Shared;
use crate::{ErrorKind, Message, Outcome, Publisher, Receipt};

/// A queued message.
pub(super) struct Outgoing {
    pub(super) message: Message,
    pub(super) outcome: oneshot::Sender<Outcome>,
}

/// The publisher of the living session, if there is one.
pub(super) type Current = Option<Arc<dyn Publisher>>;

/// Publishes until the link is closed.
pub(super) async fn run(
    mut outgoing: mpsc::UnboundedReceiver<Outgoing>,
    mut publisher: watch::Receiver<Current>,
    shared: Arc<Shared>,
) {
    let (sent, to_forward) = mpsc::unbounded_channel();
    tokio::spawn(forward(to_forward, Arc::clone(&shared)));
    while let Some(Outgoing { message, outcome }) = outgoing.recv().await {
        match hand_over(&message, &mut publisher).await {
            Some(Ok(receipt)) => drop(sent.send((receipt, outcome))),
            Some(Err(reason)) => {
                let _ = outcome.send(Outcome::Rejected(reason));
                shared.count(-1);
            }
            None => {
                // Closed: the dropped senders resolve every receipt to `Unknown`.
                shared.count(-1);
                outgoing.close();
                while outgoing.recv().await.is_some() {
                    shared.count(-1);
                }
                return;
            }
        }
    }
}

/// Hands one message to a session, to the next one if need be. `None` when there will be none.
async fn hand_over(message: &Message, publisher: &mut watch::Receiver<Current>) -> Option<Result<Receipt, String>> {
    loop {
        let current = publisher.wait_for(Option::is_some).await.ok()?.clone();
        let Some(current) = current else { continue };
        match current.publish(message.clone()).await {
            Ok(receipt) => return Some(Ok(receipt)),
            Err(error) if error.kind() == ErrorKind::TooLarge => return Some(Err(error.to_string())),
            Err(error) => {
                tracing::debug!(%error, "a message waits for the next session");
                // This session is over, whether its keeper knows or not: wait for another one.
                let is_other = |next: &Current| next.as_ref().is_none_or(|next| !Arc::ptr_eq(next, &current));
                publisher.wait_for(is_other).await.ok()?;
            }
        }
    }
}

/// Outcomes come nearly in the order of the publishes, so they are awaited in that order: no task for each.
async fn forward(mut sent: mpsc::UnboundedReceiver<(Receipt, oneshot::Sender<Outcome>)>, shared: Arc<Shared>) {
    while let Some((receipt, outcome)) = sent.recv().await {
        let _ = outcome.send(receipt.await);
        shared.count(-1);
    }
}
