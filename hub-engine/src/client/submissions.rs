//! Publishes submissions. Jobs that are submitted at the same time share a message.

use std::collections::BTreeMap;

use hub_transport::supervisor::Link;
use hub_transport::{Outcome, Receipt, Text};
use tokio::sync::{mpsc, oneshot};

use crate::bundle::Bounds;
use crate::wire::{JobMessage, Names};

/// Maximum number of jobs that are processed together and sent in one message.
const MAXIMUM_JOBS: usize = 128;
/// Overhead of a job in bytes.
const OVERHEAD_BYTES: usize = 160;

/// Publishes submissions.
#[derive(Debug)]
pub(super) struct Submissions {
    orders: mpsc::UnboundedSender<Order>,
}

#[derive(Debug)]
enum Order {
    Submit(Option<Text>, Waiting),
    Flush(oneshot::Sender<()>),
}

/// A job to submit, and the sender of the outcome of its message.
type Waiting = (JobMessage, oneshot::Sender<Outcome>);

impl Submissions {
    /// `max_message_bytes` is the maximum message size of the broker, if known.
    pub(super) fn start(link: Link, names: Names, max_message_bytes: Option<usize>) -> Self {
        let (orders, from_orders) = mpsc::unbounded_channel();
        tokio::spawn(gather(link, names, from_orders, Bounds::new(MAXIMUM_JOBS, max_message_bytes)));
        Self { orders }
    }

    /// Queues a job. The answer is sent to `reply_to`.
    pub(super) fn publish(&self, job: JobMessage, reply_to: Option<Text>) -> Receipt {
        let (outcome, receipt) = Receipt::new();
        // The receiver exists as long as this sender.
        let _ = self.orders.send(Order::Submit(reply_to, (job, outcome)));
        receipt
    }

    /// Waits until all previously queued jobs have been passed to the link.
    pub(super) async fn flush(&self) {
        let (done, is_done) = oneshot::channel();
        if self.orders.send(Order::Flush(done)).is_ok() {
            let _ = is_done.await;
        }
    }
}

/// Sends the jobs that are available together, without waiting for more.
async fn gather(link: Link, names: Names, mut orders: mpsc::UnboundedReceiver<Order>, bounds: Bounds) {
    let mut turn = Vec::with_capacity(MAXIMUM_JOBS);
    while orders.recv_many(&mut turn, MAXIMUM_JOBS).await > 0 {
        let (mut sessions, mut flushed) = (BTreeMap::<Option<Text>, Vec<Waiting>>::new(), Vec::new());
        for order in turn.drain(..) {
            match order {
                Order::Submit(reply_to, waiting) => sessions.entry(reply_to).or_default().push(waiting),
                Order::Flush(done) => flushed.push(done),
            }
        }
        for (reply_to, jobs) in sessions {
            for jobs in bounds.divide(jobs, |(job, _)| OVERHEAD_BYTES + job.text.len()) {
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
            // An error means that the waiter was dropped.
            let _ = waiter.send(outcome.clone());
        }
    });
}
