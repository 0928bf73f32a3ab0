//! Common steps of the cases.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::fixture::Fixture;
use crate::topology::{Queue, QueueKind};
use crate::{Delivery, Health, Message, Outcome, Session, SubscribeOptions, Subscription, Topology};

/// Maximum time of each step, even on a busy machine.
pub(super) const DEADLINE: Duration = Duration::from_secs(60);

/// A unique name.
pub(super) fn unique(what: &str) -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("conformance.{}.{}.{what}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

pub(super) async fn within_deadline<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(DEADLINE, future).await {
        Ok(value) => value,
        Err(_) => panic!("{what}: not within {DEADLINE:?}"),
    }
}

pub(super) async fn connect(fixture: &dyn Fixture) -> Arc<dyn Session> {
    within_deadline("connecting", fixture.transport().connect()).await.expect("the broker can be reached")
}

/// Reconnects after a fault.
pub(super) async fn reconnect(fixture: &dyn Fixture) -> Arc<dyn Session> {
    within_deadline("connecting again", async {
        loop {
            if let Ok(session) = fixture.transport().connect().await {
                return session;
            }
            tokio::task::yield_now().await;
        }
    })
    .await
}

/// Creates `topology` by declaring it, or, if the backend cannot declare, through the fixture.
pub(super) async fn create(fixture: &dyn Fixture, session: &dyn Session, topology: &Topology) {
    if fixture.transport().capabilities().declares {
        session.declare(topology).await.expect("it can be declared");
    } else {
        fixture.provide(topology).await;
    }
}

/// Creates a queue that outlives the session.
pub(super) async fn with_queue(fixture: &dyn Fixture, session: &dyn Session, queue: Queue) -> String {
    let name = queue.name.clone();
    create(fixture, session, &Topology::default().queue(queue)).await;
    name
}

pub(super) async fn quorum(fixture: &dyn Fixture, session: &dyn Session, what: &str) -> String {
    with_queue(fixture, session, Queue::new(unique(what), QueueKind::Quorum)).await
}

/// Creates a queue that is deleted with the session.
pub(super) async fn of_session(session: &dyn Session, what: &str) -> String {
    let name = unique(what);
    let topology = Topology::default().queue(Queue::new(&name, QueueKind::Exclusive));
    session.declare(&topology).await.expect("a session can have queues of its own");
    name
}

pub(super) fn to(queue: &str, body: impl Into<crate::Bytes>) -> Message {
    Message::new("", queue, body)
}

pub(super) async fn publish(session: &dyn Session, messages: impl IntoIterator<Item = Message>) {
    let publisher = session.publisher(256).await.expect("a publisher can be had");
    let mut receipts = Vec::new();
    for message in messages {
        receipts.push(within_deadline("room in the window", publisher.publish(message)).await.expect("it is taken"));
    }
    for receipt in receipts {
        let outcome = within_deadline("a confirm", receipt).await;
        assert!(matches!(outcome, Outcome::Confirmed), "{outcome:?}");
    }
}

pub(super) async fn subscribe(session: &dyn Session, queue: &str, prefetch: u16) -> Subscription {
    let options = SubscribeOptions { prefetch, exclusive: false };
    within_deadline("subscribing", session.subscribe(queue, options)).await.expect("it can be consumed")
}

pub(super) async fn next(subscription: &mut Subscription) -> Delivery {
    within_deadline("a delivery", subscription.deliveries.recv()).await.expect("the subscription lives")
}

pub(super) fn text(delivery: &Delivery) -> String {
    String::from_utf8_lossy(&delivery.message.body).into_owned()
}

pub(super) async fn ended(session: &dyn Session) {
    let mut health = session.health();
    let _ = within_deadline("the session ends", health.wait_for(|health| matches!(health, Health::Closed(_)))).await;
}
