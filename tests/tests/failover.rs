//! Tests of broker nodes that are unresponsive or do not confirm, through relays to a real RabbitMQ, with both AMQP clients.

use std::net::TcpListener;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use hub_tests::chaos::Relay;
use hub_tests::{Broker, BrokerTrial, Client, DEADLINE, Programs, rest, trials_on};
use hub_transport::amqp::AmqpSettings;
use hub_transport::supervisor::{Link, LinkEvent, LinkEvents, Plan};
use hub_transport::topology::{Queue, QueueKind};
use hub_transport::{Error, ErrorKind, Health, Message, Outcome, Session, SubscribeOptions, Topology};
use tokio::runtime::{Builder, Runtime};

fn main() -> ExitCode {
    let tests: [(&str, NodeTest); 7] = [
        ("a_silent_connection_is_detected_by_heartbeats", silence),
        ("the_connection_of_a_busy_program_is_kept", busy),
        ("nodes_are_tried_in_turn", turns),
        ("the_session_with_an_unresponsive_node_is_ended", no_answer),
        ("the_session_with_a_node_that_does_not_confirm_is_ended", no_confirm),
        ("the_session_with_a_blocked_broker_is_kept", blocked),
        ("if_all_nodes_fail_each_is_named_with_its_cause", all_fail),
    ];
    let mut trials = Vec::new();
    for client in [Client::Lapin, Client::Amqprs] {
        for (name, test) in tests {
            trials.push(BrokerTrial::new(format!("{name}_with_{client}"), move |broker: &Broker| test(broker, client)));
        }
    }
    trials_on(Broker::start, trials)
}

type NodeTest = fn(&Broker, Client);

/// One thread, as in the programs.
fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime starts")
}

fn settings(address: &str) -> AmqpSettings {
    AmqpSettings { first_node: 0, ..AmqpSettings::new(address.parse().expect("an address")) }
}

async fn connect(client: Client, settings: AmqpSettings) -> Arc<dyn Session> {
    client.transport_with(settings).connect().await.expect("the broker answers")
}

async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, future).await.unwrap_or_else(|_| panic!("{what}: not within {DEADLINE:?}"))
}

/// Waits until the session ends and returns the cause.
async fn over(session: &dyn Session) -> Arc<Error> {
    let mut health = session.health();
    let closed = soon("the session ends", health.wait_for(|health| matches!(health, Health::Closed(_)))).await;
    match &*closed.expect("the last value stays") {
        Health::Closed(Some(cause)) => Arc::clone(cause),
        other => panic!("no cause: {other:?}"),
    }
}

fn is_over(session: &dyn Session) -> bool {
    matches!(&*session.health().borrow(), Health::Closed(_))
}

/// Declares a queue with this name.
async fn declare(session: &dyn Session, queue: &str) {
    let topology = Topology::default().queue(Queue::new(queue, QueueKind::Quorum));
    session.declare(&topology).await.expect("a queue can be declared");
}

fn silence(broker: &Broker, client: Client) {
    let relay = Relay::to(&broker.address());
    runtime().block_on(async {
        let quick = connect(client, settings(&format!("amqp://{}/?heartbeat=2", relay.address()))).await;
        let slow = connect(client, settings(&format!("amqp://{}/?heartbeat=20", relay.address()))).await;
        relay.swallow();
        assert_eq!(over(&*quick).await.kind(), ErrorKind::Unreachable);
        assert!(!is_over(&*slow), "its heartbeats are rarer: it knows nothing yet");
    });
}

/// The program's loop is repeatedly blocked for longer than a heartbeat, while other programs keep the processors busy.
/// The connection must stay open.
fn busy(broker: &Broker, client: Client) {
    const HEARTBEAT: Duration = Duration::from_secs(4);
    let load = Load::start();
    runtime().block_on(async {
        let settings = AmqpSettings { heartbeat: HEARTBEAT, ..settings(&broker.address()) };
        let session = connect(client, settings).await;
        let queue = format!("busy-{client}");
        declare(&*session, &queue).await;
        let publisher = session.publisher(10).await.expect("publishing is allowed");
        let options = SubscribeOptions { prefetch: 10, exclusive: false };
        let mut subscription = session.subscribe(&queue, options).await.expect("it can be read");
        for _ in 0..2 {
            let receipt = publisher.publish(Message::new("", &*queue, &b"x"[..])).await.expect("the session lives");
            // Blocks the thread, as a long turn of the loop.
            rest(HEARTBEAT * 5 / 4);
            assert!(matches!(soon("the confirm", receipt).await, Outcome::Confirmed));
            assert!(soon("the message", subscription.deliveries.recv()).await.is_some());
        }
        assert!(!is_over(&*session));
        session.close(DEADLINE).await.expect("everything is confirmed");
    });
    drop(load);
}

/// Keeps all processors busy, with two threads each.
struct Load {
    stop: Arc<AtomicBool>,
}

impl Load {
    fn start() -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        for _ in 0..2 * thread::available_parallelism().map_or(2, usize::from) {
            let stop = Arc::clone(&stop);
            thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        Self { stop }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// A port without a listener.
fn closed_port() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    listener.local_addr().expect("it is bound").to_string()
}

async fn next_up(events: &mut LinkEvents) {
    while !matches!(soon("an event", events.next()).await.expect("the link lives"), LinkEvent::Up { .. }) {}
}

fn turns(broker: &Broker, client: Client) {
    let (closed, relays) = (closed_port(), [0, 1].map(|_| Relay::to(&broker.address())));
    let used = || relays.each_ref().map(Relay::connections);
    let address = format!("{closed},{},{}", relays[0].address(), relays[1].address());
    runtime().block_on(async {
        let settings = AmqpSettings {
            heartbeat: Duration::from_secs(2),
            connect_timeout: Duration::from_secs(3),
            ..settings(&address)
        };
        let plan = Plan {
            foundation: None,
            topology: Topology::default(),
            subscriptions: Vec::new(),
            inbox: true,
            window: 10,
            backoff: hub_transport::supervisor::Backoff::default(),
            seed: 1,
        };
        let (link, mut events) = Link::start(client.transport_with(settings), plan);
        next_up(&mut events).await;
        assert_eq!(used(), [2, 0], "the first node that serves has both connections");
        relays[0].swallow();
        match soon("the loss is noticed", events.next()).await {
            Some(LinkEvent::Down { retry_in, .. }) => {
                assert!(retry_in.is_zero(), "there are other nodes: {retry_in:?}");
            }
            other => panic!("{other:?}"),
        }
        next_up(&mut events).await;
        assert_eq!(used()[1], 2);
        let outcome = soon("the confirm", link.publish(Message::new("", "nowhere", &b""[..]))).await;
        assert!(matches!(outcome, Outcome::Confirmed), "{outcome:?}");
        relays[1].cut_all();
        let all = loop {
            match soon("all nodes fail", events.next()).await.expect("the link lives") {
                LinkEvent::Down { cause, retry_in, .. } if !retry_in.is_zero() => break cause,
                LinkEvent::Down { .. } => {}
                other => panic!("{other:?}"),
            }
        };
        assert!(all.message().starts_with("none of its 3 nodes can be used: "), "{all}");
        for node in [&closed, &relays[0].address(), &relays[1].address()] {
            assert_eq!(all.message().matches(&**node).count(), 1, "{node} in {all}");
        }
        next_up(&mut events).await;
        assert_eq!(used()[1], 2, "its turn has come again");
        link.close(DEADLINE).await.expect("everything is confirmed");
    });
}

fn no_answer(broker: &Broker, client: Client) {
    let relay = Relay::to(&broker.address());
    runtime().block_on(async {
        // Heartbeats are rare, so that they do not detect the fault first.
        let settings =
            AmqpSettings { heartbeat: DEADLINE, answer_limit: Duration::from_secs(2), ..settings(&relay.address()) };
        let session = connect(client, settings).await;
        relay.stall(true);
        let error = soon("the question", session.ready("some queue")).await.expect_err("there is no answer");
        assert_eq!(error.kind(), ErrorKind::Timeout);
        assert_eq!(over(&*session).await.kind(), ErrorKind::Timeout);
    });
}

fn no_confirm(broker: &Broker, client: Client) {
    let queue = format!("mute-{client}");
    let server = |what: &str| {
        // Suspend the process of the queue. The broker still answers but does not confirm messages to this queue.
        broker.control(&["eval", &format!("sys:{what}(whereis('%2F_{queue}')).")]);
    };
    runtime().block_on(async {
        let settings = AmqpSettings { answer_limit: Duration::from_secs(3), ..settings(&broker.address()) };
        let session = connect(client, settings.clone()).await;
        declare(&*session, &queue).await;
        let publisher = session.publisher(10).await.expect("publishing is allowed");
        server("suspend");
        let receipt = publisher.publish(Message::new("", &*queue, &b"x"[..])).await.expect("the session lives");
        let cause = over(&*session).await;
        assert_eq!(cause.kind(), ErrorKind::Timeout, "{cause}");
        assert!(matches!(soon("the outcome", receipt).await, Outcome::Unknown(_)));
        server("resume");
        let session = connect(client, settings).await;
        let publisher = session.publisher(10).await.expect("publishing is allowed");
        let receipt = publisher.publish(Message::new("", &*queue, &b"x"[..])).await.expect("the session lives");
        assert!(matches!(soon("the confirm", receipt).await, Outcome::Confirmed));
        session.close(DEADLINE).await.expect("everything is confirmed");
    });
}

fn blocked(broker: &Broker, client: Client) {
    // Long enough for the heartbeats of a broker on a busy machine.
    const LIMIT: Duration = Duration::from_secs(5);
    runtime().block_on(async {
        let settings = AmqpSettings { heartbeat: LIMIT, answer_limit: LIMIT, ..settings(&broker.address()) };
        let session = connect(client, settings).await;
        let queue = format!("blocked-{client}");
        declare(&*session, &queue).await;
        let publisher = session.publisher(10).await.expect("publishing is allowed");
        broker.block();
        let mut receipt = publisher.publish(Message::new("", &*queue, &b"x"[..])).await.expect("the session lives");
        // Much longer than the time limits of heartbeats and confirms.
        let during = tokio::time::timeout(LIMIT * 3, &mut receipt).await;
        broker.unblock();
        assert!(during.is_err(), "there was an outcome under the alarm: {during:?}");
        assert!(!is_over(&*session), "{:?}", session.health().borrow());
        assert!(matches!(soon("the confirm", receipt).await, Outcome::Confirmed));
        session.close(DEADLINE).await.expect("everything is confirmed");
    });
}

fn all_fail(_: &Broker, client: Client) {
    let nodes = [closed_port(), closed_port()];
    let address = format!("amqp://alice:secret@{},{}/v", nodes[0], nodes[1]);
    let output = Programs::new(&address, client.name(), "nowhere").run("hub-client", &["health"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(4), "{said}");
    let (_, causes) = said.split_once("none of its 2 nodes can be used: ").unwrap_or_else(|| panic!("{said}"));
    for node in &nodes {
        assert_eq!(causes.matches(&**node).count(), 1, "{node} in {said}");
    }
    assert!(causes.contains("onnection refused") && !said.contains("secret"), "{said}");
}
