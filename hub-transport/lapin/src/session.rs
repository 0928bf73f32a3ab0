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

use super::calls::{Calls, DONE};
use super::convert::{error, is_of_a_channel, table};
use super::dial::LapinDial;
use super::publisher::LapinPublisher;
use super::socket::Socket;
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

pub(super) struct LapinSession {
    publishing: Connection,
    consuming: Connection,
    sockets: [Socket; 2],
    node: String,
    calls: Calls,
    windows: Mutex<Vec<Window>>,
    max_message_bytes: usize,
}

impl LapinSession {
    pub(super) async fn open(target: Target<'_>) -> Result<Arc<Self>> {
        let ((publishing, to_publish), (consuming, to_consume)) = target.open_both(&LapinDial).await?;
        let (end, limit) = (End::default(), target.settings.answer_limit);
        tokio::spawn(watch_events(publishing.events_listener(), end.clone(), true));
        tokio::spawn(watch_events(consuming.events_listener(), end.clone(), false));
        let session = Arc::new(Self {
            publishing,
            consuming,
            sockets: [to_publish, to_consume],
            node: target.shown(),
            calls: Calls { end: end.clone(), limit },
            windows: Mutex::default(),
            max_message_bytes: target.settings.max_message_bytes,
        });
        tokio::spawn(end_both(end.health(), session.sockets.clone(), Arc::downgrade(&session)));
        let (for_windows, for_questions) = (Arc::downgrade(&session), Arc::downgrade(&session));
        let windows = move || for_windows.upgrade().map(|session| session.windows()).unwrap_or_default();
        tokio::spawn(end_when_overdue(end, limit, windows, async move || match for_questions.upgrade() {
            Some(session) => session.answers().await,
            None => false,
        }));
        Ok(session)
    }

    /// Whether the broker answers on the connection that publishes. Waits for as long as it reads nothing from it.
    async fn answers(&self) -> bool {
        let Ok(channel) = self.publishing.create_channel().await else { return false };
        // Whether it is closed in good order says nothing more.
        let _ = channel.close(DONE, "answered".into()).await;
        true
    }

    async fn channel(&self, connection: &Connection, operation: Operation) -> Result<Channel> {
        if self.calls.end.has_come() {
            return Err(Error::new(ErrorKind::Closed, operation, "the session has ended"));
        }
        self.calls.limited(operation, connection.create_channel()).await
    }

    fn windows(&self) -> Vec<Window> {
        self.windows.lock().unwrap_or_else(PoisonError::into_inner).clone()
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
        self.calls.end.come(None);
    }
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
            self.calls.limited(Operation::Declare, declaring).await?;
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
            self.calls.limited(Operation::Declare, declaring).await?;
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
        self.calls.limited(Operation::Declare, try_join_all(bindings)).await?;
        self.calls.limited(Operation::Declare, channel.close(DONE, "declared".into())).await
    }

    async fn publisher(&self, window: usize) -> Result<Arc<dyn Publisher>> {
        let channel = self.channel(&self.publishing, Operation::Publish).await?;
        self.calls.limited(Operation::Publish, channel.confirm_select(ConfirmSelectOptions::default())).await?;
        let window = Window::new(window);
        self.windows.lock().unwrap_or_else(PoisonError::into_inner).push(window.clone());
        if self.calls.end.has_come() {
            window.close();
        }
        Ok(LapinPublisher::new(channel, window, self.calls.end.clone(), self.max_message_bytes))
    }

    async fn subscribe(&self, queue: &str, options: SubscribeOptions) -> Result<Subscription> {
        let channel = self.channel(&self.consuming, Operation::Subscribe).await?;
        subscription::subscribe(self.calls.clone(), channel, queue, options).await
    }

    async fn ready(&self, queue: &str) -> Result<u64> {
        check_name(queue, Operation::Inspect)?;
        let channel = self.channel(&self.consuming, Operation::Inspect).await?;
        let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let asking = channel.queue_declare(queue.into(), options, FieldTable::default());
        let ready = u64::from(self.calls.limited(Operation::Inspect, asking).await?.message_count());
        self.calls.limited(Operation::Inspect, channel.close(DONE, "counted".into())).await?;
        Ok(ready)
    }

    async fn inbox(&self) -> Result<Inbox> {
        let channel = self.channel(&self.consuming, Operation::Subscribe).await?;
        let options = QueueDeclareOptions { exclusive: true, auto_delete: true, ..QueueDeclareOptions::default() };
        let declaring = channel.queue_declare(ShortString::default(), options, FieldTable::default());
        let queue = self.calls.limited(Operation::Subscribe, declaring).await?;
        let address = queue.name().as_str().to_owned();
        let options = SubscribeOptions { prefetch: INBOX_PREFETCH, exclusive: true };
        let subscription = subscription::subscribe(self.calls.clone(), channel, &address, options).await?;
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
