//! The handle of a supervised connection.

use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};

use super::event::{DeliveryRef, LinkEvent, LinkHealth};
use super::outbox::{self, Outgoing};
use super::plan::{Plan, SubscriptionId};
use super::shared::Shared;
use super::task::{Command, Supervisor};
use crate::{Error, ErrorKind, Message, Operation, Outcome, Receipt, Result, Settlement, Transport};

/// A supervised connection. Clones refer to the same link. Dropping the last one disconnects without waiting for confirms.
#[derive(Clone)]
pub struct Link {
    shared: Arc<Shared>,
    // Not in `shared`: the supervisor's tasks end when these senders are dropped.
    outgoing: mpsc::UnboundedSender<Outgoing>,
    commands: mpsc::UnboundedSender<Command>,
}

/// Resolves to the outcomes of several publishes, in order, when all are known.
#[derive(Debug)]
pub struct Receipts {
    receiver: oneshot::Receiver<Vec<Outcome>>,
    count: usize,
}

/// The events of a link, in order.
#[derive(Debug)]
pub struct LinkEvents(mpsc::UnboundedReceiver<LinkEvent>);

impl LinkEvents {
    /// The next event. `None` when the link is closed.
    pub async fn next(&mut self) -> Option<LinkEvent> {
        self.0.recv().await
    }

    /// The next event, if there is one already.
    pub fn try_next(&mut self) -> Option<LinkEvent> {
        self.0.try_recv().ok()
    }
}

impl Link {
    /// Connects and stays connected.
    #[must_use]
    pub fn start(transport: Arc<dyn Transport>, plan: Plan) -> (Self, LinkEvents) {
        let (outgoing, outgoing_receiver) = mpsc::unbounded_channel();
        let (commands, commands_receiver) = mpsc::unbounded_channel();
        let (events, events_receiver) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared::default());
        let (publisher, publisher_receiver) = watch::channel(None);
        tokio::spawn(outbox::run(outgoing_receiver, publisher_receiver, Arc::clone(&shared)));
        let supervisor = Supervisor::new(transport, plan, Arc::clone(&shared), publisher, events);
        tokio::spawn(supervisor.run(commands_receiver));
        (Self { shared, outgoing, commands }, LinkEvents(events_receiver))
    }

    /// Queues a message. Messages are published in the order of the calls. If a session ends, its publishes without an outcome resolve
    /// to `Unknown`. Messages that are still queued are published on the next session.
    #[must_use = "the receipt tells whether the broker has accepted the message"]
    pub fn publish(&self, message: Message) -> Receipt {
        let (outcome, receipt) = Receipt::new();
        self.queue(Outgoing::One(message, outcome));
        receipt
    }

    /// Queues several messages. The result resolves when all outcomes are known.
    #[must_use = "the receipts tell whether the broker has accepted the messages"]
    pub fn publish_all(&self, messages: Vec<Message>) -> Receipts {
        let (outcomes, receiver) = oneshot::channel();
        let receipts = Receipts { receiver, count: messages.len() };
        self.queue(Outgoing::Many(messages, outcomes));
        receipts
    }

    fn queue(&self, outgoing: Outgoing) {
        let count = outgoing.count();
        self.shared.add_open(count);
        // A closed link drops the sender of the outcome, which resolves the receipt to `Unknown`.
        if self.outgoing.send(outgoing).is_err() {
            self.shared.sub_open(count);
        }
    }

    /// Settles a delivery.
    ///
    /// # Errors
    /// `Stale` if its session has ended. The message is redelivered.
    pub async fn settle(&self, at: DeliveryRef, settlement: Settlement, multiple: bool) -> Result<()> {
        let settler = self.shared.settlers.lock().unwrap_or_else(PoisonError::into_inner).get(&at.epoch).cloned();
        match settler {
            Some(settler) => settler.settle(at.tag, settlement, multiple).await,
            None => Err(Error::new(ErrorKind::Stale, Operation::Settle, "the session of the delivery has ended")),
        }
    }

    /// The number of messages that wait in a queue: see [`crate::Session::ready`].
    ///
    /// # Errors
    /// `Closed` without a session, and those of [`crate::Session::ready`].
    pub async fn ready(&self, queue: &str) -> Result<u64> {
        let session = self.shared.session.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match session {
            Some(session) => session.ready(queue).await,
            None => Err(Error::new(ErrorKind::Closed, Operation::Inspect, "there is no session")),
        }
    }

    /// Pauses a subscription, also on later sessions, until [`Link::resume`]. Earlier deliveries stay valid.
    pub async fn pause(&self, subscription: SubscriptionId) {
        self.send(|done| Command::Pause(subscription, done)).await;
    }

    /// Resumes a paused subscription.
    pub async fn resume(&self, subscription: SubscriptionId) {
        self.send(|done| Command::Resume(subscription, done)).await;
    }

    /// The current health and its changes.
    #[must_use]
    pub fn health(&self) -> watch::Receiver<LinkHealth> {
        self.shared.health.subscribe()
    }

    /// Whether there is a session.
    #[must_use]
    pub fn is_up(&self) -> bool {
        matches!(&*self.shared.health.borrow(), LinkHealth::Up | LinkHealth::Blocked(_))
    }

    /// Whether the link was closed by its owner. It then publishes nothing further.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        matches!(&*self.shared.health.borrow(), LinkHealth::Closed)
    }

    /// Number of publishes that are queued or without an outcome.
    #[must_use]
    pub fn unconfirmed(&self) -> usize {
        self.shared.open_count.load(Ordering::Relaxed)
    }

    /// Waits up to `deadline` for the outcomes of all publishes, then disconnects permanently.
    ///
    /// # Errors
    /// `Timeout` if publishes were still without an outcome. Their receipts resolve to `Unknown`.
    pub async fn close(&self, deadline: Duration) -> Result<()> {
        let mut open = self.shared.open.subscribe();
        let settled = tokio::time::timeout(deadline, open.wait_for(|open| *open == 0)).await.is_ok();
        self.send(Command::Close).await;
        if settled {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Timeout, Operation::Close, "publishes were still without an outcome"))
    }

    async fn send(&self, command: impl FnOnce(oneshot::Sender<()>) -> Command) {
        let (done, is_done) = oneshot::channel();
        if self.commands.send(command(done)).is_ok() {
            let _ = is_done.await;
        }
    }
}

impl Future for Receipts {
    type Output = Vec<Outcome>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Vec<Outcome>> {
        let count = self.count;
        let outcomes = Pin::new(&mut self.receiver).poll(context);
        outcomes.map(|outcomes| outcomes.unwrap_or_else(|_| vec![Outcome::lost(); count]))
    }
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").field("health", &*self.shared.health.borrow()).finish_non_exhaustive()
    }
}
