//! A session of the memory backend.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{Semaphore, watch};

use super::shared::SharedState;
use super::state::BlockedPublish;
use crate::topology::{Queue, QueueKind};
use crate::{
    DeliveryTag, Error, ErrorKind, Health, Inbox, Message, Operation, Publisher, Receipt, Result, Session, Settlement,
    Settler, SubscribeOptions, Subscription, Topology,
};

/// Maximum number of unsettled replies.
const INBOX_PREFETCH: u16 = 256;

pub(super) struct MemorySession {
    state: SharedState,
    id: u64,
    health: watch::Receiver<Health>,
    windows: std::sync::Mutex<Vec<(Arc<Semaphore>, u32)>>,
}

impl MemorySession {
    pub(super) fn new(state: SharedState, id: u64, health: watch::Receiver<Health>) -> Self {
        Self { state, id, health, windows: std::sync::Mutex::default() }
    }
}

#[async_trait]
impl Session for MemorySession {
    async fn declare(&self, topology: &Topology) -> Result<()> {
        self.state.lock().declare(self.id, topology)
    }

    async fn publisher(&self, window: usize) -> Result<Arc<dyn Publisher>> {
        self.state.lock().check_session(self.id, Operation::Publish)?;
        let size = window.clamp(1, 1 << 20);
        let window = Arc::new(Semaphore::new(size));
        let mut windows = self.windows.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        windows.push((Arc::clone(&window), u32::try_from(size).unwrap_or(u32::MAX)));
        Ok(Arc::new(MemoryPublisher {
            state: self.state.clone(),
            session: self.id,
            window,
            health: self.health.clone(),
        }))
    }

    async fn subscribe(&self, queue: &str, options: SubscribeOptions) -> Result<Subscription> {
        let (consumer, deliveries) = self.state.lock().subscribe(self.id, queue, options)?;
        let settler = Arc::new(MemorySettler { state: self.state.clone(), consumer });
        Ok(Subscription { deliveries, settler })
    }

    async fn ready(&self, queue: &str) -> Result<u64> {
        self.state.lock().ready(self.id, queue)
    }

    async fn inbox(&self) -> Result<Inbox> {
        let mut broker = self.state.lock();
        // A name of the form that a broker assigns.
        let address = format!("amq.gen-{}", self.id);
        let queue = Queue::new(&address, QueueKind::Exclusive);
        broker.declare(self.id, &Topology::default().queue(queue))?;
        let options = SubscribeOptions { prefetch: INBOX_PREFETCH, exclusive: broker.capabilities.exclusive };
        let (consumer, deliveries) = broker.subscribe(self.id, &address, options)?;
        let settler = Arc::new(MemorySettler { state: self.state.clone(), consumer });
        Ok(Inbox { address, subscription: Subscription { deliveries, settler } })
    }

    fn health(&self) -> watch::Receiver<Health> {
        self.health.clone()
    }

    async fn close(&self, deadline: Duration) -> Result<()> {
        let windows = self.windows.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        // All permits of a window are available when all its publishes have outcomes.
        let settled = async {
            for (window, size) in &windows {
                let _ = window.acquire_many(*size).await;
            }
        };
        let in_time = tokio::time::timeout(deadline, settled).await;
        self.state.lock().close_session(self.id, None);
        in_time.map_err(|_| Error::new(ErrorKind::Timeout, Operation::Close, "publishes were still without an outcome"))
    }
}

impl Drop for MemorySession {
    fn drop(&mut self) {
        self.state.lock().close_session(self.id, None);
    }
}

struct MemoryPublisher {
    state: SharedState,
    session: u64,
    window: Arc<Semaphore>,
    health: watch::Receiver<Health>,
}

#[async_trait]
impl Publisher for MemoryPublisher {
    async fn publish(&self, mut message: Message) -> Result<Receipt> {
        let closed = || Error::new(ErrorKind::Closed, Operation::Publish, "the session has ended");
        let mut health = self.health.clone();
        let permit = tokio::select! {
            biased;
            permit = Arc::clone(&self.window).acquire_owned() => permit.map_err(|_| closed())?,
            _ = health.wait_for(|health| matches!(health, Health::Closed(_))) => return Err(closed()),
        };
        // These headers are reserved for the broker.
        message.headers.retain(|name, _| !name.starts_with("x-"));
        let mut broker = self.state.lock();
        broker.check_session(self.session, Operation::Publish)?;
        if let Some(limit) = broker.capabilities.max_message_bytes.filter(|limit| message.body.len() > *limit) {
            let message = format!("the message has {} bytes, the limit of the broker is {limit}", message.body.len());
            return Err(Error::new(ErrorKind::TooLarge, Operation::Publish, message));
        }
        if !broker.is_blocked() {
            return Ok(Receipt::known(broker.route(message)));
        }
        let (outcome, receipt) = Receipt::new();
        broker.hold(BlockedPublish { session: self.session, message, outcome, _window: permit });
        Ok(receipt)
    }
}

struct MemorySettler {
    state: SharedState,
    consumer: u64,
}

#[async_trait]
impl Settler for MemorySettler {
    async fn settle(&self, tag: DeliveryTag, settlement: Settlement, multiple: bool) -> Result<()> {
        self.state.lock().settle(self.consumer, tag, settlement, multiple)
    }

    async fn cancel(&self) -> Result<()> {
        self.state.lock().cancel_consumer(self.consumer)
    }
}
