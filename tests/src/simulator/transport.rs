//! The simulated transport between a process and the broker: messages are delayed, and connections break.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hub_transport::{
    Capabilities, Error, ErrorKind, Health, Inbox, Operation, Publisher, Result, Session, SubscribeOptions,
    Subscription, Topology, Transport,
};
use tokio::sync::watch;

use super::connection::Connection;
use super::process::Process;
use super::publisher::SimPublisher;
use super::subscription;

/// The transport of a process.
pub struct SimTransport {
    process: Arc<Process>,
    inner: Arc<dyn Transport>,
}

struct SimSession(Arc<Connection>);

impl SimTransport {
    /// Creates it for this process.
    #[must_use]
    pub fn new(process: &Arc<Process>) -> Arc<Self> {
        Arc::new(Self { process: Arc::clone(process), inner: process.world().broker.transport() })
    }
}

#[async_trait]
impl Transport for SimTransport {
    fn describe(&self) -> String {
        format!("the simulated way of {}", self.process.name)
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn connect(&self) -> Result<Arc<dyn Session>> {
        let world = self.process.world();
        self.process.step().await;
        // Connecting always takes time, so that a reconnect loop lets time pass.
        world.pass(world.dice.millis(1, 20)).await;
        if self.process.is_cut_off() || world.falls(world.weather.refuse) {
            world.pass(world.dice.millis(50, 2_000)).await;
            return Err(Error::new(ErrorKind::Unreachable, Operation::Connect, "the broker cannot be reached"));
        }
        self.process.step().await;
        let session = match self.inner.connect().await {
            Ok(session) => session,
            Err(error) => {
                world.pass(world.dice.millis(50, 2_000)).await;
                return Err(error);
            }
        };
        Ok(Arc::new(SimSession(Connection::new(&self.process, session))))
    }
}

#[async_trait]
impl Session for SimSession {
    async fn declare(&self, topology: &Topology) -> Result<()> {
        self.0.process.step().await;
        self.0.may_break();
        self.0.session(Operation::Declare)?.declare(topology).await
    }

    async fn publisher(&self, window: usize) -> Result<Arc<dyn Publisher>> {
        self.0.process.step().await;
        let inner = self.0.session(Operation::Publish)?.publisher(window).await?;
        Ok(SimPublisher::start(Arc::clone(&self.0), inner))
    }

    async fn subscribe(&self, queue: &str, options: SubscribeOptions) -> Result<Subscription> {
        self.0.process.step().await;
        self.0.may_break();
        let inner = self.0.session(Operation::Subscribe)?.subscribe(queue, options).await?;
        Ok(subscription::lead(&self.0, queue, inner))
    }

    async fn ready(&self, queue: &str) -> Result<u64> {
        self.0.process.step().await;
        self.0.may_break();
        let ready = self.0.session(Operation::Inspect)?.ready(queue).await;
        self.0.process.step().await;
        ready
    }

    async fn inbox(&self) -> Result<Inbox> {
        self.0.session(Operation::Subscribe)?.inbox().await
    }

    fn health(&self) -> watch::Receiver<Health> {
        self.0.health()
    }

    async fn close(&self, _deadline: Duration) -> Result<()> {
        self.0.process.step().await;
        self.0.close();
        Ok(())
    }
}
