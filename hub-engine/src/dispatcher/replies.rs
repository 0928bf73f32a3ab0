//! Brings answers to those who asked: many in one message where they go to the same client at once and it reads that.
//!
//! Answers go out with the dispatcher's rights, so a client could have it write into any queue. An answer therefore goes only to
//! an address that the broker itself has handed out: see [`is_client_address`].

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

/// So many answers are looked at together, and go in one message at most.
const TURN: usize = 256;
/// What an answer takes beside its own length.
const FRAME: usize = 128;

/// Where an answer goes, if one is wanted.
#[derive(Clone, Debug)]
pub(super) struct ReplyTo {
    address: Option<Text>,
    correlation_id: Option<Text>,
    /// Whether who asks reads messages with many answers.
    reads_many: bool,
}

/// Sends answers.
#[derive(Clone, Debug)]
pub(super) struct Replier {
    link: Link,
    orders: mpsc::UnboundedSender<Order>,
    /// Number of messages whose address for answers was refused.
    refused: Arc<AtomicU64>,
    /// What an answer has at most, in bytes.
    largest: Option<usize>,
}

/// What is to be done about answers that can go together.
#[derive(Debug)]
enum Order {
    Send { address: Text, answer: ReplyFor<Box<RawValue>> },
    Flush(oneshot::Sender<()>),
}

/// How the addresses begin that a broker hands out: of direct reply-to, and of queues that it was left to name. Clients cannot
/// declare names that begin with `amq.`, nor guess another client's address.
const CLIENT_ADDRESSES: [&str; 2] = ["amq.rabbitmq.reply-to.", "amq.gen-"];

/// Whether only the client that asks can have this address.
fn is_client_address(address: &str) -> bool {
    CLIENT_ADDRESSES.iter().any(|prefix| address.starts_with(prefix))
}

impl ReplyTo {
    /// The same client, who asked something else too.
    pub(super) fn about(&self, correlation_id: Option<Text>) -> Self {
        Self { correlation_id, ..self.clone() }
    }

    /// Whether anybody wants an answer.
    pub(super) const fn is_wanted(&self) -> bool {
        self.address.is_some()
    }
}

impl Replier {
    /// `max_message_bytes`: what the broker takes at most, where that is known.
    pub(super) fn start(link: Link, max_message_bytes: Option<usize>) -> Self {
        let (orders, from_orders) = mpsc::unbounded_channel();
        tokio::spawn(gather(link.clone(), from_orders, Bounds::new(TURN, max_message_bytes)));
        let largest = max_message_bytes.map(|limit| limit.saturating_sub(2 * FRAME));
        Self { link, orders, refused: Arc::default(), largest }
    }

    /// Where the answer to a message goes: nowhere, where it names an address that is not a client's own.
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

    /// How many bytes an answer has at most, where that is known.
    pub(super) const fn largest(&self) -> Option<usize> {
        self.largest
    }

    /// Sends an answer. Whoever has gone meanwhile does not get it.
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

    /// The answer, or a refusal that says that the broker would not carry it: otherwise who asks waits for ever.
    fn fitting(&self, body: Box<RawValue>) -> Box<RawValue> {
        match self.largest {
            // The limit is of what is asked for; what stands around it has room.
            Some(largest) if body.get().len() > largest + FRAME => {
                wire::raw(&Reply::new::<()>(Err(too_large("the answer", body.get().len(), largest))))
            }
            _ => body,
        }
    }

    /// Returns when every answer is on its way that was given before.
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
        "{what} has {bytes} bytes or more, a message over the broker has {limit} at most: ask for it without values \
         (\"no_data\"; hub-client status --no-data), some tasks at a time (\"type\": \"tasks\"), or over HTTP"
    );
    RequestError::new(RequestErrorKind::TooLarge, message)
}

/// Whatever is there goes together; nothing waits for more.
async fn gather(link: Link, mut orders: mpsc::UnboundedReceiver<Order>, bounds: Bounds) {
    let mut turn = Vec::with_capacity(TURN);
    while orders.recv_many(&mut turn, TURN).await > 0 {
        let (mut clients, mut flushed) = (BTreeMap::<Text, Vec<ReplyFor<Box<RawValue>>>>::new(), Vec::new());
        for order in turn.drain(..) {
            match order {
                Order::Send { address, answer } => clients.entry(address).or_default().push(answer),
                Order::Flush(done) => flushed.push(done),
            }
        }
        for (address, replies) in clients {
            let messages = bounds.divide(replies, |reply| FRAME + reply.reply.get().len());
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
            event => panic!("{event:?} is no answer"),
        }
    }

    #[test]
    fn only_addresses_that_the_broker_hands_out_are_answered() {
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
    async fn who_reads_many_gets_what_is_given_at_once_in_one_message_and_others_get_each() {
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
