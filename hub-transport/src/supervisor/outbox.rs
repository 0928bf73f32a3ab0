//! Brings queued messages to whichever session there is, and outcomes back to whoever waits for them.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot, watch};

use super::shared::Shared;
use crate::{ErrorKind, Message, Outcome, Publisher, Receipt};

/// What is queued, and who wants to know the outcome.
pub(super) enum Outgoing {
    One(Message, oneshot::Sender<Outcome>),
    Many(Vec<Message>, oneshot::Sender<Vec<Outcome>>),
}

/// What was handed over.
enum Sent {
    One(Receipt, oneshot::Sender<Outcome>),
    Many(Vec<Receipt>, oneshot::Sender<Vec<Outcome>>),
}

/// The publisher of the living session, if there is one.
pub(super) type Current = Option<Arc<dyn Publisher>>;

/// There will be no further session.
struct Closed;

impl Outgoing {
    /// How many messages it is.
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
    mut publisher: watch::Receiver<Current>,
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

async fn hand_over(outgoing: Outgoing, publisher: &mut watch::Receiver<Current>) -> Result<Sent, Closed> {
    match outgoing {
        Outgoing::One(message, outcome) => Ok(Sent::One(hand_over_one(&message, publisher).await?, outcome)),
        Outgoing::Many(messages, outcomes) => {
            let mut receipts = Vec::with_capacity(messages.len());
            for message in &messages {
                // Where the link is closed meanwhile, those that went out still have their outcome.
                let receipt = hand_over_one(message, publisher).await;
                receipts.push(receipt.unwrap_or_else(|Closed| Receipt::known(Outcome::lost())));
            }
            Ok(Sent::Many(receipts, outcomes))
        }
    }
}

/// Hands one message to a session, to the next one if need be.
async fn hand_over_one(message: &Message, publisher: &mut watch::Receiver<Current>) -> Result<Receipt, Closed> {
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
                // This session is over, whether its keeper knows or not: wait for another one.
                let is_other = |next: &Current| next.as_ref().is_none_or(|next| !Arc::ptr_eq(next, &current));
                publisher.wait_for(is_other).await.map_err(|_| Closed)?;
            }
        }
    }
}

/// Outcomes come nearly in the order of the publishes, so they are awaited in that order: no task for each.
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
