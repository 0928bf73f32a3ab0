//! A session: two connections that live and die together.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use amqprs::channel::{ExchangeDeclareArguments, QueueBindArguments, QueueDeclareArguments};
use amqprs::connection::Connection;
use async_trait::async_trait;
use futures_util::future::join;
use tokio::runtime::Handle;
use tokio::sync::watch;

use super::calls::{Calls, Line};
use super::confirms::Opens;
use super::connection::AmqprsDial;
use super::convert::table;
use super::publisher::AmqprsPublisher;
use super::subscription;
use hub_transport::amqp::{
    End, Target, Window, asked_for_end, check_name, end_when_overdue, exchange_arguments, queue_arguments,
};
use hub_transport::topology::{ExchangeKind, QueueKind};
use hub_transport::{
    Error, ErrorKind, Health, Inbox, Operation, Publisher, Result, Session, SubscribeOptions, Subscription, Topology,
};

/// How many replies may be here unsettled.
const INBOX_PREFETCH: u16 = 256;
/// How long a connection may take to say goodbye.
const GOODBYE: Duration = Duration::from_secs(2);

pub(super) struct AmqprsSession {
    /// Taken out when the session ends, and closed then. (A connection that is only dropped stays open as long as a call on it
    /// has no answer.)
    connections: Mutex<Option<Connections>>,
    /// Whether both connections are closed.
    closed: watch::Sender<bool>,
    node: String,
    calls: Calls,
    publishers: Mutex<Vec<(Window, Opens)>>,
    max_message_bytes: usize,
}

struct Connections {
    publishing: Connection,
    consuming: Connection,
}

impl AmqprsSession {
    pub(super) async fn open(target: Target<'_>) -> Result<Arc<Self>> {
        let (end, limit) = (End::default(), target.settings.answer_limit);
        let (publishing, consuming) = target.open_both(&AmqprsDial(end.clone())).await?;
        let session = Arc::new(Self {
            connections: Mutex::new(Some(Connections { publishing, consuming })),
            closed: watch::channel(false).0,
            node: target.shown(),
            calls: Calls { end: end.clone(), limit },
            publishers: Mutex::default(),
            max_message_bytes: target.settings.max_message_bytes,
        });
        tokio::spawn(clear_away(Arc::downgrade(&session), end.health()));
        let (for_windows, for_questions) = (Arc::downgrade(&session), Arc::downgrade(&session));
        let windows = move || for_windows.upgrade().map(|session| session.windows()).unwrap_or_default();
        tokio::spawn(end_when_overdue(end, limit, windows, async move || {
            let session = for_questions.upgrade();
            let connection =
                session.and_then(|session| session.connection(Operation::Publish, |two| &two.publishing).ok());
            match connection {
                Some(connection) => answers(connection).await,
                None => false,
            }
        }));
        Ok(session)
    }

    fn connection(&self, operation: Operation, which: impl FnOnce(&Connections) -> &Connection) -> Result<Connection> {
        let connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        let closed = || Error::new(ErrorKind::Closed, operation, "the session has ended");
        connections.as_ref().filter(|_| !self.calls.end.has_come()).map(|two| which(two).clone()).ok_or_else(closed)
    }

    async fn line(&self, operation: Operation) -> Result<Line> {
        let connection = self.connection(operation, |connections| &connections.consuming)?;
        Line::open(connection, &self.calls, operation).await
    }

    fn publishers(&self) -> MutexGuard<'_, Vec<(Window, Opens)>> {
        self.publishers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn windows(&self) -> Vec<Window> {
        self.publishers().iter().map(|(window, _)| window.clone()).collect()
    }

    /// Nobody resolves the publishes of a session that has ended: they are unknown. Its connections are closed: nothing of a
    /// dead session may linger at the broker, or what it holds would wait with it.
    fn conclude(&self) {
        for (window, opens) in self.publishers().iter() {
            window.close();
            opens.end(&self.calls.end.cause());
        }
        let taken = self.connections.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Connections { publishing, consuming }) = taken
            && let Ok(runtime) = Handle::try_current()
        {
            let closed = self.closed.clone();
            // In tasks of their own, which may take their time where the broker does.
            let goodbyes = join(runtime.spawn(publishing.close()), runtime.spawn(consuming.close()));
            runtime.spawn(async move {
                let _ = goodbyes.await;
                closed.send_replace(true);
            });
        }
    }
}

/// When one connection has died, the other one goes too.
async fn clear_away(session: Weak<AmqprsSession>, mut health: watch::Receiver<Health>) {
    let was_asked_for = asked_for_end(&mut health).await;
    // Whoever asked for the end clears away.
    if let Some(session) = session.upgrade().filter(|_| !was_asked_for) {
        session.conclude();
    }
}

/// Whether the broker answers on this connection. Waits for as long as it reads nothing from it.
async fn answers(connection: Connection) -> bool {
    // In a task of its own, since the client does not bear that a call is dropped half-way: where the session ends first,
    // it fails with it.
    let asking = tokio::spawn(async move { connection.open_channel(None).await.is_ok() });
    asking.await.unwrap_or(false)
}

#[async_trait]
impl Session for AmqprsSession {
    async fn declare(&self, topology: &Topology) -> Result<()> {
        let exchanges = topology.exchanges.iter().map(|exchange| &exchange.name);
        let queues = topology.queues.iter().map(|queue| &queue.name);
        let keys = topology.bindings.iter().map(|binding| &binding.routing_key);
        exchanges.chain(queues).chain(keys).try_for_each(|name| check_name(name, Operation::Declare))?;
        let (line, topology) = (self.line(Operation::Declare).await?, topology.clone());
        line.call(|channel| async move {
            for exchange in &topology.exchanges {
                let kind = match exchange.kind {
                    ExchangeKind::Direct => "direct",
                    ExchangeKind::Topic => "topic",
                    ExchangeKind::Fanout => "fanout",
                };
                let mut arguments = ExchangeDeclareArguments::new(&exchange.name, kind);
                arguments.durable(true).arguments(table(exchange_arguments(exchange)));
                channel.exchange_declare(arguments.finish()).await?;
            }
            for queue in &topology.queues {
                let exclusive = queue.kind == QueueKind::Exclusive;
                let mut arguments = QueueDeclareArguments::new(&queue.name);
                arguments
                    .durable(!exclusive)
                    .exclusive(exclusive)
                    .auto_delete(exclusive)
                    .arguments(table(queue_arguments(queue)));
                channel.queue_declare(arguments.finish()).await?;
            }
            // Bindings are many: all but the last go out without waiting for an answer, and the last answer
            // stands for all, since a channel is served in order.
            let last = topology.bindings.len().saturating_sub(1);
            for (at, binding) in topology.bindings.iter().enumerate() {
                let mut arguments = QueueBindArguments::new(&binding.queue, &binding.exchange, &binding.routing_key);
                arguments.no_wait(at != last);
                channel.queue_bind(arguments.finish()).await?;
            }
            channel.close().await
        })
        .await
    }

    async fn publisher(&self, window: usize) -> Result<Arc<dyn Publisher>> {
        let connection = self.connection(Operation::Publish, |connections| &connections.publishing)?;
        let (window, opens) = (Window::new(window), Opens::default());
        let publisher =
            AmqprsPublisher::open(connection, &self.calls, opens.clone(), window.clone(), self.max_message_bytes);
        let publisher = publisher.await?;
        self.publishers().push((window, opens));
        if self.calls.end.has_come() {
            // It may have come before this publisher was known.
            self.conclude();
        }
        Ok(publisher)
    }

    async fn subscribe(&self, queue: &str, options: SubscribeOptions) -> Result<Subscription> {
        check_name(queue, Operation::Subscribe)?;
        subscription::subscribe(self.line(Operation::Subscribe).await?, queue, options).await
    }

    async fn ready(&self, queue: &str) -> Result<u64> {
        check_name(queue, Operation::Inspect)?;
        let (line, queue) = (self.line(Operation::Inspect).await?, queue.to_owned());
        let declared = line.call(|channel| async move {
            let declared = channel.queue_declare(QueueDeclareArguments::new(&queue).passive(true).finish()).await?;
            channel.close().await?;
            Ok(declared)
        });
        let silent = || Error::new(ErrorKind::Protocol, Operation::Inspect, "the broker counted nothing");
        declared.await?.map(|(_, ready, _)| u64::from(ready)).ok_or_else(silent)
    }

    async fn inbox(&self) -> Result<Inbox> {
        let line = self.line(Operation::Subscribe).await?;
        let declared = line
            .call(|channel| async move {
                channel.queue_declare(QueueDeclareArguments::exclusive_server_named().auto_delete(true).finish()).await
            })
            .await?;
        let nameless = || Error::new(ErrorKind::Protocol, Operation::Subscribe, "the broker named no queue");
        let (address, ..) = declared.ok_or_else(nameless)?;
        let options = SubscribeOptions { prefetch: INBOX_PREFETCH, exclusive: true };
        let subscription = subscription::subscribe(line, &address, options).await?;
        Ok(Inbox { address, subscription })
    }

    fn node(&self) -> Option<&str> {
        Some(&self.node)
    }

    fn health(&self) -> watch::Receiver<Health> {
        self.calls.end.health()
    }

    async fn close(&self, deadline: Duration) -> Result<()> {
        let windows = self.windows();
        let settled =
            Window::all_settled(&windows, if self.calls.end.has_come() { Duration::ZERO } else { deadline }).await;
        let was_over = self.calls.end.has_come();
        self.calls.end.come(None);
        self.conclude();
        // Whatever ended it: the next session may need what this one holds.
        let mut closed = self.closed.subscribe();
        let _ = tokio::time::timeout(GOODBYE, closed.wait_for(|closed| *closed)).await;
        if settled || was_over {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Timeout, Operation::Close, "publishes were still without an outcome"))
    }
}

impl Drop for AmqprsSession {
    fn drop(&mut self) {
        self.calls.end.come(None);
        self.conclude();
    }
}
