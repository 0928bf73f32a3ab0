//! A client of the broker that can send arbitrary messages.

use std::sync::Arc;
use std::time::Duration;

use hub_transport::amqp::AmqpSettings;
use hub_transport::topology::{ExchangeKind, Queue, QueueKind};
use hub_transport::{Message, Outcome, Publisher, Session, Settlement, SubscribeOptions, Subscription, Topology};
use serde_json::Value;
use tokio::runtime::Runtime;

use crate::{Broker, DEADLINE};

/// A connection to the broker with a queue for replies.
pub struct RawClient {
    runtime: Runtime,
    session: Arc<dyn Session>,
    publisher: Arc<dyn Publisher>,
    address: String,
    answers: Subscription,
}

impl RawClient {
    /// Connects to the broker.
    ///
    /// # Panics
    /// If it cannot be reached.
    #[must_use]
    pub fn connect(broker: &Broker) -> Self {
        let runtime = Runtime::new().expect("a runtime starts");
        let address = broker.address().parse().expect("the broker has an address");
        let transport = hub_lapin::transport(AmqpSettings::new(address)).expect("the address can be used");
        let (session, publisher, inbox) = runtime.block_on(async {
            let session = transport.connect().await.expect("the broker answers");
            let publisher = session.publisher(64).await.expect("publishing is allowed");
            let inbox = session.inbox().await.expect("a queue of one's own is allowed");
            (session, publisher, inbox)
        });
        Self { runtime, session, publisher, address: inbox.address, answers: inbox.subscription }
    }

    /// Publishes a message and waits for the confirm.
    ///
    /// # Panics
    /// If the broker does not confirm it.
    pub fn send(&self, message: Message) {
        let outcome = self.runtime.block_on(async { self.publisher.publish(message).await.expect("it is sent").await });
        assert!(matches!(outcome, Outcome::Confirmed), "{outcome:?}");
    }

    /// Publishes a message and waits for the reply.
    ///
    /// # Panics
    /// If there is no reply, or it is not JSON.
    pub fn ask(&mut self, mut message: Message) -> Value {
        message.reply_to = Some(self.address.as_str().into());
        let shown = String::from_utf8_lossy(&message.body).into_owned();
        self.send(message);
        let answers = &mut self.answers;
        self.runtime.block_on(async {
            let delivery = tokio::time::timeout(DEADLINE, answers.deliveries.recv()).await;
            let delivery = delivery.unwrap_or_else(|_| panic!("no answer to {shown}")).expect("the session lives");
            answers.settler.settle(delivery.tag, Settlement::Ack, false).await.expect("it is settled once");
            serde_json::from_slice(&delivery.message.body).expect("an answer is JSON")
        })
    }

    /// Consumes a message without acknowledging it, and waits until the broker requeues it.
    ///
    /// # Panics
    /// If the broker does not requeue it within `limit`.
    pub fn expect_consumer_timeout(&self, limit: Duration) {
        const KEPT: &str = "kept";
        let keeping = async {
            let queue = Queue::new(KEPT, QueueKind::Quorum);
            let topology = Topology::default().exchange(KEPT, ExchangeKind::Fanout, None).queue(queue);
            self.session.declare(&topology.bind(KEPT, KEPT, "")).await.expect("a queue can be declared");
            let options = SubscribeOptions { prefetch: 1, exclusive: false };
            let mut kept = self.session.subscribe(KEPT, options).await.expect("it can be read");
            let message = Message::new(KEPT, "", &b"kept"[..]);
            let outcome = self.publisher.publish(message).await.expect("it is sent").await;
            assert!(matches!(outcome, Outcome::Confirmed), "{outcome:?}");
            assert!(kept.deliveries.recv().await.is_some(), "nothing came");
            assert!(kept.deliveries.recv().await.is_none(), "something else came");
        };
        let lost = self.runtime.block_on(async { tokio::time::timeout(limit, keeping).await });
        assert!(lost.is_ok(), "the broker did not take a message back within {limit:?}");
    }
}
