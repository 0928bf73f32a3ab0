//! The handle to a running worker.

use std::sync::Arc;
use std::time::Duration;

use hub_transport::Transport;
use hub_transport::supervisor::{Link, LinkHealth};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use super::dead_letters::DeadLetters;
use super::results::Results;
use super::serve::{Order, Serve};
use super::settings::WorkerSettings;
use crate::acks::Acks;
use crate::runner::Runner;

/// Delay of the acknowledgement of a task that has ended, so that several are sent together. If the worker dies before, the
/// broker delivers these tasks again: the delay must be short compared with the round trip of a result.
const ACK_DELAY: Duration = Duration::from_millis(5);

/// A running worker.
#[derive(Debug)]
pub struct Worker {
    link: Link,
    orders: mpsc::UnboundedSender<Order>,
    ready: watch::Receiver<bool>,
    serving: JoinHandle<()>,
}

impl Worker {
    /// Starts to serve. Reconnects to the broker until [`Worker::stop`].
    #[must_use]
    pub fn start(transport: Arc<dyn Transport>, runner: Arc<dyn Runner>, settings: WorkerSettings) -> Self {
        let plan = settings.plan();
        let capabilities = transport.capabilities();
        let (acks, results) = (Acks::new(&plan, ACK_DELAY), Results::new(capabilities.max_message_bytes));
        let dead_letters = DeadLetters::new(&capabilities);
        let (link, events) = Link::start(transport, plan);
        let (orders, inbox) = mpsc::unbounded_channel();
        let (announce_ready, ready) = watch::channel(false);
        let serve = Serve::new(settings, link.clone(), acks, results, dead_letters, runner, announce_ready);
        let serving = tokio::spawn(serve.run(events, inbox));
        Self { link, orders, ready, serving }
    }

    /// Waits until the worker is connected and takes tasks.
    pub async fn ready(&self) {
        // The sender is dropped only when the worker has stopped; then there is nothing to wait for.
        let _ = self.ready.clone().wait_for(|ready| *ready).await;
    }

    /// The state of the connection to the broker.
    #[must_use]
    pub fn link_health(&self) -> watch::Receiver<LinkHealth> {
        self.link.health()
    }

    /// Waits until the worker's loop answers. Returns `false` if the loop has ended.
    pub async fn is_alive(&self) -> bool {
        let (answer, answered) = oneshot::channel();
        self.orders.send(Order::Answer(answer)).is_ok() && answered.await.is_ok()
    }

    /// Drains the worker: takes no further tasks, waits up to `grace` for running tasks, returns the others, and
    /// announces that it leaves.
    pub async fn stop(self, grace: Duration) {
        let _ = self.orders.send(Order::Drain(grace));
        if let Err(error) = self.serving.await {
            tracing::error!(%error, "the worker's loop panicked");
        }
    }
}
