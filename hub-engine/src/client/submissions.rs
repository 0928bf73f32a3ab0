//! Hands jobs in: those that are submitted at once in one message.

use std::collections::BTreeMap;

use hub_transport::supervisor::Link;
use hub_transport::{Outcome, Receipt, Text};
use tokio::sync::{mpsc, oneshot};

use crate::bundle::Bounds;
use crate::wire::{JobMessage, Names};

/// So many jobs are looked at together, and go in one message at most.
const TURN: usize = 128;
/// What a job takes beside its text.
const FRAME: usize = 160;

/// Hands jobs in.
#[derive(Debug)]
pub(super) struct Submissions {
    jobs: mpsc::UnboundedSender<Order>,
}

/// A job to be handed in.
#[derive(Debug)]
struct Order {
    job: JobMessage,
    reply_to: Option<Text>,
    outcome: oneshot::Sender<Outcome>,
}

impl Submissions {
    /// `max_message_bytes`: what the broker takes at most, where that is known.
    pub(super) fn start(link: Link, names: Names, max_message_bytes: Option<usize>) -> Self {
        let (jobs, from_jobs) = mpsc::unbounded_channel();
        tokio::spawn(gather(link, names, from_jobs, Bounds::new(TURN, max_message_bytes)));
        Self { jobs }
    }

    /// Queues a job. The answer goes to `reply_to`.
    pub(super) fn publish(&self, job: JobMessage, reply_to: Option<Text>) -> Receipt {
        let (outcome, receipt) = Receipt::new();
        // The other side goes on as long as this one is there.
        let _ = self.jobs.send(Order { job, reply_to, outcome });
        receipt
    }
}

/// Whatever is there goes together; nothing waits for more.
async fn gather(link: Link, names: Names, mut jobs: mpsc::UnboundedReceiver<Order>, bounds: Bounds) {
    let mut turn = Vec::with_capacity(TURN);
    while jobs.recv_many(&mut turn, TURN).await > 0 {
        let mut sessions = BTreeMap::<Option<Text>, Vec<Order>>::new();
        for order in turn.drain(..) {
            sessions.entry(order.reply_to.clone()).or_default().push(order);
        }
        for (reply_to, orders) in sessions {
            for orders in bounds.divide(orders, |order| FRAME + order.job.text.len()) {
                publish(&link, &names, reply_to.clone(), orders);
            }
        }
    }
}

fn publish(link: &Link, names: &Names, reply_to: Option<Text>, orders: Vec<Order>) {
    let (jobs, outcomes): (Vec<_>, Vec<_>) = orders.into_iter().map(|order| (order.job, order.outcome)).unzip();
    let receipt = link.publish(JobMessage::message(jobs, names, reply_to));
    tokio::spawn(async move {
        let outcome = receipt.await;
        for waiter in outcomes {
            // Who has given up meanwhile misses nothing.
            let _ = waiter.send(outcome.clone());
        }
    });
}
