//! Cases of messages that the broker cannot deliver or accept.

use super::fixture::Fixture;
use super::steps::{connect, create, next, publish, quorum, subscribe, text, to, unique, within_deadline};
use crate::topology::{DeadLetter, ExchangeKind, Queue, QueueKind};
use crate::{ErrorKind, Health, Message, Outcome, Session, Settlement, Topology};

/// Creates a queue, optionally with a delivery limit, and a second queue for its dead letters.
async fn with_dead_letters(fixture: &dyn Fixture, session: &dyn Session, limit: Option<u32>) -> (String, String) {
    let (queue, dead) = (unique("living"), unique("dead"));
    let letters = DeadLetter { exchange: dead.clone(), routing_key: None };
    let topology = Topology::default()
        .exchange(&dead, ExchangeKind::Fanout, None)
        .queue(Queue::new(&dead, QueueKind::Quorum))
        .queue(Queue { dead_letter: Some(letters), delivery_limit: limit, ..Queue::new(&queue, QueueKind::Quorum) })
        .bind(&dead, &dead, "");
    create(fixture, session, &topology).await;
    (queue, dead)
}

pub(super) async fn rejected_messages_are_dead_lettered_with_their_death(fixture: &dyn Fixture) {
    let session = connect(fixture).await;
    let (queue, dead) = with_dead_letters(fixture, &*session, None).await;
    publish(&*session, [to(&queue, "poison").with_message_id("p")]).await;
    let mut subscription = subscribe(&*session, &queue, 10).await;
    let delivery = next(&mut subscription).await;
    subscription.settler.settle(delivery.tag, Settlement::DeadLetter, false).await.expect("it is open");
    let mut letters = subscribe(&*session, &dead, 10).await;
    let letter = next(&mut letters).await;
    assert_eq!((text(&letter), letter.message.message_id.as_deref()), ("poison".to_owned(), Some("p")));
    let death = letter.death.expect("it says how it died");
    assert_eq!((death.queue, &*death.reason), (queue, "rejected"));
}

pub(super) async fn messages_past_the_delivery_limit_are_dead_lettered(fixture: &dyn Fixture) {
    let session = connect(fixture).await;
    let (queue, dead) = with_dead_letters(fixture, &*session, Some(2)).await;
    publish(&*session, [to(&queue, "deadly")]).await;
    let mut subscription = subscribe(&*session, &queue, 10).await;
    let mut letters = subscribe(&*session, &dead, 10).await;
    let mut deliveries = 0;
    let letter = within_deadline("the dead letter", async {
        loop {
            tokio::select! {
                Some(delivery) = subscription.deliveries.recv() => {
                    deliveries += 1;
                    subscription.settler.settle(delivery.tag, Settlement::Requeue, false).await.expect("it is open");
                }
                Some(letter) = letters.deliveries.recv() => return letter,
            }
        }
    })
    .await;
    assert_eq!(deliveries, 3, "once, and twice again");
    assert_eq!(letter.death.expect("it says how it died").reason, "delivery_limit");
}

pub(super) async fn a_mandatory_message_without_a_queue_is_unroutable(fixture: &dyn Fixture) {
    let session = connect(fixture).await;
    let queue = quorum(fixture, &*session, "mandatory").await;
    let publisher = session.publisher(10).await.expect("a publisher can be had");
    for at in 0..10 {
        let mut lost = to(&unique("nowhere"), "x");
        lost.mandatory = true;
        let mut found = to(&queue, "x");
        found.mandatory = true;
        let (lost, found) =
            (publisher.publish(lost).await.expect("sent"), publisher.publish(found).await.expect("sent"));
        assert!(matches!(within_deadline("a return", lost).await, Outcome::Unroutable), "{at}");
        assert!(matches!(within_deadline("a confirm", found).await, Outcome::Confirmed), "{at}");
    }
}

pub(super) async fn an_alternate_exchange_receives_unroutable_messages(fixture: &dyn Fixture) {
    let session = connect(fixture).await;
    let (exchange, alternate) = (unique("exchange"), unique("alternate"));
    let topology = Topology::default()
        .exchange(&alternate, ExchangeKind::Fanout, None)
        .exchange(&exchange, ExchangeKind::Direct, Some(&alternate))
        .queue(Queue::new(&alternate, QueueKind::Quorum))
        .bind(&alternate, &alternate, "");
    create(fixture, &*session, &topology).await;
    publish(&*session, [Message::new(&exchange, "nobody", "stray")]).await;
    let mut subscription = subscribe(&*session, &alternate, 10).await;
    let delivery = next(&mut subscription).await;
    assert_eq!((text(&delivery), &*delivery.message.routing_key), ("stray".to_owned(), "nobody"));
}

pub(super) async fn a_message_that_is_too_large_is_refused_and_the_session_stays_usable(fixture: &dyn Fixture) {
    let transport = fixture.transport();
    let limit = transport.capabilities().max_message_bytes.expect("the case needs a limit");
    let session = connect(fixture).await;
    let queue = quorum(fixture, &*session, "large").await;
    let publisher = session.publisher(10).await.expect("a publisher can be had");
    let refused = publisher.publish(to(&queue, vec![0; limit + 1])).await.expect_err("it is too large");
    assert_eq!(refused.kind(), ErrorKind::TooLarge);
    let receipt = publisher.publish(to(&queue, "small")).await.expect("the session lives");
    assert!(matches!(within_deadline("a confirm", receipt).await, Outcome::Confirmed));
}

pub(super) async fn a_blocked_broker_confirms_later_and_accepts_acknowledgements(fixture: &dyn Fixture) {
    let session = connect(fixture).await;
    let queue = quorum(fixture, &*session, "blocked").await;
    publish(&*session, [to(&queue, "before")]).await;
    let mut subscription = subscribe(&*session, &queue, 1).await;
    let before = next(&mut subscription).await;
    fixture.block().await;
    let publisher = session.publisher(10).await.expect("a publisher can be had");
    let receipt = publisher.publish(to(&queue, "during")).await.expect("it is taken");
    subscription.settler.settle(before.tag, Settlement::Ack, false).await.expect("it is open");
    fixture.unblock().await;
    assert!(matches!(within_deadline("a confirm", receipt).await, Outcome::Confirmed));
    assert_eq!(text(&next(&mut subscription).await), "during");
    assert!(matches!(&*session.health().borrow(), Health::Up | Health::Blocked(_)));
}

pub(super) async fn a_blocked_broker_is_reported(fixture: &dyn Fixture) {
    let session = connect(fixture).await;
    let queue = quorum(fixture, &*session, "says so").await;
    publish(&*session, [to(&queue, "before")]).await;
    fixture.block().await;
    let publisher = session.publisher(10).await.expect("a publisher can be had");
    let receipt = publisher.publish(to(&queue, "during")).await.expect("it is taken");
    let mut health = session.health();
    let blocked = async { health.wait_for(|health| matches!(health, Health::Blocked(_))).await.is_ok() };
    assert!(within_deadline("the session says so", blocked).await, "the session lives");
    fixture.unblock().await;
    assert!(matches!(within_deadline("a confirm", receipt).await, Outcome::Confirmed));
    let up = async { health.wait_for(|health| matches!(health, Health::Up)).await.is_ok() };
    assert!(within_deadline("and that it is over", up).await, "the session lives");
}
