//! A session: two connections. When one of them ends, the other one is closed.

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
        let (lifecycle, limit) = (Lifecycle::default(), target.settings.answer_limit);
        tokio::spawn(watch_events(publishing.events_listener(), lifecycle.clone(), true));
        tokio::spawn(watch_events(consuming.events_listener(), lifecycle.clone(), false));
        let session = Arc::new(Self {
            publishing,
            consuming,
            sockets: [to_publish, to_consume],
            node: target.shown(),
            calls: Calls { lifecycle: lifecycle.clone(), limit },
            windows: Mutex::default(),
            max_message_bytes: target.settings.max_message_bytes,
        });
        tokio::spawn(end_both(lifecycle.health(), session.sockets.clone(), Arc::downgrade(&session)));
        let (for_windows, for_questions) = (Arc::downgrade(&session), Arc::downgrade(&session));
        let windows = move || for_windows.upgrade().map(|session| session.windows()).unwrap_or_default();
        tokio::spawn(end_when_overdue(lifecycle, limit, windows, async move || match for_questions.upgrade() {
            Some(session) => session.answers().await,
            None => false,
        }));
        Ok(session)
    }

    /// Whether the broker answers on the publishing connection. Waits while the broker does not read from it.
    async fn answers(&self) -> bool {
        let Ok(channel) = self.publishing.create_channel().await else { return false };
        // An error while closing the channel does not matter.
        let _ = channel.close(DONE, "answered".into()).await;
        true
    }

    async fn channel(&self, connection: &Connection, operation: Operation) -> Result<Channel> {
        if self.calls.lifecycle.has_ended() {
            return Err(Error::new(ErrorKind::Closed, operation, "the session has ended"));
        }
        self.calls.limited(operation, connection.create_channel()).await
    }

    fn windows(&self) -> Vec<Window> {
        self.windows.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Converts a connection's events to the session's health.
async fn watch_events(events: impl Stream<Item = Event>, lifecycle: Lifecycle, publishing: bool) {
    let mut events = std::pin::pin!(events);
    while let Some(event) = events.next().await {
        match event {
            Event::ConnectionBlocked(reason) if publishing => lifecycle.set(Health::Blocked(reason)),
            Event::ConnectionUnblocked if publishing => lifecycle.set(Health::Up),
            // A refusal closes only its channel: the call fails or the subscription ends. On the publishing connection it ends the
            // session, since a publisher cannot work without its channel.
            Event::Error(source) if !publishing && is_of_a_channel(&source) => {}
            Event::Error(source) => lifecycle.end(Some(Arc::new(error(Operation::Connect, source)))),
            _ => {}
        }
    }
    lifecycle.end(None);
}

/// Closes both connections when one of them has ended, so that the broker releases the session's exclusive queues and unsettled
/// deliveries.
async fn end_both(mut health: watch::Receiver<Health>, sockets: [Socket; 2], session: Weak<LapinSession>) {
    let was_asked_for = ended_on_request(&mut health).await;
    if let Some(session) = session.upgrade() {
        session.windows().iter().for_each(Window::close);
    }
    if was_asked_for {
        tokio::time::sleep(CLOSE_TIMEOUT).await;
    }
    sockets.iter().for_each(Socket::cut);
}

impl Drop for LapinSession {
    fn drop(&mut self) {
        self.calls.lifecycle.end(None);
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
        // There are many bindings. Declared together, they need one round trip instead of one each.
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
        if self.calls.lifecycle.has_ended() {
            window.close();
        }
        Ok(LapinPublisher::new(channel, window, self.calls.lifecycle.clone(), self.max_message_bytes))
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
        self.calls.lifecycle.health()
    }

    async fn close(&self, deadline: Duration) -> Result<()> {
        let windows = self.windows();
        let settled =
            Window::all_settled(&windows, if self.calls.lifecycle.has_ended() { Duration::ZERO } else { deadline })
                .await;
        let was_over = self.calls.lifecycle.has_ended();
        self.calls.lifecycle.end(None);
        let closing = [&self.publishing, &self.consuming].map(|connection| connection.close(DONE, "closed".into()));
        // A blocked or unreachable broker does not answer, so the sockets are closed in any case.
        let _ = tokio::time::timeout(CLOSE_TIMEOUT, join_all(closing)).await;
        self.sockets.iter().for_each(Socket::cut);
        windows.iter().for_each(Window::close);
        if settled || was_over {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Timeout, Operation::Close, "publishes were still without an outcome"))
    }
}
