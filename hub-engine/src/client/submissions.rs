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
    orders: mpsc::UnboundedSender<Order>,
}

#[derive(Debug)]
enum Order {
    HandIn(Option<Text>, Waiting),
    Flush(oneshot::Sender<()>),
}

/// A job to be handed in, and who waits for what becomes of its message.
type Waiting = (JobMessage, oneshot::Sender<Outcome>);

impl Submissions {
    /// `max_message_bytes`: what the broker takes at most, where that is known.
    pub(super) fn start(link: Link, names: Names, max_message_bytes: Option<usize>) -> Self {
        let (orders, from_orders) = mpsc::unbounded_channel();
        tokio::spawn(gather(link, names, from_orders, Bounds::new(TURN, max_message_bytes)));
        Self { orders }
    }

    /// Queues a job. The answer goes to `reply_to`.
    pub(super) fn publish(&self, job: JobMessage, reply_to: Option<Text>) -> Receipt {
        let (outcome, receipt) = Receipt::new();
        // The other side goes on as long as this one is there.
        let _ = self.orders.send(Order::HandIn(reply_to, (job, outcome)));
        receipt
    }

    /// Returns when every job is on its way that was queued before.
    pub(super) async fn flush(&self) {
        let (done, is_done) = oneshot::channel();
        if self.orders.send(Order::Flush(done)).is_ok() {
            let _ = is_done.await;
        }
    }
}

/// Whatever is there goes together; nothing waits for more.
async fn gather(link: Link, names: Names, mut orders: mpsc::UnboundedReceiver<Order>, bounds: Bounds) {
    let mut turn = Vec::with_capacity(TURN);
    while orders.recv_many(&mut turn, TURN).await > 0 {
        let (mut sessions, mut flushed) = (BTreeMap::<Option<Text>, Vec<Waiting>>::new(), Vec::new());
        for order in turn.drain(..) {
            match order {
                Order::HandIn(reply_to, waiting) => sessions.entry(reply_to).or_default().push(waiting),
                Order::Flush(done) => flushed.push(done),
            }
        }
        for (reply_to, jobs) in sessions {
            for jobs in bounds.divide(jobs, |(job, _)| FRAME + job.text.len()) {
                publish(&link, &names, reply_to.clone(), jobs);
            }
        }
        for done in flushed {
            let _ = done.send(());
        }
    }
}

fn publish(link: &Link, names: &Names, reply_to: Option<Text>, jobs: Vec<Waiting>) {
    let (jobs, waiting): (Vec<_>, Vec<_>) = jobs.into_iter().unzip();
    let receipt = link.publish(JobMessage::message(jobs, names, reply_to));
    tokio::spawn(async move {
        let outcome = receipt.await;
        for waiter in waiting {
            // Who has given up meanwhile misses nothing.
            let _ = waiter.send(outcome.clone());
        }
    });
}
