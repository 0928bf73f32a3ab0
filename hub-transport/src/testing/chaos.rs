//! A transport that injects faults, by a seed, within the contract.
//!
//! Sessions die at any operation; a publish whose session dies may have gone through or not; dialling fails;
//! deliveries of a dead session come again. What never happens is what the contract rules out: a confirm for
//! a message that is lost, or a delivery that is lost.

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

/// The rates of faults: probabilities from 0 to 1.
#[derive(Clone, Copy, Debug)]
pub struct FaultRates {
    /// That dialling fails.
    pub connect: f64,
    /// That an operation finds its session dead, and has not been done.
    pub before: f64,
    /// That an operation is done, and the session dead afterwards.
    pub after: f64,
}

impl Default for FaultRates {
    fn default() -> Self {
        Self { connect: 0.2, before: 0.002, after: 0.002 }
    }
}

/// Injects faults on the way to another transport.
pub struct ChaosTransport {
    inner: Arc<dyn Transport>,
    dice: Arc<Dice>,
}

struct Dice {
    random: Mutex<ChaCha8Rng>,
    rates: FaultRates,
    calm: AtomicBool,
}

impl Dice {
    fn falls(&self, probability: f64) -> bool {
        !self.calm.load(Ordering::Relaxed)
            && self.random.lock().unwrap_or_else(PoisonError::into_inner).random_bool(probability)
    }
}

impl ChaosTransport {
    /// Faults that are decided by `seed`.
    #[must_use]
    pub fn new(inner: Arc<dyn Transport>, seed: u64, rates: FaultRates) -> Arc<Self> {
        let random = Mutex::new(ChaCha8Rng::seed_from_u64(seed));
        Arc::new(Self { inner, dice: Arc::new(Dice { random, rates, calm: AtomicBool::new(false) }) })
    }

    /// Ends the faults.
    pub fn calm(&self) {
        self.dice.calm.store(true, Ordering::Relaxed);
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
        if self.dice.falls(self.dice.rates.connect) {
            return Err(Error::new(ErrorKind::Unreachable, Operation::Connect, "an injected fault"));
        }
        let session = self.inner.connect().await?;
        Ok(Arc::new(ChaosSession { inner: session, dice: Arc::clone(&self.dice) }))
    }
}

#[derive(Clone)]
struct ChaosSession {
    inner: Arc<dyn Session>,
    dice: Arc<Dice>,
}

impl ChaosSession {
    /// Does something, or finds the session dead before or after it.
    async fn with_faults<T>(&self, operation: Operation, work: impl Future<Output = Result<T>>) -> Result<T> {
        if self.dice.falls(self.dice.rates.before) {
            return Err(self.die(operation).await);
        }
        let done = work.await;
        if self.dice.falls(self.dice.rates.after) {
            return Err(self.die(operation).await);
        }
        done
    }

    async fn die(&self, operation: Operation) -> Error {
        let _ = self.inner.close(Duration::ZERO).await;
        Error::new(ErrorKind::Closed, operation, "the session died of an injected fault")
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
        let dice = &self.session.dice;
        if dice.falls(dice.rates.before) {
            // Taken, and lost with the session.
            self.session.die(Operation::Publish).await;
            return Ok(Receipt::new().1);
        }
        let receipt = self.inner.publish(message).await?;
        if dice.falls(dice.rates.after) {
            // It went through, and nobody learns of it.
            self.session.die(Operation::Publish).await;
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
