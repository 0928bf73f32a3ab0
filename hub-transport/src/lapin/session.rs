//! A session: two connections that live and die together.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::{join_all, try_join_all};
use futures_util::{Stream, StreamExt};
use lapin::options::{ConfirmSelectOptions, ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{FieldTable, ShortString};
use lapin::{Channel, Connection, Event};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_rustls::rustls::ClientConfig;

use super::convert::{error, is_of_a_channel, table};
use super::dial::{Purpose, dial};
use super::end::{End, Socket};
use super::publisher::LapinPublisher;
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
/// A call that takes longer has met a broker that does not answer.
const CALL_LIMIT: Duration = Duration::from_secs(60);
/// The reply code of a normal end.
pub(super) const DONE: u16 = 200;

pub(super) struct LapinSession {
    publishing: Connection,
    consuming: Connection,
    sockets: [Socket; 2],
    end: End,
    windows: Mutex<Vec<Window>>,
    max_message_bytes: usize,
}

impl LapinSession {
    pub(super) async fn open(settings: &AmqpSettings, tls: Option<&Arc<ClientConfig>>) -> Result<Arc<Self>> {
        let begun = Instant::now();
        let limit = settings.connect_timeout;
        let (publishing, to_publish) = dial(settings, tls.cloned(), Purpose::Publishing, limit).await?;
        let left = limit.saturating_sub(begun.elapsed());
        let (consuming, to_consume) = dial(settings, tls.cloned(), Purpose::Consuming, left).await?;
        let end = End(watch::channel(Health::Up).0);
        tokio::spawn(watch_events(publishing.events_listener(), end.clone(), true));
        tokio::spawn(watch_events(consuming.events_listener(), end.clone(), false));
        let session = Arc::new(Self {
            publishing,
            consuming,
            sockets: [to_publish, to_consume],
            end,
            windows: Mutex::default(),
            max_message_bytes: settings.max_message_bytes,
        });
        tokio::spawn(end_both(session.end.0.subscribe(), session.sockets.clone(), Arc::downgrade(&session)));
        Ok(session)
    }

    async fn channel(&self, connection: &Connection, operation: Operation) -> Result<Channel> {
        if self.end.has_come() {
            return Err(Error::new(ErrorKind::Closed, operation, "the session has ended"));
        }
        limited(operation, connection.create_channel()).await
    }

    fn windows(&self) -> Vec<Window> {
        self.windows.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Waits for an answer of the broker, but not for ever.
pub(super) async fn limited<T>(operation: Operation, call: impl Future<Output = lapin::Result<T>>) -> Result<T> {
    match tokio::time::timeout(CALL_LIMIT, call).await {
        Ok(answer) => answer.map_err(|source| error(operation, source)),
        Err(_) => Err(Error::new(ErrorKind::Timeout, operation, "the broker does not answer")),
    }
}

/// Turns a connection's events into the session's health.
async fn watch_events(events: impl Stream<Item = Event>, end: End, publishing: bool) {
    let mut events = std::pin::pin!(events);
    while let Some(event) = events.next().await {
        match event {
            Event::ConnectionBlocked(reason) if publishing => end.set(Health::Blocked(reason)),
            Event::ConnectionUnblocked if publishing => end.set(Health::Up),
            // A refusal ends only its channel: whoever asked is told, or its subscription ends. A publisher that has
            // lost its channel is of no more use.
            Event::Error(source) if !publishing && is_of_a_channel(&source) => {}
            Event::Error(source) => end.come(Some(Arc::new(error(Operation::Connect, source)))),
            _ => {}
        }
    }
    end.come(None);
}

/// When one connection has died, the other one goes too: nothing of a dead session may linger at the broker, or
/// what it holds unsettled would wait with it.
async fn end_both(mut health: watch::Receiver<Health>, sockets: [Socket; 2], session: Weak<LapinSession>) {
    let was_asked_for = asked_for_end(&mut health).await;
    if let Some(session) = session.upgrade() {
        session.windows().iter().for_each(Window::close);
    }
    if was_asked_for {
        tokio::time::sleep(GOODBYE).await;
    }
    sockets.iter().for_each(Socket::cut);
}

impl Drop for LapinSession {
    fn drop(&mut self) {
        self.end.come(None);
    }
}

/// Waits for the end of a session. Whether somebody here asked for it.
async fn asked_for_end(health: &mut watch::Receiver<Health>) -> bool {
    let ended = health.wait_for(|health| matches!(health, Health::Closed(_))).await;
    matches!(ended.as_deref(), Ok(Health::Closed(None)) | Err(_))
}

#[async_trait]
impl Session for LapinSession {
    async fn declare(&self, topology: &Topology) -> Result<()> {
        let channel = self.channel(&self.consuming, Operation::Declare).await?;
        for exchange in &topology.exchanges {
            check_name(&exchange.name, Operation::Declare)?;
            let kind = match exchange.kind {
                ExchangeKind::Direct => lapin::ExchangeKind::Direct,
                ExchangeKind::Topic => lapin::ExchangeKind::Topic,
                ExchangeKind::Fanout => lapin::ExchangeKind::Fanout,
            };
            let options = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
            let arguments = table(exchange_arguments(exchange));
            let declaring = channel.exchange_declare(exchange.name.as_str().into(), kind, options, arguments);
            limited(Operation::Declare, declaring).await?;
        }
        for queue in &topology.queues {
            check_name(&queue.name, Operation::Declare)?;
            let exclusive = queue.kind == QueueKind::Exclusive;
            let options = QueueDeclareOptions {
                durable: !exclusive,
                exclusive,
                auto_delete: exclusive,
                ..QueueDeclareOptions::default()
            };
            let arguments = table(queue_arguments(queue));
            let declaring = channel.queue_declare(queue.name.as_str().into(), options, arguments);
            limited(Operation::Declare, declaring).await?;
        }
        for binding in &topology.bindings {
            check_name(&binding.routing_key, Operation::Declare)?;
        }
        // Bindings are many: asked for together, they cost one round trip instead of one each.
        let bindings = topology.bindings.iter().map(|binding| {
            let (queue, exchange) = (binding.queue.as_str().into(), binding.exchange.as_str().into());
            let key = ShortString::from(binding.routing_key.as_str());
            channel.queue_bind(queue, exchange, key, QueueBindOptions::default(), FieldTable::default())
        });
        limited(Operation::Declare, try_join_all(bindings)).await?;
        limited(Operation::Declare, channel.close(DONE, "declared".into())).await
    }

    async fn publisher(&self, window: usize) -> Result<Arc<dyn Publisher>> {
        let channel = self.channel(&self.publishing, Operation::Publish).await?;
        limited(Operation::Publish, channel.confirm_select(ConfirmSelectOptions::default())).await?;
        let window = Window::new(window);
        self.windows.lock().unwrap_or_else(PoisonError::into_inner).push(window.clone());
        if self.end.has_come() {
            window.close();
        }
        Ok(LapinPublisher::new(channel, window, self.end.clone(), self.max_message_bytes))
    }

    async fn subscribe(&self, queue: &str, options: SubscribeOptions) -> Result<Subscription> {
        let channel = self.channel(&self.consuming, Operation::Subscribe).await?;
        subscription::subscribe(channel, queue, options).await
    }

    async fn ready(&self, queue: &str) -> Result<u64> {
        check_name(queue, Operation::Inspect)?;
        let channel = self.channel(&self.consuming, Operation::Inspect).await?;
        let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let asking = channel.queue_declare(queue.into(), options, FieldTable::default());
        let ready = u64::from(limited(Operation::Inspect, asking).await?.message_count());
        limited(Operation::Inspect, channel.close(DONE, "counted".into())).await?;
        Ok(ready)
    }

    async fn inbox(&self) -> Result<Inbox> {
        let channel = self.channel(&self.consuming, Operation::Subscribe).await?;
        let options = QueueDeclareOptions { exclusive: true, auto_delete: true, ..QueueDeclareOptions::default() };
        let declaring = channel.queue_declare(ShortString::default(), options, FieldTable::default());
        let queue = limited(Operation::Subscribe, declaring).await?;
        let address = queue.name().as_str().to_owned();
        let options = SubscribeOptions { prefetch: INBOX_PREFETCH, exclusive: true };
        let subscription = subscription::subscribe(channel, &address, options).await?;
        Ok(Inbox { address, subscription })
    }

    fn health(&self) -> watch::Receiver<Health> {
        self.end.0.subscribe()
    }

    async fn close(&self, deadline: Duration) -> Result<()> {
        let windows = self.windows();
        let settled = Window::all_settled(&windows, if self.end.has_come() { Duration::ZERO } else { deadline }).await;
        let was_over = self.end.has_come();
        self.end.come(None);
        let goodbyes = [&self.publishing, &self.consuming].map(|connection| connection.close(DONE, "goodbye".into()));
        // A broker that is blocked or gone does not answer; it is left all the same.
        let _ = tokio::time::timeout(GOODBYE, join_all(goodbyes)).await;
        self.sockets.iter().for_each(Socket::cut);
        windows.iter().for_each(Window::close);
        if settled || was_over {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Timeout, Operation::Close, "publishes were still without an outcome"))
    }
}
