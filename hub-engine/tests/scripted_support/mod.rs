//! A scripted dispatcher.

use std::time::Duration;

use hub_engine::wire::Names;
use hub_transport::memory::MemoryBroker;
use hub_transport::{Delivery, Message, Outcome, Publisher, Settlement, SubscribeOptions, Subscription, Text};

/// Timeout of all waits, which is reached only if something hangs.
pub(crate) const DEADLINE: Duration = Duration::from_secs(300);

/// Receives messages of the client, and answers as scripted.
pub(crate) struct Scripted {
    pub(crate) publisher: std::sync::Arc<dyn Publisher>,
    pub(crate) requests: Subscription,
    pub(crate) jobs: Subscription,
    /// Dropping it would end the connection.
    _session: std::sync::Arc<dyn hub_transport::Session>,
}

impl Scripted {
    pub(crate) async fn start(broker: &MemoryBroker) -> Self {
        let session = broker.transport().connect().await.unwrap();
        let names = Names::new("hub");
        session.declare(&names.dispatcher_topology("scripted")).await.unwrap();
        let options = SubscribeOptions { prefetch: 16, exclusive: false };
        Self {
            publisher: session.publisher(16).await.unwrap(),
            requests: session.subscribe(&names.requests_queue(), options).await.unwrap(),
            jobs: session.subscribe(&names.jobs_queue(), options).await.unwrap(),
            _session: session,
        }
    }

    pub(crate) async fn request(&mut self) -> Message {
        next(&mut self.requests).await.message
    }

    pub(crate) async fn job(&mut self) -> Message {
        next(&mut self.jobs).await.message
    }

    pub(crate) async fn reply(&self, to: &Message, body: impl AsRef<[u8]>) {
        self.reply_as(to, to.correlation_id.clone(), body).await;
    }

    pub(crate) async fn reply_as(&self, to: &Message, correlation_id: Option<Text>, body: impl AsRef<[u8]>) {
        let mut message = Message::new("", to.reply_to.clone().unwrap(), body.as_ref().to_vec()).transient();
        message.correlation_id = correlation_id;
        assert!(matches!(self.publisher.publish(message).await.unwrap().await, Outcome::Confirmed));
    }
}

/// The next delivery, acknowledged.
pub(crate) async fn next(subscription: &mut Subscription) -> Delivery {
    let delivery = tokio::time::timeout(DEADLINE, subscription.deliveries.recv()).await;
    let delivery = delivery.expect("nothing came").expect("the subscription ended");
    subscription.settler.settle(delivery.tag, Settlement::Ack, false).await.unwrap();
    delivery
}
