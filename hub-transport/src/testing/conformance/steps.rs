//! Steps that cases have in common.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::fixture::Fixture;
use crate::topology::{Queue, QueueKind};
use crate::{Delivery, Health, Message, Outcome, Session, SubscribeOptions, Subscription, Topology};

/// Longer than anything takes on a busy machine; reached only when something hangs.
pub(super) const DEADLINE: Duration = Duration::from_secs(60);

/// A name that nobody else uses.
pub(super) fn unique(what: &str) -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("conformance.{}.{}.{what}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

pub(super) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(DEADLINE, future).await {
        Ok(value) => value,
        Err(_) => panic!("{what}: not within {DEADLINE:?}"),
    }
}

pub(super) async fn connect(fixture: &dyn Fixture) -> Arc<dyn Session> {
    soon("connecting", fixture.transport().connect()).await.expect("the broker can be reached")
}

/// Connects again after a disturbance.
pub(super) async fn reconnect(fixture: &dyn Fixture) -> Arc<dyn Session> {
    soon("connecting again", async {
        loop {
            if let Ok(session) = fixture.transport().connect().await {
                return session;
            }
            tokio::task::yield_now().await;
        }
    })
    .await
}

/// Makes everything in `topology` exist: by declaring it, or where the backend cannot, as the broker's operators do.
pub(super) async fn exists(fixture: &dyn Fixture, session: &dyn Session, topology: &Topology) {
    if fixture.transport().capabilities().declares {
        session.declare(topology).await.expect("it can be declared");
    } else {
        fixture.provide(topology).await;
    }
}

/// A queue that stays when the session ends.
pub(super) async fn with_queue(fixture: &dyn Fixture, session: &dyn Session, queue: Queue) -> String {
    let name = queue.name.clone();
    exists(fixture, session, &Topology::default().queue(queue)).await;
    name
}

pub(super) async fn quorum(fixture: &dyn Fixture, session: &dyn Session, what: &str) -> String {
    with_queue(fixture, session, Queue::new(unique(what), QueueKind::Quorum)).await
}

/// A queue that goes with the session.
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
        receipts.push(soon("room in the window", publisher.publish(message)).await.expect("it is taken"));
    }
    for receipt in receipts {
        let outcome = soon("a confirm", receipt).await;
        assert!(matches!(outcome, Outcome::Confirmed), "{outcome:?}");
    }
}

pub(super) async fn subscribe(session: &dyn Session, queue: &str, prefetch: u16) -> Subscription {
    let options = SubscribeOptions { prefetch, exclusive: false };
    soon("subscribing", session.subscribe(queue, options)).await.expect("it can be consumed")
}

pub(super) async fn next(subscription: &mut Subscription) -> Delivery {
    soon("a delivery", subscription.deliveries.recv()).await.expect("the subscription lives")
}

pub(super) fn text(delivery: &Delivery) -> String {
    String::from_utf8_lossy(&delivery.message.body).into_owned()
}

pub(super) async fn over(session: &dyn Session) {
    let mut health = session.health();
    let _ = soon("the session ends", health.wait_for(|health| matches!(health, Health::Closed(_)))).await;
}
