//! The contract of a transport: what every backend promises, and what the conformance suite checks.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{mpsc, oneshot, watch};

use crate::{Capabilities, Error, Message, Result, Topology};

/// Dials one broker.
#[async_trait]
pub trait Transport: Send + Sync + 'static {
    /// The backend and the address, without credentials, for logs: `amqp://broker:5672/ (lapin)`.
    fn describe(&self) -> String;

    /// What this backend can do, the same at any time. Differences between backends are declared here and nowhere else.
    fn capabilities(&self) -> Capabilities;

    /// Number of nodes that [`Transport::connect`] takes in turn.
    fn nodes(&self) -> usize {
        1
    }

    /// Opens a session on the node whose turn it is; the next call takes the next one. Gives up after the backend's own limit, so that it never waits for ever.
    ///
    /// # Errors
    /// `Unreachable`, `Timeout`, `AccessRefused`, `NotFound` (the virtual host), `Configuration`.
    async fn connect(&self) -> Result<Arc<dyn Session>>;
}

/// One live connection. It dies once: after that every call fails with `Closed`, every subscription
/// ends, every open receipt resolves to [`Outcome::Unknown`], and what was not settled is delivered
/// again to whoever subscribes next.
#[async_trait]
pub trait Session: Send + Sync + 'static {
    /// Makes everything in `topology` exist. Repeating it is harmless.
    ///
    /// # Errors
    /// `Conflict` where something exists with other properties, `InUse` where it is another session's; the session may
    /// be over then. `Unsupported` where the backend cannot make it: without [`Capabilities::declares`] anything but queues that
    /// go with this session and their bindings; without the capability in question alternate exchanges, dead letters and the like.
    async fn declare(&self, topology: &Topology) -> Result<()>;

    /// Opens a publisher that lets at most `window` publishes (at least 1) be without an outcome.
    ///
    /// # Errors
    /// `Closed` and the like.
    async fn publisher(&self, window: usize) -> Result<Arc<dyn Publisher>>;

    /// Starts to consume `queue`. Deliveries come in queue order, redelivered ones as early as the
    /// broker can. At most `prefetch` of them are unsettled at a time.
    ///
    /// # Errors
    /// `NotFound` where the queue does not exist, `InUse` where someone else holds it exclusively, `Unsupported` for an
    /// exclusive subscription without [`Capabilities::exclusive`].
    async fn subscribe(&self, queue: &str, options: SubscribeOptions) -> Result<Subscription>;

    /// How many messages wait in `queue`; those that are with a consumer are not counted.
    ///
    /// # Errors
    /// `NotFound` where the queue does not exist, `Unsupported` without [`Capabilities::counts`].
    async fn ready(&self, queue: &str) -> Result<u64>;

    /// Opens a place for replies that only this session reads and that goes with it.
    ///
    /// # Errors
    /// `Closed` and the like.
    async fn inbox(&self) -> Result<Inbox>;

    /// The node that the session is connected to, for messages, where the backend knows.
    fn node(&self) -> Option<&str> {
        None
    }

    /// How the session is. The last value is `Closed`, with the cause, and stays.
    fn health(&self) -> watch::Receiver<Health>;

    /// Waits for open confirms, at most until `deadline` has passed, and ends the session. Ends it in any case.
    ///
    /// # Errors
    /// `Timeout` where publishes were still without an outcome; their receipts are `Unknown`.
    async fn close(&self, deadline: Duration) -> Result<()>;
}

/// How a session is.
#[derive(Clone, Debug)]
pub enum Health {
    /// Alive.
    Up,
    /// Alive, but the broker takes no messages at present (memory or disk alarm); with its reason.
    Blocked(String),
    /// Over. Asked to end where there is no cause.
    Closed(Option<Arc<Error>>),
}

/// Publishes with confirms, pipelined. Publishes of one publisher reach a queue in the order of the calls.
#[async_trait]
pub trait Publisher: Send + Sync + 'static {
    /// Hands `message` to the broker, waiting while the window is full, and returns a receipt that
    /// resolves to its outcome. Dropping the receipt does not take the message back.
    ///
    /// # Errors
    /// Only what is known before anything was sent: `TooLarge`, `Closed`.
    async fn publish(&self, message: Message) -> Result<Receipt>;
}

/// How a publish ended.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// The broker has taken responsibility: the message is in every queue it was routed to, on disk
    /// where both are durable. (A message that no queue takes, not mandatory and without an alternate
    /// exchange, is confirmed too.)
    Confirmed,
    /// The broker will never take it: it is too large.
    Rejected(String),
    /// The broker does not take it at present (negative acknowledgement: a full queue, an internal error). The same may be
    /// taken later.
    Refused,
    /// No queue takes it. Only for mandatory messages, with [`Capabilities::returns_unroutable`].
    Unroutable,
    /// The session ended first. It may have arrived or not: publish it again under the same message id.
    Unknown(Arc<Error>),
}

/// Resolves to the outcome of one publish.
#[derive(Debug)]
pub struct Receipt(Pending);

#[derive(Debug)]
enum Pending {
    Known(Outcome),
    Waiting(oneshot::Receiver<Outcome>),
}

impl Receipt {
    /// A receipt and the sender that resolves it. A sender dropped unused resolves it to `Unknown`.
    #[must_use]
    pub fn new() -> (oneshot::Sender<Outcome>, Self) {
        let (sender, receiver) = oneshot::channel();
        (sender, Self(Pending::Waiting(receiver)))
    }

    /// The receipt of a publish whose outcome is known already.
    #[must_use]
    pub const fn known(outcome: Outcome) -> Self {
        Self(Pending::Known(outcome))
    }
}

impl Outcome {
    /// Of a publish whose session ended first, without a reason.
    pub(crate) fn lost() -> Self {
        Self::Unknown(Arc::new(Error::new(
            crate::ErrorKind::Closed,
            crate::Operation::Publish,
            "the session ended before the broker confirmed",
        )))
    }
}

impl Future for Receipt {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Outcome> {
        match &mut self.0 {
            Pending::Known(outcome) => Poll::Ready(outcome.clone()),
            Pending::Waiting(receiver) => {
                Pin::new(receiver).poll(context).map(|outcome| outcome.unwrap_or_else(|_| Outcome::lost()))
            }
        }
    }
}

/// How to consume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubscribeOptions {
    /// How many deliveries may be unsettled at a time; at least 1.
    pub prefetch: u16,
    /// Nobody else may consume this queue meanwhile.
    pub exclusive: bool,
}

/// Names a delivery within its subscription. Tags grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeliveryTag(pub u64);

/// A message from a queue. Until it is settled it belongs to this subscription; if the session ends
/// first, it is delivered again.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// What to settle.
    pub tag: DeliveryTag,
    /// The message.
    pub message: Message,
    /// It may have been delivered before.
    pub redelivered: bool,
    /// How many times it has been delivered and come back, where the queue counts that ([`Capabilities::counts_deliveries`]).
    pub delivery_count: Option<u32>,
    /// Why and from which queue it was dead-lettered, if it was (`delivery_limit`, `rejected`, …).
    pub death: Option<Death>,
}

/// How a message came into a dead-letter queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Death {
    /// The queue that gave it up.
    pub queue: String,
    /// Why: `rejected`, `expired`, `maxlen`, `delivery_limit`.
    pub reason: String,
}

/// Consumes one queue.
pub struct Subscription {
    /// Deliveries, in order. The channel's end is the subscription's end: the session closed, the
    /// queue was deleted, or the broker cancelled the consumer.
    pub deliveries: mpsc::UnboundedReceiver<Delivery>,
    /// Settles them. May outlive `deliveries`, but not the session.
    pub settler: Arc<dyn Settler>,
}

/// Settles deliveries of one subscription.
#[async_trait]
pub trait Settler: Send + Sync + 'static {
    /// Settles the delivery `tag`, with `multiple` also every earlier one of this subscription that is
    /// still open. Returns when it is on its way: a broker does not answer.
    ///
    /// # Errors
    /// `Stale` where the session has ended or (as far as the backend can see) the tag was settled before. `Unsupported`
    /// for `multiple` without [`Capabilities::acknowledges_many`], and for dead letters without [`Capabilities::dead_letters`].
    async fn settle(&self, tag: DeliveryTag, settlement: Settlement, multiple: bool) -> Result<()>;

    /// Stops the flow of deliveries. Those that were made, read or not, stay with the subscription until
    /// they are settled or the session ends.
    ///
    /// # Errors
    /// `Closed` where the session has ended.
    async fn cancel(&self) -> Result<()>;
}

/// What becomes of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settlement {
    /// Done with. The queue forgets it.
    Ack,
    /// Back to the queue, for anyone. Counts as a delivery on queues that count.
    Requeue,
    /// To the queue's dead-letter exchange; dropped where it has none.
    DeadLetter,
}

/// A place for replies.
pub struct Inbox {
    /// What to put into [`Message::reply_to`]: a routing key on the default exchange.
    pub address: String,
    /// The replies.
    pub subscription: Subscription,
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription").finish_non_exhaustive()
    }
}

impl fmt::Debug for Inbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbox").field("address", &self.address).finish_non_exhaustive()
    }
}
