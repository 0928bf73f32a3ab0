//! A transport that injects faults within the contract, controlled by a seed.
//!
//! Sessions end at any operation, publishes of such sessions may or may not have been accepted, connecting fails, and deliveries of
//! ended sessions are repeated. The faults never violate the contract: no confirmed message and no delivery is lost.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tokio::sync::watch;

use crate::DeliveryTag;
use crate::{
    Capabilities, Error, ErrorKind, Health, Inbox, Message, Operation, Publisher, Receipt, Result, Session, Settlement,
    Settler, SubscribeOptions, Subscription, Topology, Transport,
};

/// Probabilities of faults, from 0 to 1.
#[derive(Clone, Copy, Debug)]
pub struct FaultRates {
    /// Connecting fails.
    pub connect: f64,
    /// The session ends before an operation.
    pub before: f64,
    /// The session ends after an operation.
    pub after: f64,
}

impl Default for FaultRates {
    fn default() -> Self {
        Self { connect: 0.2, before: 0.002, after: 0.002 }
    }
}

/// Wraps another transport and injects faults.
pub struct ChaosTransport {
    inner: Arc<dyn Transport>,
    injector: Arc<Injector>,
}

struct Injector {
    random: Mutex<ChaCha8Rng>,
    rates: FaultRates,
    stopped: AtomicBool,
}

impl Injector {
    fn draw(&self, probability: f64) -> bool {
        !self.stopped.load(Ordering::Relaxed)
            && self.random.lock().unwrap_or_else(PoisonError::into_inner).random_bool(probability)
    }
}

impl ChaosTransport {
    /// A transport whose faults are determined by `seed`.
    #[must_use]
    pub fn new(inner: Arc<dyn Transport>, seed: u64, rates: FaultRates) -> Arc<Self> {
        let random = Mutex::new(ChaCha8Rng::seed_from_u64(seed));
        Arc::new(Self { inner, injector: Arc::new(Injector { random, rates, stopped: AtomicBool::new(false) }) })
    }

    /// Stops the faults.
    pub fn stop_faults(&self) {
        self.injector.stopped.store(true, Ordering::Relaxed);
    }
}

#[async_trait]
impl Transport for ChaosTransport {
    fn describe(&self) -> String {
        format!("{} with faults", self.inner.describe())
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    fn nodes(&self) -> usize {
        self.inner.nodes()
    }

    async fn connect(&self) -> Result<Arc<dyn Session>> {
        if self.injector.draw(self.injector.rates.connect) {
            return Err(Error::new(ErrorKind::Unreachable, Operation::Connect, "an injected fault"));
        }
        let session = self.inner.connect().await?;
        Ok(Arc::new(ChaosSession { inner: session, injector: Arc::clone(&self.injector) }))
    }
}

#[derive(Clone)]
struct ChaosSession {
    inner: Arc<dyn Session>,
    injector: Arc<Injector>,
}

impl ChaosSession {
    /// Runs an operation. The session may end before or after it.
    async fn with_faults<T>(&self, operation: Operation, work: impl Future<Output = Result<T>>) -> Result<T> {
        if self.injector.draw(self.injector.rates.before) {
            return Err(self.end(operation).await);
        }
        let result = work.await;
        if self.injector.draw(self.injector.rates.after) {
            return Err(self.end(operation).await);
        }
        result
    }

    async fn end(&self, operation: Operation) -> Error {
        let _ = self.inner.close(Duration::ZERO).await;
        Error::new(ErrorKind::Closed, operation, "an injected fault ended the session")
    }
}

#[async_trait]
impl Session for ChaosSession {
    async fn declare(&self, topology: &Topology) -> Result<()> {
        self.with_faults(Operation::Declare, self.inner.declare(topology)).await
    }

    async fn publisher(&self, window: usize) -> Result<Arc<dyn Publisher>> {
        let inner = self.with_faults(Operation::Publish, self.inner.publisher(window)).await?;
        Ok(Arc::new(ChaosPublisher { inner, session: self.clone() }))
    }

    async fn subscribe(&self, queue: &str, options: SubscribeOptions) -> Result<Subscription> {
        let inner = self.with_faults(Operation::Subscribe, self.inner.subscribe(queue, options)).await?;
        let settler = Arc::new(ChaosSettler { inner: inner.settler, session: self.clone() });
        Ok(Subscription { deliveries: inner.deliveries, settler })
    }

    async fn ready(&self, queue: &str) -> Result<u64> {
        self.with_faults(Operation::Inspect, self.inner.ready(queue)).await
    }

    async fn inbox(&self) -> Result<Inbox> {
        self.with_faults(Operation::Subscribe, self.inner.inbox()).await
    }

    fn node(&self) -> Option<&str> {
        self.inner.node()
    }

    fn health(&self) -> watch::Receiver<Health> {
        self.inner.health()
    }

    async fn close(&self, deadline: Duration) -> Result<()> {
        self.inner.close(deadline).await
    }
}

struct ChaosPublisher {
    inner: Arc<dyn Publisher>,
    session: ChaosSession,
}

#[async_trait]
impl Publisher for ChaosPublisher {
    async fn publish(&self, message: Message) -> Result<Receipt> {
        let injector = &self.session.injector;
        if injector.draw(injector.rates.before) {
            // The message is lost with the session.
            self.session.end(Operation::Publish).await;
            return Ok(Receipt::new().1);
        }
        let receipt = self.inner.publish(message).await?;
        if injector.draw(injector.rates.after) {
            // The broker has accepted the message, but the outcome is lost.
            self.session.end(Operation::Publish).await;
            return Ok(Receipt::new().1);
        }
        Ok(receipt)
    }
}

struct ChaosSettler {
    inner: Arc<dyn Settler>,
    session: ChaosSession,
}

#[async_trait]
impl Settler for ChaosSettler {
    async fn settle(&self, tag: DeliveryTag, settlement: Settlement, multiple: bool) -> Result<()> {
        self.session.with_faults(Operation::Settle, self.inner.settle(tag, settlement, multiple)).await
    }

    async fn cancel(&self) -> Result<()> {
        self.inner.cancel().await
    }
}
