//! Cases of sessions and queues.

use super::fixture::Fixture;
use super::steps::{
    DEADLINE, connect, create, next, of_session, publish, quorum, subscribe, text, to, unique, with_queue,
    within_deadline,
};
use crate::supervisor::declare;
use crate::topology::{ExchangeKind, Queue, QueueKind};
use crate::{ErrorKind, Health, Message, Outcome, Session, Settlement, SubscribeOptions, Topology};

pub(super) async fn a_deleted_queue_ends_its_subscription(fixture: &dyn Fixture) {
    let session = connect(fixture).await;
    let queue = quorum(fixture, &*session, "deleted").await;
    let mut subscription = subscribe(&*session, &queue, 10).await;
    fixture.delete_queue(&queue).await;
    assert!(within_deadline("the end", subscription.deliveries.recv()).await.is_none());
    let options = SubscribeOptions { prefetch: 1, exclusive: false };
    let error = session.subscribe(&queue, options).await.expect_err("it is gone");
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

/// Waits until `expected` messages wait in a queue, since the broker's count may lag behind its confirms.
async fn counted(session: &dyn Session, queue: &str, expected: u64) {
    within_deadline("the count", async {
        while session.ready(queue).await.expect("the queue is there") != expected {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

pub(super) async fn waiting_messages_are_counted(fixture: &dyn Fixture) {
    let session = connect(fixture).await;
    let queue = quorum(fixture, &*session, "counted").await;
    let counted = async |expected| counted(&*session, &queue, expected).await;
    counted(0).await;
    publish(&*session, ["1", "2", "3"].map(|body| to(&queue, body))).await;
    counted(3).await;
    let mut subscription = subscribe(&*session, &queue, 2).await;
    let first = next(&mut subscription).await;
    next(&mut subscription).await;
    // Unsettled deliveries are not counted.
    counted(1).await;
    subscription.settler.settle(first.tag, Settlement::Ack, false).await.expect("it is settled once");
    counted(0).await;
    let error = session.ready(&unique("no such queue")).await.expect_err("there is no such queue");
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    // The session is still usable after the request for a missing queue.
    counted(0).await;
}

pub(super) async fn replies_reach_the_inbox_of_their_session(fixture: &dyn Fixture) {
    let (asker, answerer) = (connect(fixture).await, connect(fixture).await);
    let mut inbox = asker.inbox().await.expect("there is a place for replies");
    publish(&*answerer, [to(&inbox.address, "an answer").transient()]).await;
    assert_eq!(text(&next(&mut inbox.subscription).await), "an answer");
}

pub(super) async fn the_inbox_is_deleted_with_its_session(fixture: &dyn Fixture) {
    let (asker, answerer) = (connect(fixture).await, connect(fixture).await);
    let inbox = asker.inbox().await.expect("there is a place for replies");
    asker.close(DEADLINE).await.expect("nothing is open");
    let publisher = answerer.publisher(1).await.expect("a publisher can be had");
    let gone = within_deadline("the place goes", async {
        loop {
            let mut late = to(&inbox.address, "too late").transient();
            late.mandatory = true;
            let receipt = publisher.publish(late).await.expect("it is taken");
            if matches!(receipt.await, Outcome::Unroutable) {
                return true;
            }
        }
    })
    .await;
    assert!(gone);
}

pub(super) async fn a_closed_session_refuses_operations(fixture: &dyn Fixture) {
    let session = connect(fixture).await;
    let queue = quorum(fixture, &*session, "closed").await;
    let publisher = session.publisher(10).await.expect("a publisher can be had");
    let mut subscription = subscribe(&*session, &queue, 10).await;
    session.close(DEADLINE).await.expect("nothing is open");
    assert!(matches!(&*session.health().borrow(), Health::Closed(_)));
    assert!(within_deadline("the end", subscription.deliveries.recv()).await.is_none());
    match publisher.publish(to(&queue, "x")).await {
        Err(_) => {}
        Ok(receipt) => assert!(matches!(within_deadline("an outcome", receipt).await, Outcome::Unknown(_))),
    }
    assert!(session.declare(&Topology::default().queue(Queue::new(&queue, QueueKind::Quorum))).await.is_err());
}

pub(super) async fn exclusive_queues_are_released_when_a_session_is_closed_after_a_failure(fixture: &dyn Fixture) {
    let first = connect(fixture).await;
    let held = Topology::default().queue(Queue::new(unique("held"), QueueKind::Exclusive));
    first.declare(&held).await.expect("it is new");
    let publisher = first.publisher(10).await.expect("a publisher can be had");
    // On some brokers, this failure ends the session.
    let nowhere = Message::new(unique("no such exchange"), "", "x");
    if let Ok(receipt) = publisher.publish(nowhere).await {
        drop(receipt.await);
    }
    first.close(DEADLINE).await.expect("nothing is open");
    // RabbitMQ confirms the close shortly before it releases the exclusive queues of the connection.
    let declare_again = async {
        while let Err(error) = connect(fixture).await.declare(&held).await {
            assert_eq!(error.kind(), ErrorKind::InUse, "{error}");
        }
    };
    within_deadline("the queue is free", declare_again).await;
}

pub(super) async fn declaring_is_idempotent_and_other_properties_conflict(fixture: &dyn Fixture) {
    let session = connect(fixture).await;
    let queue = Queue::new(unique("again"), QueueKind::Quorum);
    let topology = Topology::default().queue(queue.clone());
    session.declare(&topology).await.expect("once");
    session.declare(&topology).await.expect("twice");
    let other = Queue { delivery_limit: Some(7), ..queue };
    let error = session.declare(&Topology::default().queue(other)).await.expect_err("it is another queue");
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
}

pub(super) async fn a_queue_that_may_be_adopted_is_used_unchanged(fixture: &dyn Fixture) {
    let session = connect(fixture).await;
    let (exchange, taken, own) = (unique("adopting"), unique("taken"), unique("own"));
    let foreign = Queue { delivery_limit: Some(7), ..Queue::new(&taken, QueueKind::Quorum) };
    session.declare(&Topology::default().queue(foreign)).await.expect("somebody else declares it");
    let wanted = |adopt| {
        Topology::default()
            .exchange(&exchange, ExchangeKind::Direct, None)
            .queue(Queue { adopt, ..Queue::new(&taken, QueueKind::Quorum) })
            .queue(Queue { adopt, ..Queue::new(&own, QueueKind::Quorum) })
            .bind(&exchange, &taken, "a")
            .bind(&exchange, &own, "b")
    };
    let error = declare(&*session, &wanted(false)).await.expect_err("it may not be adopted");
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    let session = connect(fixture).await;
    let conflicts = declare(&*session, &wanted(true)).await.expect("it is adopted");
    assert_eq!(conflicts.iter().map(|conflict| &conflict.queue).collect::<Vec<_>>(), [&taken]);
    let publisher = session.publisher(8).await.expect("a publisher");
    for (key, queue) in [("a", &taken), ("b", &own)] {
        let receipt = publisher.publish(Message::new(&exchange, key, "x")).await.expect("it is taken");
        assert!(matches!(within_deadline("an outcome", receipt).await, Outcome::Confirmed), "{queue}");
        assert_eq!(text(&next(&mut subscribe(&*session, queue, 1).await).await), "x", "{queue}");
    }
}

pub(super) async fn topic_and_fanout_exchanges_route(fixture: &dyn Fixture) {
    let session = connect(fixture).await;
    let (topic, fanout) = (unique("topic"), unique("fanout"));
    let (some, all) = (unique("some"), unique("all"));
    let topology = Topology::default()
        .exchange(&topic, ExchangeKind::Topic, None)
        .exchange(&fanout, ExchangeKind::Fanout, None)
        .queue(Queue::new(&some, QueueKind::Quorum))
        .queue(Queue::new(&all, QueueKind::Quorum))
        .bind(&topic, &some, "a.*")
        .bind(&topic, &all, "#")
        .bind(&fanout, &some, "")
        .bind(&fanout, &all, "");
    create(fixture, &*session, &topology).await;
    let messages = [(&topic, "a.b"), (&topic, "a.b.c"), (&topic, "a"), (&fanout, "whatever")];
    publish(&*session, messages.map(|(exchange, key)| Message::new(exchange, key, key))).await;
    let (mut of_some, mut of_all) = (subscribe(&*session, &some, 10).await, subscribe(&*session, &all, 10).await);
    for key in ["a.b", "whatever"] {
        assert_eq!(text(&next(&mut of_some).await), key);
    }
    for key in ["a.b", "a.b.c", "a", "whatever"] {
        assert_eq!(text(&next(&mut of_all).await), key);
    }
}

pub(super) async fn a_queue_of_a_session_is_deleted_with_it(fixture: &dyn Fixture) {
    let (owner, other) = (connect(fixture).await, connect(fixture).await);
    let queue = of_session(&*owner, "its own").await;
    publish(&*other, [to(&queue, "x")]).await;
    assert_eq!(text(&next(&mut subscribe(&*owner, &queue, 1).await).await), "x");
    owner.close(DEADLINE).await.expect("nothing is open");
    let options = SubscribeOptions { prefetch: 1, exclusive: false };
    within_deadline("it goes", async {
        loop {
            // A refusal can end a session, so each attempt uses a new one.
            let subscribed = connect(fixture).await.subscribe(&queue, options).await;
            if subscribed.is_err_and(|error| error.kind() == ErrorKind::NotFound) {
                return;
            }
        }
    })
    .await;
}

pub(super) async fn an_exclusive_queue_is_refused_to_other_sessions(fixture: &dyn Fixture) {
    let (owner, other) = (connect(fixture).await, connect(fixture).await);
    let queue = of_session(&*owner, "exclusive").await;
    subscribe(&*owner, &queue, 1).await;
    let again = Topology::default().queue(Queue::new(&queue, QueueKind::Exclusive));
    let error = other.declare(&again).await.expect_err("it is another's");
    assert_eq!(error.kind(), ErrorKind::InUse, "{error}");
    assert!(error.is_retryable() && error.is_in_use(&queue), "{error}");
    owner.declare(&again).await.expect("it is its own");
    let other = connect(fixture).await;
    let options = SubscribeOptions { prefetch: 1, exclusive: false };
    let error = other.subscribe(&queue, options).await.expect_err("it is another's");
    assert!(error.is_in_use(&queue), "{error}");
    owner.close(DEADLINE).await.expect("nothing is open");
    let third = connect(fixture).await;
    let kind = within_deadline("it goes", async {
        loop {
            let error = third.subscribe(&queue, options).await.expect_err("it is not here for others");
            if error.kind() != ErrorKind::InUse {
                return error.kind();
            }
        }
    })
    .await;
    assert_eq!(kind, ErrorKind::NotFound);
}

pub(super) async fn one_consumer_is_active_at_a_time(fixture: &dyn Fixture) {
    let (first, second) = (connect(fixture).await, connect(fixture).await);
    let queue = Queue { single_active_consumer: true, ..Queue::new(unique("single"), QueueKind::Quorum) };
    let queue = with_queue(fixture, &*first, queue).await;
    let mut active = subscribe(&*first, &queue, 1).await;
    let mut waiting = subscribe(&*second, &queue, 1).await;
    publish(&*second, (0..3).map(|at| to(&queue, at.to_string()))).await;
    assert_eq!(text(&next(&mut active).await), "0");
    assert!(waiting.deliveries.try_recv().is_err(), "it has room, and is not served");
    first.close(DEADLINE).await.expect("nothing is open");
    assert_eq!(text(&next(&mut waiting).await), "0", "the other takes over where the first left off");
}

pub(super) async fn a_cancelled_subscription_receives_no_further_messages(fixture: &dyn Fixture) {
    let session = connect(fixture).await;
    let queue = quorum(fixture, &*session, "cancelled").await;
    publish(&*session, [to(&queue, "before")]).await;
    let mut subscription = subscribe(&*session, &queue, 10).await;
    let before = next(&mut subscription).await;
    within_deadline("cancelling", subscription.settler.cancel()).await.expect("it can be cancelled");
    publish(&*session, [to(&queue, "after")]).await;
    assert!(within_deadline("the end", subscription.deliveries.recv()).await.is_none());
    subscription.settler.settle(before.tag, Settlement::Ack, false).await.expect("what was delivered stays open");
    let mut other = subscribe(&*session, &queue, 10).await;
    assert_eq!(text(&next(&mut other).await), "after");
}
