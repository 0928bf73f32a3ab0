//! The broker as its owner sees it: a way to connect to it, and the means to disturb it.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;

use super::session::MemorySession;
use super::shared::SharedState;
use crate::{Capabilities, Error, ErrorKind, Operation, Result, Session, Topology, Transport};

/// A broker in this process. Clones are the same broker.
#[derive(Clone, Default)]
pub struct MemoryBroker {
    state: SharedState,
}

impl MemoryBroker {
    /// A broker without exchanges and queues.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A broker that can do only this: what it lacks it refuses (`Unsupported`) or ignores, as [`Capabilities`] says. It stands for
    /// other brokers in tests.
    #[must_use]
    pub fn with_capabilities(capabilities: Capabilities) -> Self {
        let broker = Self::default();
        broker.state.lock().capabilities = capabilities;
        broker
    }

    /// The same with a limit on the size of a message body, in bytes.
    #[must_use]
    pub fn with_max_message_bytes(self, limit: usize) -> Self {
        self.state.lock().capabilities.max_message_bytes = Some(limit);
        self
    }

    /// Makes exchanges, queues and bindings as the operators of a broker do, whatever its sessions may declare.
    ///
    /// # Errors
    /// `Conflict` where something exists with other properties, `NotFound` where something to be bound does not exist.
    pub fn provide(&self, topology: &Topology) -> Result<()> {
        self.state.lock().provide(topology)
    }

    /// A way to connect to this broker.
    #[must_use]
    pub fn transport(&self) -> Arc<dyn Transport> {
        Arc::new(MemoryTransport(self.state.clone()))
    }

    /// Ends every session, as a crash of the broker does. What is durable stays; nothing, where the broker is not
    /// [`Capabilities::durable`].
    pub fn restart(&self) {
        let mut state = self.state.lock();
        state.drop_sessions("the broker was restarted");
        state.forget_transient();
    }

    /// Ends every session, as a broken network does.
    pub fn drop_sessions(&self) {
        self.state.lock().drop_sessions("the connection was lost");
    }

    /// Refuses new sessions until [`MemoryBroker::come_back`], and ends those that are there.
    pub fn go_away(&self) {
        let mut state = self.state.lock();
        state.away = true;
        state.drop_sessions("the broker went away");
    }

    /// Takes sessions again.
    pub fn come_back(&self) {
        self.state.lock().away = false;
    }

    /// Takes no messages until [`MemoryBroker::unblock`], as under a memory alarm.
    pub fn block(&self, reason: &str) {
        self.state.lock().block(reason);
    }

    /// Takes messages again, those that waited first.
    pub fn unblock(&self) {
        self.state.lock().unblock();
    }

    /// Deletes a queue with its messages; its consumers end.
    pub fn delete_queue(&self, name: &str) {
        self.state.lock().delete_queue(name);
    }

    /// Every queue and how many messages it has, those that are delivered and not settled included.
    #[must_use]
    pub fn depths(&self) -> BTreeMap<String, usize> {
        self.state.lock().depths()
    }
}

impl std::fmt::Debug for MemoryBroker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MemoryBroker")
    }
}

struct MemoryTransport(SharedState);

#[async_trait]
impl Transport for MemoryTransport {
    fn describe(&self) -> String {
        "memory".to_owned()
    }

    fn capabilities(&self) -> Capabilities {
        self.0.lock().capabilities
    }

    async fn connect(&self) -> Result<Arc<dyn Session>> {
        let opened = self.0.lock().open_session();
        match opened {
            Some((id, health)) => Ok(Arc::new(MemorySession::new(self.0.clone(), id, health))),
            None => Err(Error::new(ErrorKind::Unreachable, Operation::Connect, "the broker is away")),
        }
    }
}
