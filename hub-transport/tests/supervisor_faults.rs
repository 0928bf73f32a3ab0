//! The supervisor under faults, and on a broker with a fixed topology.

mod memory_support;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hub_transport::memory::MemoryBroker;
use hub_transport::supervisor::{Backoff, Foundation, Link, LinkEvent, LinkEvents, Plan, Subscribe};
use hub_transport::testing::chaos::{ChaosTransport, FaultRates};
use hub_transport::testing::conformance::cases;
use hub_transport::topology::{ExchangeKind, Queue, QueueKind};
use hub_transport::{
    Capabilities, Capability, Error, ErrorKind, Health, Inbox, Message, Operation, Outcome, Publisher, Session,
    SubscribeOptions, Subscription, Topology, Transport,
};
use memory_support::Memory;
use tokio::sync::watch;

/// Under a clock that jumps whenever nothing is to be done, so that no wait takes any time.
#[tokio::test(start_paused = true)]
async fn the_supervisor_gets_everything_through_all_faults() {
    let robust = ["the_supervisor_comes_back_with_everything", "the_supervisor_subscribes_again_to_a_deleted_queue"];
    let supervised: Vec<_> = cases().into_iter().filter(|case| robust.contains(&case.name)).collect();
    assert_eq!(supervised.len(), robust.len());
    for seed in 0..20 {
        for case in &supervised {
            eprintln!("{} with seed {seed}", case.name);
            let broker = MemoryBroker::new();
            let transport = ChaosTransport::new(broker.transport(), seed, FaultRates::default());
            case.run(&Memory { broker, transport }).await;
        }
    }
}

/// What operators make: an exchange, and a queue bound to it.
fn fixed() -> Topology {
    Topology::default()
        .exchange("work", ExchangeKind::Direct, None)
        .queue(Queue::new("work.queue", QueueKind::Quorum))
        .bind("work", "work.queue", "key")
}

fn plan() -> Plan {
    let own = Topology::default().queue(Queue::new("own", QueueKind::Exclusive)).bind("work", "own", "own");
    Plan {
        foundation: Some(Foundation { queue: "work.queue".to_owned(), topology: fixed() }),
        topology: fixed().and(own),
        subscriptions: ["work.queue", "own"]
            .map(|queue| Subscribe::new(queue, SubscribeOptions { prefetch: 10, exclusive: false }))
            .into(),
        inbox: true,
        window: 10,
        backoff: Backoff::default(),
        seed: 1,
    }
}

/// Waits until the link is up; returns why it was down before.
async fn until_up(events: &mut LinkEvents, mut after_down: impl FnMut()) -> Option<String> {
    let mut said = None;
    let up = async {
        loop {
            match events.next().await.expect("the link lives") {
                LinkEvent::Up { .. } => return,
                LinkEvent::Down { cause, .. } => {
                    let error: &Error = &cause;
                    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
                    said.get_or_insert_with(|| error.to_string());
                    after_down();
                }
                _ => {}
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(3600), up).await.expect("the link comes up");
    said
}

async fn uses_what_operators_make(capabilities: Capabilities) {
    let broker = MemoryBroker::with_capabilities(capabilities);
    let (link, mut events) = Link::start(broker.transport(), plan());
    let operators = || broker.provide(&fixed()).expect("operators can make it");
    let said = until_up(&mut events, operators).await.expect("nothing was there at first");
    assert!(said.contains("\"work.queue\"") && said.contains("operators"), "{said}");
    for key in ["key", "own"] {
        let mut message = Message::new("work", key, key);
        message.mandatory = true;
        assert!(matches!(link.publish(message).await, Outcome::Confirmed), "{key}");
        while !matches!(events.next().await, Some(LinkEvent::Delivery(_, _, delivery)) if delivery.message.body == key)
        {
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_fixed_topology_is_looked_for_and_what_is_missing_is_named() {
    uses_what_operators_make(Capabilities::all().without(Capability::Declares)).await;
}

#[tokio::test(start_paused = true)]
async fn a_fixed_topology_that_cannot_be_looked_into_is_used() {
    let capabilities = Capabilities::all().without(Capability::Declares).without(Capability::Counts);
    let broker = MemoryBroker::with_capabilities(capabilities);
    broker.provide(&fixed()).expect("operators can make it");
    let (link, mut events) = Link::start(broker.transport(), plan());
    assert_eq!(until_up(&mut events, || {}).await, None);
    broker.delete_queue("work.queue");
    // Without a count the missing queue is noticed by the subscription that is started again.
    let said = until_up(&mut events, || broker.provide(&fixed()).expect("operators can make it")).await;
    let said = said.expect("the queue was missing");
    assert!(said.contains("\"work.queue\"") && said.contains("operators"), "{said}");
    drop(link);
}

/// A user who may declare only what goes with the session.
struct Restricted(Arc<dyn Transport>);

struct RestrictedSession(Arc<dyn Session>);

#[async_trait]
impl Transport for Restricted {
    fn describe(&self) -> String {
        self.0.describe()
    }

    fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }

    async fn connect(&self) -> hub_transport::Result<Arc<dyn Session>> {
        Ok(Arc::new(RestrictedSession(self.0.connect().await?)))
    }
}

#[async_trait]
impl Session for RestrictedSession {
    async fn declare(&self, topology: &Topology) -> hub_transport::Result<()> {
        let lasts = |queue: &Queue| queue.kind != QueueKind::Exclusive;
        if !topology.exchanges.is_empty() || topology.queues.iter().any(lasts) {
            return Err(Error::new(ErrorKind::AccessRefused, Operation::Declare, "no right to declare"));
        }
        self.0.declare(topology).await
    }

    async fn publisher(&self, window: usize) -> hub_transport::Result<Arc<dyn Publisher>> {
        self.0.publisher(window).await
    }

    async fn subscribe(&self, queue: &str, options: SubscribeOptions) -> hub_transport::Result<Subscription> {
        self.0.subscribe(queue, options).await
    }

    async fn ready(&self, queue: &str) -> hub_transport::Result<u64> {
        self.0.ready(queue).await
    }

    async fn inbox(&self) -> hub_transport::Result<Inbox> {
        self.0.inbox().await
    }

    fn health(&self) -> watch::Receiver<Health> {
        self.0.health()
    }

    async fn close(&self, deadline: Duration) -> hub_transport::Result<()> {
        self.0.close(deadline).await
    }
}

#[tokio::test(start_paused = true)]
async fn a_foundation_that_exists_needs_no_right_to_declare_it() {
    for capabilities in [Capabilities::all(), Capabilities::all().without(Capability::Counts)] {
        let broker = MemoryBroker::with_capabilities(capabilities);
        broker.transport().connect().await.unwrap().declare(&fixed()).await.unwrap();
        let own = Topology::default().queue(Queue::new("own", QueueKind::Exclusive)).bind("work", "own", "own");
        let (link, mut events) =
            Link::start(Arc::new(Restricted(broker.transport())), Plan { topology: own, ..plan() });
        assert_eq!(until_up(&mut events, || {}).await, None, "{capabilities:?}");
        assert!(matches!(link.publish(Message::new("work", "key", "")).await, Outcome::Confirmed));
    }
}

#[tokio::test(start_paused = true)]
async fn a_foundation_that_is_missing_and_cannot_be_declared_is_waited_for() {
    for capabilities in [Capabilities::all(), Capabilities::all().without(Capability::Counts)] {
        let broker = MemoryBroker::with_capabilities(capabilities);
        let own = Topology::default().queue(Queue::new("own", QueueKind::Exclusive)).bind("work", "own", "own");
        let (_link, mut events) =
            Link::start(Arc::new(Restricted(broker.transport())), Plan { topology: own, ..plan() });
        let Some(LinkEvent::Down { cause, .. }) = events.next().await else { panic!("nothing is there") };
        assert!(cause.to_string().contains("start the dispatcher first"), "{cause}");
        broker.transport().connect().await.unwrap().declare(&fixed()).await.unwrap();
        while !matches!(events.next().await.expect("the link lives"), LinkEvent::Up { .. }) {}
    }
}
