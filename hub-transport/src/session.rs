//! The contract of a transport. The conformance suite tests every backend against it.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{mpsc, oneshot, watch};

use crate::{Capabilities, Error, Message, Result, Topology};

/// Connects to one broker.
#[async_trait]
pub trait Transport: Send + Sync + 'static {
    /// The backend and the address, without credentials, for logs: `amqp://broker:5672/ (lapin)`.
    fn describe(&self) -> String;

    /// The capabilities of this backend, which never change. All differences between backends are declared here.
    fn capabilities(&self) -> Capabilities;

    /// Number of nodes that [`Transport::connect`] uses in turn.
    fn nodes(&self) -> usize {
        1
    }

    /// Opens a session on the next node in turn. The backend limits the time.
    ///
    /// # Errors
    /// `Unreachable`, `Timeout`, `AccessRefused`, `NotFound` (the virtual host), `Configuration`.
    async fn connect(&self) -> Result<Arc<dyn Session>>;
}

/// One live connection. It ends once. After that, all calls fail with `Closed`, all subscriptions end, all open receipts resolve to
/// [`Outcome::Unknown`], and unsettled messages are redelivered to other subscriptions.
#[async_trait]
pub trait Session: Send + Sync + 'static {
    /// Creates everything in `topology` that does not exist. It is idempotent.
    ///
    /// # Errors
    /// `Conflict` if something exists with other properties, `InUse` if a queue belongs to another session. The session may end on
    /// these errors. `Unsupported` if a capability is missing: without [`Capabilities::declares`], only queues of this session and
    /// their bindings can be declared. Alternate exchanges, dead letters and the like need their own capabilities.
    async fn declare(&self, topology: &Topology) -> Result<()>;

    /// Opens a publisher with at most `window` publishes (at least 1) without an outcome.
    ///
    /// # Errors
    /// `Closed` and other errors of the connection.
    async fn publisher(&self, window: usize) -> Result<Arc<dyn Publisher>>;

    /// Starts consuming `queue`. Deliveries arrive in the order of the queue, redelivered messages as early as the broker supports.
    /// At most `prefetch` deliveries are unsettled at a time.
    ///
    /// # Errors
    /// `NotFound` if the queue does not exist, `InUse` if another session holds it exclusively, `Unsupported` for an exclusive
    /// subscription without [`Capabilities::exclusive`].
    async fn subscribe(&self, queue: &str, options: SubscribeOptions) -> Result<Subscription>;

    /// The number of messages that wait in `queue`, without unsettled deliveries.
    ///
    /// # Errors
    /// `NotFound` if the queue does not exist, `Unsupported` without [`Capabilities::counts`].
    async fn ready(&self, queue: &str) -> Result<u64>;

    /// Opens a queue for replies. Only this session can consume it, and it is deleted with the session.
    ///
    /// # Errors
    /// `Closed` and other errors of the connection.
    async fn inbox(&self) -> Result<Inbox>;

    /// The node that the session is connected to, for messages. `None` if the backend does not know it.
    fn node(&self) -> Option<&str> {
        None
    }

    /// The current health and its changes. The last value is `Closed`, with the cause.
    fn health(&self) -> watch::Receiver<Health>;

    /// Waits up to `deadline` for open confirms, then ends the session in any case.
    ///
    /// # Errors
    /// `Timeout` if publishes were still without an outcome. Their receipts resolve to `Unknown`.
    async fn close(&self, deadline: Duration) -> Result<()>;
}

/// The health of a session.
#[derive(Clone, Debug)]
pub enum Health {
    /// Connected.
    Up,
    /// Connected, but the broker blocks publishing (memory or disk alarm), with its reason.
    Blocked(String),
    /// Ended. Without a cause, it was closed on request.
    Closed(Option<Arc<Error>>),
}

/// Publishes with pipelined confirms. Messages of one publisher reach a queue in the order of the calls.
#[async_trait]
pub trait Publisher: Send + Sync + 'static {
    /// Waits while the window is full, sends `message` to the broker, and returns a receipt that resolves to the outcome. Dropping
    /// the receipt does not cancel the publish.
    ///
    /// # Errors
    /// Only errors that are detected before the message is sent: `TooLarge`, `Closed`.
    async fn publish(&self, message: Message) -> Result<Receipt>;
}

/// The outcome of a publish.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// The broker has accepted the message. It is in all queues to which it was routed, and on disk if queue and message are durable.
    /// (A message that is routed to no queue is confirmed as well, unless it is mandatory.)
    Confirmed,
    /// The message is too large for the broker. A retry does not help.
    Rejected(String),
    /// Negative acknowledgement, for example because of a full queue or an internal error. A retry can help.
    Refused,
    /// The message was routed to no queue. Only for mandatory messages, with [`Capabilities::returns_unroutable`].
    Unroutable,
    /// The session ended first. The broker may or may not have accepted the message: publish it again under the same message id.
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
    /// A receipt and the sender that resolves it. If the sender is dropped unused, the receipt resolves to `Unknown`.
    #[must_use]
    pub fn new() -> (oneshot::Sender<Outcome>, Self) {
        let (sender, receiver) = oneshot::channel();
        (sender, Self(Pending::Waiting(receiver)))
    }

    /// The receipt of a publish with a known outcome.
    #[must_use]
    pub const fn known(outcome: Outcome) -> Self {
        Self(Pending::Known(outcome))
    }
}

impl Outcome {
    /// The outcome of a publish whose session ended without a known reason.
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

/// Options of a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubscribeOptions {
    /// Maximum number of unsettled deliveries, at least 1.
    pub prefetch: u16,
    /// No other subscription to this queue is allowed.
    pub exclusive: bool,
}

/// Identifies a delivery within its subscription. Tags increase.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeliveryTag(pub u64);

/// A message from a queue. It must be settled. If the session ends first, the message is redelivered.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The tag to settle it.
    pub tag: DeliveryTag,
    /// The message.
    pub message: Message,
    /// Whether it may have been delivered before.
    pub redelivered: bool,
    /// Number of earlier deliveries, if the queue counts them ([`Capabilities::counts_deliveries`]).
    pub delivery_count: Option<u32>,
    /// The queue and the reason, if the message was dead-lettered.
    pub death: Option<Death>,
}

/// Why a message was dead-lettered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Death {
    /// The queue that dead-lettered it.
    pub queue: String,
    /// The reason: `rejected`, `expired`, `maxlen`, `delivery_limit`.
    pub reason: String,
}

/// Consumes one queue.
pub struct Subscription {
    /// Deliveries, in order. The channel ends with the subscription: when the session ends, the queue is deleted, or the broker
    /// cancels the consumer.
    pub deliveries: mpsc::UnboundedReceiver<Delivery>,
    /// Settles deliveries. It can be used after the end of `deliveries`, until the session ends.
    pub settler: Arc<dyn Settler>,
}

/// Settles deliveries of one subscription.
#[async_trait]
pub trait Settler: Send + Sync + 'static {
    /// Settles the delivery `tag`, with `multiple` also all earlier open deliveries of this subscription. Returns when the settlement
    /// has been sent, since a broker does not confirm it.
    ///
    /// # Errors
    /// `Stale` if the session has ended or (as far as the backend can detect it) the tag was settled before. `Unsupported` for
    /// `multiple` without [`Capabilities::acknowledges_many`], and for dead letters without [`Capabilities::dead_letters`].
    async fn settle(&self, tag: DeliveryTag, settlement: Settlement, multiple: bool) -> Result<()>;

    /// Cancels the consumer. Earlier deliveries, read or not, stay with the subscription until they are settled or the session ends.
    ///
    /// # Errors
    /// `Closed` if the session has ended.
    async fn cancel(&self) -> Result<()>;
}

/// How a delivery is settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settlement {
    /// Acknowledges it. The queue deletes the message.
    Ack,
    /// Returns it to the queue. It counts as a delivery if the queue counts deliveries.
    Requeue,
    /// Passes it to the queue's dead-letter exchange. Without one, the message is dropped.
    DeadLetter,
}

/// A queue for replies.
pub struct Inbox {
    /// The value for [`Message::reply_to`]: a routing key on the default exchange.
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
