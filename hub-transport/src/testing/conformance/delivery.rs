//! Cases of delivery: content, order, prefetch and redelivery.

use std::collections::BTreeSet;

use super::fixture::Fixture;
use super::steps::{DEADLINE, connect, ended, next, publish, quorum, reconnect, subscribe, text, to, within_deadline};
use crate::{ErrorKind, Settlement};

pub(super) async fn published_messages_are_confirmed_and_arrive_unchanged(fixture: &dyn Fixture) {
    let session = connect(fixture).await;
    let queue = quorum(fixture, &*session, "whole").await;
    let body: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    let mut message = to(&queue, body.clone()).with_message_id("an id");
    message.correlation_id = Some("a correlation".into());
    message.reply_to = Some("a place".into());
    message.content_type = Some("application/json".into());
    let message = message.with_header("wait_ms", "250").with_header("empty", "");
    publish(&*session, [message.clone(), to(&queue, "")]).await;
    let mut subscription = subscribe(&*session, &queue, 10).await;
    let delivery = next(&mut subscription).await;
    assert_eq!(delivery.message.body, body);
    assert_eq!(delivery.message.message_id, message.message_id);
    assert_eq!(delivery.message.correlation_id, message.correlation_id);
    assert_eq!(delivery.message.reply_to, message.reply_to);
    assert_eq!(delivery.message.content_type, message.content_type);
    assert_eq!(delivery.message.headers, message.headers);
    assert_eq!(delivery.message.persistence, message.persistence);
    assert_eq!((delivery.redelivered, delivery.death), (false, None));
    assert!(next(&mut subscription).await.message.body.is_empty());
}

pub(super) async fn messages_survive_a_restart_of_the_broker(fixture: &dyn Fixture) {
    let session = connect(fixture).await;
    let queue = quorum(fixture, &*session, "durable").await;
    publish(&*session, (0..50).map(|at| to(&queue, at.to_string()))).await;
    fixture.restart().await;
    ended(&*session).await;
    let session = reconnect(fixture).await;
    let mut subscription = subscribe(&*session, &queue, 100).await;
    for at in 0..50 {
        assert_eq!(text(&next(&mut subscription).await), at.to_string());
    }
}

pub(super) async fn unsettled_deliveries_do_not_exceed_the_prefetch(fixture: &dyn Fixture) {
    let session = connect(fixture).await;
    let queue = quorum(fixture, &*session, "prefetch").await;
    publish(&*session, (0..10).map(|at| to(&queue, at.to_string()))).await;
    let mut first = subscribe(&*session, &queue, 3).await;
    let mut tags = Vec::new();
    for _ in 0..3 {
        tags.push(next(&mut first).await.tag);
    }
    // The second consumer receives the rest, so the first one has not received more than three.
    let mut second = subscribe(&*session, &queue, 100).await;
    for _ in 0..7 {
        next(&mut second).await;
    }
    assert!(first.deliveries.try_recv().is_err());
    first.settler.settle(tags[2], Settlement::Requeue, false).await.expect("it is open");
    // Either consumer may receive it.
    within_deadline("the requeued one", async {
        tokio::select! {
            Some(_) = first.deliveries.recv() => {}
            Some(_) = second.deliveries.recv() => {}
        }
    })
    .await;
}

pub(super) async fn unsettled_messages_are_redelivered_after_a_dropped_session(fixture: &dyn Fixture) {
    let session = connect(fixture).await;
    let queue = quorum(fixture, &*session, "redelivered").await;
    publish(&*session, (0..3).map(|at| to(&queue, at.to_string()))).await;
    let mut subscription = subscribe(&*session, &queue, 10).await;
    let first = next(&mut subscription).await;
    subscription.settler.settle(first.tag, Settlement::Ack, false).await.expect("it is open");
    next(&mut subscription).await;
    fixture.drop_connections().await;
    ended(&*session).await;
    within_deadline("the end", async { while subscription.deliveries.recv().await.is_some() {} }).await;
    let session = reconnect(fixture).await;
    let mut subscription = subscribe(&*session, &queue, 10).await;
    let mut seen = BTreeSet::new();
    // If the acknowledgement was lost with the session, the first message is redelivered as well.
    while !seen.contains("2") {
        let delivery = next(&mut subscription).await;
        if text(&delivery) == "1" {
            assert!(delivery.redelivered);
        }
        seen.insert(text(&delivery));
    }
    assert!(seen.contains("1"));
}

pub(super) async fn order_is_kept(fixture: &dyn Fixture) {
    let session = connect(fixture).await;
    let queue = quorum(fixture, &*session, "order").await;
    publish(&*session, (0..5000).map(|at| to(&queue, at.to_string()))).await;
    let mut subscription = subscribe(&*session, &queue, 100).await;
    for at in 0..5000 {
        let delivery = next(&mut subscription).await;
        assert_eq!(text(&delivery), at.to_string());
        subscription.settler.settle(delivery.tag, Settlement::Ack, false).await.expect("it is open");
    }
}

pub(super) async fn one_acknowledgement_can_cover_several_deliveries(fixture: &dyn Fixture) {
    let session = connect(fixture).await;
    let queue = quorum(fixture, &*session, "multiple").await;
    publish(&*session, (0..10).map(|at| to(&queue, at.to_string()))).await;
    let mut subscription = subscribe(&*session, &queue, 5).await;
    let mut last = None;
    for _ in 0..5 {
        last = Some(next(&mut subscription).await.tag);
    }
    subscription.settler.settle(last.expect("five came"), Settlement::Ack, true).await.expect("it is open");
    for at in 5..10 {
        assert_eq!(text(&next(&mut subscription).await), at.to_string());
    }
    session.close(DEADLINE).await.expect("nothing is open");
    let session = connect(fixture).await;
    let mut subscription = subscribe(&*session, &queue, 10).await;
    assert_eq!(text(&next(&mut subscription).await), "5", "the first five are gone");
}

pub(super) async fn requeued_messages_are_redelivered(fixture: &dyn Fixture) {
    let session = connect(fixture).await;
    let queue = quorum(fixture, &*session, "requeue").await;
    publish(&*session, [to(&queue, "x")]).await;
    let mut subscription = subscribe(&*session, &queue, 10).await;
    for _ in 0..3 {
        let delivery = next(&mut subscription).await;
        subscription.settler.settle(delivery.tag, Settlement::Requeue, false).await.expect("it is open");
    }
    assert!(next(&mut subscription).await.redelivered);
}

pub(super) async fn deliveries_are_counted(fixture: &dyn Fixture) {
    let session = connect(fixture).await;
    let queue = quorum(fixture, &*session, "delivery count").await;
    publish(&*session, [to(&queue, "x")]).await;
    let mut subscription = subscribe(&*session, &queue, 10).await;
    let mut last = None;
    for _ in 0..3 {
        let delivery = next(&mut subscription).await;
        // The first delivery of a message may have no count.
        let count = delivery.delivery_count.unwrap_or_default();
        assert!(last.is_none_or(|last| count > last), "{count} after {last:?}");
        last = Some(count);
        subscription.settler.settle(delivery.tag, Settlement::Requeue, false).await.expect("it is open");
    }
}

pub(super) async fn settling_twice_or_late_is_stale(fixture: &dyn Fixture) {
    let session = connect(fixture).await;
    let queue = quorum(fixture, &*session, "stale").await;
    publish(&*session, (0..2).map(|at| to(&queue, at.to_string()))).await;
    let mut subscription = subscribe(&*session, &queue, 10).await;
    let (first, second) = (next(&mut subscription).await, next(&mut subscription).await);
    let settle = |tag| subscription.settler.settle(tag, Settlement::Ack, false);
    settle(first.tag).await.expect("it is open");
    assert_eq!(settle(first.tag).await.expect_err("it is settled").kind(), ErrorKind::Stale);
    session.close(DEADLINE).await.expect("nothing is open");
    assert_eq!(settle(second.tag).await.expect_err("the session is over").kind(), ErrorKind::Stale);
}
