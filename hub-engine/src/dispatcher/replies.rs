//! Sends answers to clients. Answers to the same client at the same time are sent in one message, if the client
//! supports that.
//!
//! Answers are published with the rights of the dispatcher, so a client could make it publish to any queue. Therefore
//! answers are sent only to addresses that the broker has assigned: see [`is_client_address`].

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hub_transport::supervisor::Link;
use hub_transport::{Message, Text};
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::sync::{mpsc, oneshot};

use crate::bundle::Bounds;
use crate::operations::{RequestError, RequestErrorKind};
use crate::wire::{self, Replies, Reply, ReplyFor};

/// Maximum number of answers that are processed together and sent in one message.
const MAXIMUM_ANSWERS: usize = 256;
/// Overhead of an answer in bytes.
const OVERHEAD_BYTES: usize = 128;

/// The address of an answer, if one is requested.
#[derive(Clone, Debug)]
pub(super) struct ReplyTo {
    address: Option<Text>,
    correlation_id: Option<Text>,
    /// Whether the client supports messages with several answers.
    reads_many: bool,
}

/// Sends answers.
#[derive(Clone, Debug)]
pub(super) struct Replier {
    link: Link,
    orders: mpsc::UnboundedSender<Order>,
    /// Number of messages whose address for answers was refused.
    refused: Arc<AtomicU64>,
    /// Maximum size of an answer in bytes.
    largest: Option<usize>,
}

/// A command for the task that collects answers.
#[derive(Debug)]
enum Order {
    Send { address: Text, answer: ReplyFor<Box<RawValue>> },
    Flush(oneshot::Sender<()>),
}

/// Prefixes of addresses that a broker assigns: direct reply-to, and queues with generated names. Clients can neither
/// declare names that begin with `amq.` nor guess the address of another client.
const CLIENT_ADDRESSES: [&str; 2] = ["amq.rabbitmq.reply-to.", "amq.gen-"];

/// Whether the address was assigned by the broker, so that it belongs to the client.
fn is_client_address(address: &str) -> bool {
    CLIENT_ADDRESSES.iter().any(|prefix| address.starts_with(prefix))
}

impl ReplyTo {
    /// The address of the same client for another question.
    pub(super) fn about(&self, correlation_id: Option<Text>) -> Self {
        Self { correlation_id, ..self.clone() }
    }

    /// Whether an answer is requested.
    pub(super) const fn is_wanted(&self) -> bool {
        self.address.is_some()
    }
}

impl Replier {
    /// `max_message_bytes` is the maximum message size of the broker, if known.
    pub(super) fn start(link: Link, max_message_bytes: Option<usize>) -> Self {
        let (orders, from_orders) = mpsc::unbounded_channel();
        tokio::spawn(gather(link.clone(), from_orders, Bounds::new(MAXIMUM_ANSWERS, max_message_bytes)));
        let largest = max_message_bytes.map(|limit| limit.saturating_sub(2 * OVERHEAD_BYTES));
        Self { link, orders, refused: Arc::default(), largest }
    }

    /// The address for the answer to a message. It is empty if the message names an address that the broker has not
    /// assigned.
    pub(super) fn reply_to(&self, message: &Message) -> ReplyTo {
        let address = message.reply_to.clone().filter(|address| {
            let is_fine = is_client_address(address);
            if !is_fine && self.refused.fetch_add(1, Ordering::Relaxed) == 0 {
                tracing::warn!(
                    reply_to = %address,
                    exchange = %message.exchange,
                    key = %message.routing_key,
                    "answers go only to queues that the broker has named and to direct reply-to: messages with other \
                     addresses are not answered (this is logged once)"
                );
            }
            is_fine
        });
        ReplyTo { address, correlation_id: message.correlation_id.clone(), reads_many: wire::reads_many(message) }
    }

    /// Number of messages so far whose address for answers was refused.
    pub(super) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Maximum size of an answer in bytes, if known.
    pub(super) const fn largest(&self) -> Option<usize> {
        self.largest
    }

    /// Sends an answer. It is lost if the client has disconnected.
    pub(super) fn send<T: Serialize>(&self, reply: &ReplyTo, outcome: Result<T, RequestError>) {
        let Some(address) = reply.address.clone() else { return };
        let body = self.fitting(wire::raw(&Reply::new(outcome)));
        match &reply.correlation_id {
            Some(to) if reply.reads_many => {
                let answer = ReplyFor { to: to.to_string(), reply: body };
                let _ = self.orders.send(Order::Send { address, answer });
            }
            to => send(&self.link, address, to.clone(), &body),
        }
    }

    /// The answer, or a refusal if it is too large for the broker. Without the refusal, the client would wait for ever.
    fn fitting(&self, body: Box<RawValue>) -> Box<RawValue> {
        match self.largest {
            // The limit applies to the content of the answer. The overhead has its own allowance.
            Some(largest) if body.get().len() > largest + OVERHEAD_BYTES => {
                wire::raw(&Reply::new::<()>(Err(too_large("the answer", body.get().len(), largest))))
            }
            _ => body,
        }
    }

    /// Waits until all previous answers have been passed to the link.
    pub(super) async fn flush(&self) {
        let (done, is_done) = oneshot::channel();
        if self.orders.send(Order::Flush(done)).is_ok() {
            let _ = is_done.await;
        }
    }
}

/// The refusal of an answer that has more bytes than a message may have.
pub(super) fn too_large(what: &str, bytes: usize, limit: usize) -> RequestError {
    let message = format!(
        "{what} has {bytes} bytes or more, and a message over the broker has at most {limit}: request it without values \
         (\"no_data\"; hub-client status --no-data), some tasks at a time (\"type\": \"tasks\"), or over HTTP"
    );
    RequestError::new(RequestErrorKind::TooLarge, message)
}

/// Sends the answers that are available together, without waiting for more.
async fn gather(link: Link, mut orders: mpsc::UnboundedReceiver<Order>, bounds: Bounds) {
    let mut turn = Vec::with_capacity(MAXIMUM_ANSWERS);
    while orders.recv_many(&mut turn, MAXIMUM_ANSWERS).await > 0 {
        let (mut clients, mut flushed) = (BTreeMap::<Text, Vec<ReplyFor<Box<RawValue>>>>::new(), Vec::new());
        for order in turn.drain(..) {
            match order {
                Order::Send { address, answer } => clients.entry(address).or_default().push(answer),
                Order::Flush(done) => flushed.push(done),
            }
        }
        for (address, replies) in clients {
            let messages = bounds.divide(replies, |reply| OVERHEAD_BYTES + reply.reply.get().len());
            messages.into_iter().for_each(|replies| publish(&link, address.clone(), replies));
        }
        for done in flushed {
            let _ = done.send(());
        }
    }
}

fn publish(link: &Link, address: Text, mut replies: Vec<ReplyFor<Box<RawValue>>>) {
    match replies.pop() {
        Some(ReplyFor { to, reply }) if replies.is_empty() => send(link, address, Some(to.into()), &reply),
        Some(last) => {
            replies.push(last);
            send(link, address, None, &Replies { v: wire::VERSION, replies });
        }
        None => {}
    }
}

fn send<T: Serialize>(link: &Link, address: Text, correlation_id: Option<Text>, body: &T) {
    let mut message = Message::new("", address, wire::encode(body)).transient();
    message.correlation_id = correlation_id;
    message.content_type = Some(wire::JSON);
    drop(link.publish(message));
}

#[cfg(test)]
mod tests {
    use hub_transport::memory::MemoryBroker;
    use hub_transport::supervisor::{Backoff, LinkEvent, LinkEvents, Plan};
    use hub_transport::{Delivery, Topology};
    use serde_json::{Value, json};

    use super::*;

    async fn connect(broker: &MemoryBroker) -> (Link, LinkEvents, Text) {
        let plan = Plan {
            foundation: None,
            topology: Topology::default(),
            subscriptions: Vec::new(),
            inbox: true,
            window: 64,
            backoff: Backoff::default(),
            seed: 0,
        };
        let (link, mut events) = Link::start(broker.transport(), plan);
        let Some(LinkEvent::Up { inbox: Some(inbox), .. }) = events.next().await else { panic!("no connection") };
        (link, events, inbox.into())
    }

    async fn next(client: &mut LinkEvents) -> Delivery {
        match client.next().await {
            Some(LinkEvent::Delivery(_, _, delivery)) => delivery,
            event => panic!("{event:?} is not an answer"),
        }
    }

    #[test]
    fn only_addresses_that_the_broker_assigns_are_answered() {
        for fine in ["amq.gen-Jz3xYd", "amq.rabbitmq.reply-to.g1h2AA5yZXBs.kxm"] {
            assert!(is_client_address(fine), "{fine}");
        }
        for refused in [
            "",
            "hub.results.0",
            "hub.tasks.default",
            "hub.control.w1",
            "mine",
            "amq.rabbitmq.reply-to",
            "amq.gen",
            "AMQ.GEN-x",
            " amq.gen-x",
        ] {
            assert!(!is_client_address(refused), "{refused}");
        }
    }

    fn reply_to(address: &Text, correlation_id: &'static str, reads_many: bool) -> ReplyTo {
        ReplyTo { address: Some(address.clone()), correlation_id: Some(correlation_id.into()), reads_many }
    }

    fn body(delivery: &Delivery) -> Value {
        serde_json::from_slice(&delivery.message.body).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn simultaneous_answers_are_one_message_for_clients_that_support_it() {
        let broker = MemoryBroker::new();
        let (link, _events, _) = connect(&broker).await;
        let ((_modern, mut modern, to_modern), (_plain, mut plain, to_plain)) =
            (connect(&broker).await, connect(&broker).await);
        let replier = Replier::start(link, None);
        for id in ["a", "b"] {
            replier.send(&reply_to(&to_modern, id, true), Ok(json!({"id": id})));
            replier.send(&reply_to(&to_plain, id, false), Ok(json!({"id": id})));
        }
        replier.flush().await;
        replier.send(&reply_to(&to_modern, "c", true), Ok(1));

        let (many, alone) = (next(&mut modern).await, next(&mut modern).await);
        let answer = |value: Value| json!({"v": 1, "ok": value});
        let each = ["a", "b"].map(|id| json!({"to": id, "reply": answer(json!({"id": id}))}));
        assert_eq!((body(&many), many.message.correlation_id), (json!({"v": 1, "replies": each}), None));
        assert_eq!((body(&alone), alone.message.correlation_id.as_deref()), (answer(json!(1)), Some("c")));
        for id in ["a", "b"] {
            let delivery = next(&mut plain).await;
            let expected = (answer(json!({"id": id})), Some(id));
            assert_eq!((body(&delivery), delivery.message.correlation_id.as_deref()), expected);
        }
    }
}
