//! The handle on a connection that is kept up.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};

use super::backoff::Backoff;
use super::keeper::{Command, Keeper};
use super::outbox::{self, Outgoing};
use crate::{
    Delivery, DeliveryTag, Error, ErrorKind, Message, Operation, Outcome, Receipt, Result, Session, Settlement,
    Settler, SubscribeOptions, Topology, Transport,
};

/// What a link keeps up.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Declared before `topology` where it does not exist yet.
    pub foundation: Option<Foundation>,
    /// Declared on every new session, and whenever a subscription has ended.
    pub topology: Topology,
    /// Started on every new session; the position is the [`SubscriptionId`].
    pub subscriptions: Vec<Subscribe>,
    /// Whether there shall be a place for replies.
    pub inbox: bool,
    /// How many publishes may be without an outcome.
    pub window: usize,
    /// How to wait between tries.
    pub backoff: Backoff,
    /// Decides the chance in the waits.
    pub seed: u64,
}

/// What several programs share, and not each of them may declare.
#[derive(Clone, Debug)]
pub struct Foundation {
    /// Where this queue exists, nothing is declared. To look for it needs no rights.
    pub queue: String,
    /// What is declared where it is missing.
    pub topology: Topology,
}

/// A queue to be consumed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscribe {
    /// The queue.
    pub queue: String,
    /// How.
    pub options: SubscribeOptions,
    /// It does not flow before [`Link::resume`].
    pub paused: bool,
}

impl Subscribe {
    /// Consumes this queue from the start.
    #[must_use]
    pub fn new(queue: impl Into<String>, options: SubscribeOptions) -> Self {
        Self { queue: queue.into(), options, paused: false }
    }

    /// The same, but only once it is resumed.
    #[must_use]
    pub fn paused(self) -> Self {
        Self { paused: true, ..self }
    }
}

/// A subscription of a plan, by its position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SubscriptionId(pub usize);

impl SubscriptionId {
    /// The place for replies.
    pub const INBOX: Self = Self(usize::MAX);
}

/// Names a delivery across sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DeliveryRef {
    /// Which start of the subscription it came by: a delivery of an earlier one is stale.
    pub epoch: u64,
    /// The subscription.
    pub subscription: SubscriptionId,
    /// The delivery.
    pub tag: DeliveryTag,
}

/// Something that happened on a link.
#[derive(Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "nearly all events are deliveries: boxing them would cost each an allocation"
)]
pub enum LinkEvent {
    /// Connected, declared and subscribed.
    Up {
        /// Counts the sessions of this link, from 1.
        session: u64,
        /// Where replies reach this session.
        inbox: Option<String>,
    },
    /// Not connected any more, or still not.
    Down {
        /// Why.
        cause: Arc<Error>,
        /// When the next try is made. Zero where another node is tried at once.
        retry_in: Duration,
        /// How many times all nodes were tried since the last success.
        attempt: u32,
    },
    /// The broker takes no messages at present; with its reason.
    Blocked(String),
    /// The broker takes messages again.
    Unblocked,
    /// A message.
    Delivery(SubscriptionId, DeliveryRef, Delivery),
}

/// How a link is.
#[derive(Clone, Debug)]
pub enum LinkHealth {
    /// Connected.
    Up,
    /// Connected, but the broker takes no messages.
    Blocked(String),
    /// Not connected; why, once that is known.
    Down(Option<Arc<Error>>),
    /// Closed by its owner.
    Closed,
}

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

/// What a link, its keeper and its outbox share.
pub(super) struct Shared {
    pub(super) health: watch::Sender<LinkHealth>,
    /// The living session, if there is one.
    pub(super) session: Mutex<Option<Arc<dyn Session>>>,
    /// Settlers of the living session, by epoch.
    pub(super) settlers: Mutex<HashMap<u64, Arc<dyn Settler>>>,
    /// Publishes without an outcome.
    pub(super) open: watch::Sender<usize>,
    pub(super) open_count: AtomicUsize,
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
        let shared = Arc::new(Shared {
            health: watch::channel(LinkHealth::Down(None)).0,
            session: Mutex::default(),
            settlers: Mutex::default(),
            open: watch::channel(0).0,
            open_count: AtomicUsize::new(0),
        });
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

    /// How many messages wait in a queue: see [`Session::ready`].
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

impl Shared {
    /// So many more publishes are without an outcome.
    pub(super) fn add_open(&self, count: usize) {
        let before = self.open_count.fetch_add(count, Ordering::SeqCst);
        self.note_open(before, before + count);
    }

    /// So many publishes have got their outcome.
    pub(super) fn sub_open(&self, count: usize) {
        let before = self.open_count.fetch_sub(count, Ordering::SeqCst);
        self.note_open(before, before - count);
    }

    fn note_open(&self, before: usize, after: usize) {
        // Only the way to and from zero is worth waking anybody for. What counts is how many they are when it is told:
        // somebody else may tell of a later change first.
        if (before == 0) != (after == 0) {
            self.open.send_modify(|open| *open = self.open_count.load(Ordering::SeqCst));
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
