//! Publishes queued messages on the current session, and forwards their outcomes.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot, watch};

use super::shared::Shared;
use crate::{ErrorKind, Message, Outcome, Publisher, Receipt};

/// Queued messages, with the senders of their outcomes.
pub(super) enum Outgoing {
    One(Message, oneshot::Sender<Outcome>),
    Many(Vec<Message>, oneshot::Sender<Vec<Outcome>>),
}

/// Published messages.
enum Sent {
    One(Receipt, oneshot::Sender<Outcome>),
    Many(Vec<Receipt>, oneshot::Sender<Vec<Outcome>>),
}

/// The publisher of the current session, if there is one.
pub(super) type CurrentPublisher = Option<Arc<dyn Publisher>>;

/// The link is closed: there will be no further session.
struct Closed;

impl Outgoing {
    /// The number of messages.
    pub(super) const fn count(&self) -> usize {
        match self {
            Self::One(..) => 1,
            Self::Many(messages, _) => messages.len(),
        }
    }
}

/// Publishes until the link is closed.
pub(super) async fn run(
    mut outgoing: mpsc::UnboundedReceiver<Outgoing>,
    mut publisher: watch::Receiver<CurrentPublisher>,
    shared: Arc<Shared>,
) {
    let (sent, to_forward) = mpsc::unbounded_channel();
    tokio::spawn(forward(to_forward, Arc::clone(&shared)));
    while let Some(next) = outgoing.recv().await {
        let count = next.count();
        match hand_over(next, &mut publisher).await {
            Ok(handed) => drop(sent.send(handed)),
            Err(Closed) => {
                // The dropped senders resolve every receipt to `Unknown`.
                shared.sub_open(count);
                outgoing.close();
                while let Some(left) = outgoing.recv().await {
                    shared.sub_open(left.count());
                }
                return;
            }
        }
    }
}

async fn hand_over(outgoing: Outgoing, publisher: &mut watch::Receiver<CurrentPublisher>) -> Result<Sent, Closed> {
    match outgoing {
        Outgoing::One(message, outcome) => Ok(Sent::One(hand_over_one(&message, publisher).await?, outcome)),
        Outgoing::Many(messages, outcomes) => {
            let mut receipts = Vec::with_capacity(messages.len());
            for message in &messages {
                // If the link is closed in between, the messages published before still have their outcomes.
                let receipt = hand_over_one(message, publisher).await;
                receipts.push(receipt.unwrap_or_else(|Closed| Receipt::known(Outcome::lost())));
            }
            Ok(Sent::Many(receipts, outcomes))
        }
    }
}

/// Publishes one message on the current session, or on the next one if it has ended.
async fn hand_over_one(
    message: &Message,
    publisher: &mut watch::Receiver<CurrentPublisher>,
) -> Result<Receipt, Closed> {
    loop {
        let current = publisher.wait_for(Option::is_some).await.map_err(|_| Closed)?.clone();
        let Some(current) = current else { continue };
        match current.publish(message.clone()).await {
            Ok(receipt) => return Ok(receipt),
            Err(error) if error.kind() == ErrorKind::TooLarge => {
                return Ok(Receipt::known(Outcome::Rejected(error.to_string())));
            }
            Err(error) => {
                tracing::debug!(%error, "a message waits for the next session");
                // The session has ended, even if the supervisor has not replaced it yet: wait for the next one.
                let is_other = |next: &CurrentPublisher| next.as_ref().is_none_or(|next| !Arc::ptr_eq(next, &current));
                publisher.wait_for(is_other).await.map_err(|_| Closed)?;
            }
        }
    }
}

/// Forwards outcomes. They arrive nearly in the order of the publishes, so one task awaits them in that order.
async fn forward(mut sent: mpsc::UnboundedReceiver<Sent>, shared: Arc<Shared>) {
    while let Some(next) = sent.recv().await {
        match next {
            Sent::One(receipt, outcome) => {
                let _ = outcome.send(receipt.await);
                shared.sub_open(1);
            }
            Sent::Many(receipts, outcomes) => {
                let mut all = Vec::with_capacity(receipts.len());
                for receipt in receipts {
                    all.push(receipt.await);
                }
                let count = all.len();
                let _ = outcomes.send(all);
                shared.sub_open(count);
            }
        }
    }
}
