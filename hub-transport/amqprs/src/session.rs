//! A session: two connections. When one of them ends, the other one is closed.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use amqprs::channel::{ExchangeDeclareArguments, QueueBindArguments, QueueDeclareArguments};
use amqprs::connection::Connection;
use async_trait::async_trait;
use futures_util::future::join;
use tokio::runtime::Handle;
use tokio::sync::watch;

use super::calls::{CallChannel, Calls};
use super::confirms::PendingPublishes;
use super::connection::AmqprsDial;
use super::convert::table;
use super::publisher::AmqprsPublisher;
use super::subscription;
use hub_transport::amqp::{
    Lifecycle, Target, Window, check_name, end_when_overdue, ended_on_request, exchange_arguments, queue_arguments,
};
use hub_transport::topology::{ExchangeKind, QueueKind};
use hub_transport::{
    Error, ErrorKind, Health, Inbox, Operation, Publisher, Result, Session, SubscribeOptions, Subscription, Topology,
};

/// Maximum number of unsettled replies.
const INBOX_PREFETCH: u16 = 256;
/// Maximum time to close a connection.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

pub(super) struct AmqprsSession {
    /// Taken out and closed when the session ends. (A connection that is only dropped stays open while a call waits for its
    /// response.)
    connections: Mutex<Option<Connections>>,
    /// Whether both connections are closed.
    closed: watch::Sender<bool>,
    node: String,
    calls: Calls,
    publishers: Mutex<Vec<(Window, PendingPublishes)>>,
    max_message_bytes: usize,
}

struct Connections {
    publishing: Connection,
    consuming: Connection,
}

impl AmqprsSession {
    pub(super) async fn open(target: Target<'_>) -> Result<Arc<Self>> {
        let (lifecycle, limit) = (Lifecycle::default(), target.settings.answer_limit);
        let (publishing, consuming) = target.open_both(&AmqprsDial(lifecycle.clone())).await?;
        let session = Arc::new(Self {
            connections: Mutex::new(Some(Connections { publishing, consuming })),
            closed: watch::channel(false).0,
            node: target.shown(),
            calls: Calls { lifecycle: lifecycle.clone(), limit },
            publishers: Mutex::default(),
            max_message_bytes: target.settings.max_message_bytes,
        });
        tokio::spawn(conclude_after_end(Arc::downgrade(&session), lifecycle.health()));
        let (for_windows, for_questions) = (Arc::downgrade(&session), Arc::downgrade(&session));
        let windows = move || for_windows.upgrade().map(|session| session.windows()).unwrap_or_default();
        tokio::spawn(end_when_overdue(lifecycle, limit, windows, async move || {
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
        connections
            .as_ref()
            .filter(|_| !self.calls.lifecycle.has_ended())
            .map(|two| which(two).clone())
            .ok_or_else(closed)
    }

    async fn line(&self, operation: Operation) -> Result<CallChannel> {
        let connection = self.connection(operation, |connections| &connections.consuming)?;
        CallChannel::open(connection, &self.calls, operation).await
    }

    fn publishers(&self) -> MutexGuard<'_, Vec<(Window, PendingPublishes)>> {
        self.publishers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn windows(&self) -> Vec<Window> {
        self.publishers().iter().map(|(window, _)| window.clone()).collect()
    }

    /// Resolves the publishes of an ended session as unknown and closes its connections, so that the broker releases its
    /// exclusive queues and unsettled deliveries.
    fn conclude(&self) {
        for (window, pending) in self.publishers().iter() {
            window.close();
            pending.end(&self.calls.lifecycle.cause());
        }
        let taken = self.connections.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Connections { publishing, consuming }) = taken
            && let Ok(runtime) = Handle::try_current()
        {
            let closed = self.closed.clone();
            // In separate tasks, since a slow broker delays them.
            let closing = join(runtime.spawn(publishing.close()), runtime.spawn(consuming.close()));
            runtime.spawn(async move {
                let _ = closing.await;
                closed.send_replace(true);
            });
        }
    }
}

/// Closes both connections when one of them has ended.
async fn conclude_after_end(session: Weak<AmqprsSession>, mut health: watch::Receiver<Health>) {
    let was_asked_for = ended_on_request(&mut health).await;
    // If the end was requested, the caller of `close` does this.
    if let Some(session) = session.upgrade().filter(|_| !was_asked_for) {
        session.conclude();
    }
}

/// Whether the broker answers on this connection. Waits while the broker does not read from it.
async fn answers(connection: Connection) -> bool {
    // In a separate task, because an unfinished call must not be dropped. The call fails when the session ends.
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
            // There are many bindings. Only the last one waits for a response. It covers all of them, since the broker processes a
            // channel in order.
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
        let (window, pending) = (Window::new(window), PendingPublishes::default());
        let publisher =
            AmqprsPublisher::open(connection, &self.calls, pending.clone(), window.clone(), self.max_message_bytes);
        let publisher = publisher.await?;
        self.publishers().push((window, pending));
        if self.calls.lifecycle.has_ended() {
            // The session may have ended before this publisher was registered.
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
        let silent = || Error::new(ErrorKind::Protocol, Operation::Inspect, "the broker returned no message count");
        declared.await?.map(|(_, ready, _)| u64::from(ready)).ok_or_else(silent)
    }

    async fn inbox(&self) -> Result<Inbox> {
        let line = self.line(Operation::Subscribe).await?;
        let declared = line
            .call(|channel| async move {
                channel.queue_declare(QueueDeclareArguments::exclusive_server_named().auto_delete(true).finish()).await
            })
            .await?;
        let nameless = || Error::new(ErrorKind::Protocol, Operation::Subscribe, "the broker returned no queue name");
        let (address, ..) = declared.ok_or_else(nameless)?;
        let options = SubscribeOptions { prefetch: INBOX_PREFETCH, exclusive: true };
        let subscription = subscription::subscribe(line, &address, options).await?;
        Ok(Inbox { address, subscription })
    }

    fn node(&self) -> Option<&str> {
        Some(&self.node)
    }

    fn health(&self) -> watch::Receiver<Health> {
        self.calls.lifecycle.health()
    }

    async fn close(&self, deadline: Duration) -> Result<()> {
        let windows = self.windows();
        let settled =
            Window::all_settled(&windows, if self.calls.lifecycle.has_ended() { Duration::ZERO } else { deadline })
                .await;
        let was_over = self.calls.lifecycle.has_ended();
        self.calls.lifecycle.end(None);
        self.conclude();
        // Wait in any case, since the next session may need the exclusive queues of this one.
        let mut closed = self.closed.subscribe();
        let _ = tokio::time::timeout(CLOSE_TIMEOUT, closed.wait_for(|closed| *closed)).await;
        if settled || was_over {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Timeout, Operation::Close, "publishes were still without an outcome"))
    }
}

impl Drop for AmqprsSession {
    fn drop(&mut self) {
        self.calls.lifecycle.end(None);
        self.conclude();
    }
}
