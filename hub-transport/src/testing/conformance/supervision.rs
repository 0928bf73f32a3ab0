//! Cases of the supervisor.

use std::collections::BTreeSet;
use std::time::Duration;

use super::fixture::Fixture;
use super::steps::{DEADLINE, text, to, unique, within_deadline};
use crate::supervisor::{Backoff, Link, LinkEvent, Plan, Subscribe, SubscriptionId};
use crate::topology::{Queue, QueueKind};
use crate::{Outcome, Settlement, SubscribeOptions, Topology};

/// Maximum number of publishes without an outcome.
const WINDOW: usize = 100;

/// The plan of a link with one queue. If the link cannot declare the queue, it is created first.
async fn plan(fixture: &dyn Fixture, queue: &str) -> Plan {
    let topology = Topology::default().queue(Queue::new(queue, QueueKind::Quorum));
    if !fixture.transport().capabilities().declares {
        fixture.provide(&topology).await;
    }
    Plan {
        foundation: None,
        topology,
        subscriptions: vec![Subscribe::new(queue, SubscribeOptions { prefetch: 50, exclusive: false })],
        inbox: true,
        window: WINDOW,
        backoff: Backoff { cap: Duration::from_secs(1), ..Backoff::default() },
        seed: 1,
    }
}

pub(super) async fn the_supervisor_reconnects_and_subscribes_again(fixture: &dyn Fixture) {
    const COUNT: usize = 2000;
    let queue = unique("supervised");
    let (link, mut events) = Link::start(fixture.transport(), plan(fixture, &queue).await);
    let publishing = async {
        let mut texts: Vec<String> = (0..COUNT).map(|at| at.to_string()).collect();
        while !texts.is_empty() {
            // More messages than the window. Unknown outcomes are published again, as in the engine.
            let batch: Vec<String> = texts.drain(..texts.len().min(WINDOW * 5 / 2)).collect();
            let messages = batch.iter().map(|text| to(&queue, text.clone())).collect();
            let outcomes = within_deadline("the outcomes", link.publish_all(messages)).await;
            assert_eq!(outcomes.len(), batch.len());
            let lost = batch.into_iter().zip(outcomes).filter(|(_, outcome)| !matches!(outcome, Outcome::Confirmed));
            texts.extend(lost.map(|(text, _)| text));
        }
    };
    let consuming = async {
        let (mut seen, mut inboxes) = (BTreeSet::new(), BTreeSet::new());
        while seen.len() < COUNT {
            match within_deadline("an event", events.next()).await.expect("the link lives") {
                LinkEvent::Up { inbox, .. } => drop(inboxes.insert(inbox.expect("it was planned"))),
                LinkEvent::Delivery(SubscriptionId(0), at, delivery) => {
                    seen.insert(text(&delivery));
                    let _ = link.settle(at, Settlement::Ack, false).await;
                    if [COUNT / 4, COUNT / 2].contains(&seen.len()) {
                        fixture.drop_connections().await;
                    }
                }
                _ => {}
            }
        }
        inboxes.len()
    };
    let ((), sessions) = tokio::join!(publishing, consuming);
    assert!(sessions >= 2, "the connections were dropped, and each session has a queue for replies");
    link.close(DEADLINE).await.expect("everything has its outcome");
    assert!(link.is_closed());
}

pub(super) async fn the_supervisor_subscribes_again_to_a_deleted_queue(fixture: &dyn Fixture) {
    let queue = unique("never deaf");
    let (link, mut events) = Link::start(fixture.transport(), plan(fixture, &queue).await);
    let mut receive = async |expected: &str| {
        within_deadline(expected, async {
            loop {
                if let Some(LinkEvent::Delivery(_, at, delivery)) = events.next().await {
                    let _ = link.settle(at, Settlement::Ack, false).await;
                    if text(&delivery) == expected {
                        return;
                    }
                }
            }
        })
        .await;
    };
    while !matches!(within_deadline("an outcome", link.publish(to(&queue, "before"))).await, Outcome::Confirmed) {}
    receive("before").await;
    fixture.delete_queue(&queue).await;
    let mut again = to(&queue, "after");
    again.mandatory = true;
    within_deadline("the queue is back", async {
        while !matches!(link.publish(again.clone()).await, Outcome::Confirmed) {}
    })
    .await;
    receive("after").await;
    link.close(DEADLINE).await.expect("everything has its outcome");
}

pub(super) async fn the_supervisor_settles_several_deliveries_with_one_call(fixture: &dyn Fixture) {
    let queue = unique("many");
    let plan = plan(fixture, &queue).await;
    let (link, mut events) = Link::start(fixture.transport(), plan.clone());
    let messages = (0..10).map(|at| to(&queue, at.to_string())).collect();
    let outcomes = within_deadline("the outcomes", link.publish_all(messages)).await;
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Outcome::Confirmed)), "{outcomes:?}");
    let mut delivered = Vec::new();
    while delivered.len() < 10 {
        if let LinkEvent::Delivery(_, at, _) = within_deadline("an event", events.next()).await.expect("the link lives")
        {
            delivered.push(at);
        }
    }
    link.settle(delivered[2], Settlement::Ack, false).await.expect("it is open");
    link.settle(delivered[6], Settlement::Ack, true).await.expect("it is open");
    link.close(DEADLINE).await.expect("everything has its outcome");
    // The remaining messages are delivered to the next link.
    let (link, mut events) = Link::start(fixture.transport(), plan);
    let mut again = BTreeSet::new();
    while again.len() < 3 {
        if let LinkEvent::Delivery(_, at, delivery) =
            within_deadline("an event", events.next()).await.expect("the link lives")
        {
            again.insert(text(&delivery));
            link.settle(at, Settlement::Ack, false).await.expect("it is open");
        }
    }
    assert_eq!(again.into_iter().collect::<Vec<_>>(), ["7", "8", "9"]);
    link.close(DEADLINE).await.expect("everything has its outcome");
}
