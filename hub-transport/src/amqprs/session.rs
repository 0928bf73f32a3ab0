//! A session: two connections that live and die together.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use amqprs::channel::{ExchangeDeclareArguments, QueueBindArguments, QueueDeclareArguments};
use amqprs::connection::Connection;
use async_trait::async_trait;
use futures_util::future::join;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_rustls::rustls::ClientConfig;

use super::calls::Line;
use super::confirms::Opens;
use super::connection::dial;
use super::convert::table;
use super::end::End;
use super::publisher::AmqprsPublisher;
use super::subscription;
use crate::amqp::{AmqpSettings, Window, check_name, exchange_arguments, queue_arguments};
use crate::topology::{ExchangeKind, QueueKind};
use crate::{
    Error, ErrorKind, Health, Inbox, Operation, Publisher, Result, Session, SubscribeOptions, Subscription, Topology,
};

/// How many replies may be here unsettled.
const INBOX_PREFETCH: u16 = 256;
/// How long a connection may take to say goodbye.
const GOODBYE: Duration = Duration::from_secs(2);

pub(super) struct AmqprsSession {
    /// Taken out when the session ends: the client says goodbye on a connection that is dropped, also where its
    /// reading side has died.
    connections: Mutex<Option<Connections>>,
    end: End,
    publishers: Mutex<Vec<(Window, Opens)>>,
    max_message_bytes: usize,
}

struct Connections {
    publishing: Connection,
    consuming: Connection,
}

impl AmqprsSession {
    pub(super) async fn open(settings: &AmqpSettings, tls: Option<&Arc<ClientConfig>>) -> Result<Arc<Self>> {
        let (begun, limit) = (Instant::now(), settings.connect_timeout);
        let end = End(watch::channel(Health::Up).0);
        let publishing = dial(settings, tls, "publishing", limit, &end).await?;
        let left = limit.saturating_sub(begun.elapsed());
        let consuming = dial(settings, tls, "consuming", left, &end).await?;
        let session = Arc::new(Self {
            connections: Mutex::new(Some(Connections { publishing, consuming })),
            end: end.clone(),
            publishers: Mutex::default(),
            max_message_bytes: settings.max_message_bytes,
        });
        tokio::spawn(clear_away(Arc::downgrade(&session), end.0.subscribe()));
        Ok(session)
    }

    fn connection(&self, operation: Operation, which: impl FnOnce(&Connections) -> &Connection) -> Result<Connection> {
        let connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        let closed = || Error::new(ErrorKind::Closed, operation, "the session has ended");
        connections.as_ref().filter(|_| !self.end.has_come()).map(|two| which(two).clone()).ok_or_else(closed)
    }

    async fn line(&self, operation: Operation) -> Result<Line> {
        let connection = self.connection(operation, |connections| &connections.consuming)?;
        Line::open(connection, &self.end, operation).await
    }

    fn publishers(&self) -> MutexGuard<'_, Vec<(Window, Opens)>> {
        self.publishers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nobody resolves the publishes of a session that has ended: they are unknown.
    fn conclude(&self) -> Option<Connections> {
        for (window, opens) in self.publishers().iter() {
            window.close();
            opens.end(&self.end.cause());
        }
        self.connections.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// When one connection has died, the other one goes too: nothing of a dead session may linger at the broker, or
/// what it holds unsettled would wait with it.
async fn clear_away(session: Weak<AmqprsSession>, mut health: watch::Receiver<Health>) {
    let was_asked_for = asked_for_end(&mut health).await;
    // Whoever asked for the end clears away.
    if let Some(session) = session.upgrade().filter(|_| !was_asked_for) {
        drop(session.conclude());
    }
}

/// Waits for the end of a session. Whether somebody here asked for it.
async fn asked_for_end(health: &mut watch::Receiver<Health>) -> bool {
    let ended = health.wait_for(|health| matches!(health, Health::Closed(_))).await;
    matches!(ended.as_deref(), Ok(Health::Closed(None)) | Err(_))
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
            AmqprsPublisher::open(connection, &self.end, opens.clone(), window.clone(), self.max_message_bytes);
        let publisher = publisher.await?;
        self.publishers().push((window, opens));
        if self.end.has_come() {
            // It may have come before this publisher was known.
            drop(self.conclude());
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

    fn health(&self) -> watch::Receiver<Health> {
        self.end.0.subscribe()
    }

    async fn close(&self, deadline: Duration) -> Result<()> {
        let windows: Vec<Window> = self.publishers().iter().map(|(window, _)| window.clone()).collect();
        let settled = Window::all_settled(&windows, if self.end.has_come() { Duration::ZERO } else { deadline }).await;
        let was_over = self.end.has_come();
        self.end.come(None);
        if let Some(Connections { publishing, consuming }) = self.conclude()
            && !was_over
        {
            // In tasks of their own, which may take their time where the broker does.
            let goodbyes = join(tokio::spawn(publishing.close()), tokio::spawn(consuming.close()));
            let _ = tokio::time::timeout(GOODBYE, goodbyes).await;
        }
        if settled || was_over {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Timeout, Operation::Close, "publishes were still without an outcome"))
    }
}

impl Drop for AmqprsSession {
    fn drop(&mut self) {
        self.end.come(None);
        drop(self.conclude());
    }
}
