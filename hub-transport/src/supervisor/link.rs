//! The handle on a connection that is kept up.

use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};

use super::event::{DeliveryRef, LinkEvent, LinkHealth};
use super::keeper::{Command, Keeper};
use super::outbox::{self, Outgoing};
use super::plan::{Plan, SubscriptionId};
use super::shared::Shared;
use crate::{Error, ErrorKind, Message, Operation, Outcome, Receipt, Result, Settlement, Transport};

/// A connection that is kept up. Clones are the same link; dropping the last one disconnects, without
/// waiting for anything.
#[derive(Clone)]
pub struct Link {
    shared: Arc<Shared>,
    // Not in `shared`: that these are gone is how the keeper and the outbox learn that nobody is left.
    outgoing: mpsc::UnboundedSender<Outgoing>,
    commands: mpsc::UnboundedSender<Command>,
}

/// Resolves to the outcomes of publishes, in their order, when all are known.
#[derive(Debug)]
pub struct Receipts {
    receiver: oneshot::Receiver<Vec<Outcome>>,
    count: usize,
}

/// The events of a link, in their order.
#[derive(Debug)]
pub struct LinkEvents(mpsc::UnboundedReceiver<LinkEvent>);

impl LinkEvents {
    /// The next event. `None` when the link is closed.
    pub async fn next(&mut self) -> Option<LinkEvent> {
        self.0.recv().await
    }

    /// The next event, if it is there already.
    pub fn try_next(&mut self) -> Option<LinkEvent> {
        self.0.try_recv().ok()
    }
}

impl Link {
    /// Connects, and stays connected.
    #[must_use]
    pub fn start(transport: Arc<dyn Transport>, plan: Plan) -> (Self, LinkEvents) {
        let (outgoing, outgoing_receiver) = mpsc::unbounded_channel();
        let (commands, commands_receiver) = mpsc::unbounded_channel();
        let (events, events_receiver) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared::default());
        let (publisher, publisher_receiver) = watch::channel(None);
        tokio::spawn(outbox::run(outgoing_receiver, publisher_receiver, Arc::clone(&shared)));
        let keeper = Keeper::new(transport, plan, Arc::clone(&shared), publisher, events);
        tokio::spawn(keeper.run(commands_receiver));
        (Self { shared, outgoing, commands }, LinkEvents(events_receiver))
    }

    /// Queues a message. Messages go out in the order of the calls. What was handed to a session that died
    /// resolves to `Unknown`; what was still queued goes out on the next one.
    #[must_use = "the receipt tells whether the broker has taken the message"]
    pub fn publish(&self, message: Message) -> Receipt {
        let (outcome, receipt) = Receipt::new();
        self.queue(Outgoing::One(message, outcome));
        receipt
    }

    /// Queues messages in their order, and resolves when the outcomes of all are known.
    #[must_use = "the receipts tell whether the broker has taken the messages"]
    pub fn publish_all(&self, messages: Vec<Message>) -> Receipts {
        let (outcomes, receiver) = oneshot::channel();
        let receipts = Receipts { receiver, count: messages.len() };
        self.queue(Outgoing::Many(messages, outcomes));
        receipts
    }

    fn queue(&self, outgoing: Outgoing) {
        let count = outgoing.count();
        self.shared.add_open(count);
        // A closed link drops the sender, and so what waits for it resolves to `Unknown`.
        if self.outgoing.send(outgoing).is_err() {
            self.shared.sub_open(count);
        }
    }

    /// Settles a delivery.
    ///
    /// # Errors
    /// `Stale` where its session has ended: it is delivered again.
    pub async fn settle(&self, at: DeliveryRef, settlement: Settlement, multiple: bool) -> Result<()> {
        let settler = self.shared.settlers.lock().unwrap_or_else(PoisonError::into_inner).get(&at.epoch).cloned();
        match settler {
            Some(settler) => settler.settle(at.tag, settlement, multiple).await,
            None => Err(Error::new(ErrorKind::Stale, Operation::Settle, "the session of the delivery has ended")),
        }
    }

    /// How many messages wait in a queue: see [`crate::Session::ready`].
    ///
    /// # Errors
    /// `Closed` where there is no session at present, and those of the session.
    pub async fn ready(&self, queue: &str) -> Result<u64> {
        let session = self.shared.session.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match session {
            Some(session) => session.ready(queue).await,
            None => Err(Error::new(ErrorKind::Closed, Operation::Inspect, "there is no session")),
        }
    }

    /// Stops the flow of a subscription, on later sessions too, until [`Link::resume`]. Deliveries that
    /// were made stay valid.
    pub async fn pause(&self, subscription: SubscriptionId) {
        self.tell(|done| Command::Pause(subscription, done)).await;
    }

    /// Starts the flow of a paused subscription again.
    pub async fn resume(&self, subscription: SubscriptionId) {
        self.tell(|done| Command::Resume(subscription, done)).await;
    }

    /// How the link is, now and from now on.
    #[must_use]
    pub fn health(&self) -> watch::Receiver<LinkHealth> {
        self.shared.health.subscribe()
    }

    /// Whether there is a session at present.
    #[must_use]
    pub fn is_up(&self) -> bool {
        matches!(&*self.shared.health.borrow(), LinkHealth::Up | LinkHealth::Blocked(_))
    }

    /// Whether the link was closed by its owner: nothing will be published any more.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        matches!(&*self.shared.health.borrow(), LinkHealth::Closed)
    }

    /// How many publishes are queued or without an outcome.
    #[must_use]
    pub fn unconfirmed(&self) -> usize {
        self.shared.open_count.load(Ordering::Relaxed)
    }

    /// Waits until every publish has its outcome, at most for `deadline`, and disconnects for good.
    ///
    /// # Errors
    /// `Timeout` where publishes were left without an outcome; their receipts are `Unknown`.
    pub async fn close(&self, deadline: Duration) -> Result<()> {
        let mut open = self.shared.open.subscribe();
        let settled = tokio::time::timeout(deadline, open.wait_for(|open| *open == 0)).await.is_ok();
        self.tell(Command::Close).await;
        if settled {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Timeout, Operation::Close, "publishes were still without an outcome"))
    }

    async fn tell(&self, command: impl FnOnce(oneshot::Sender<()>) -> Command) {
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
