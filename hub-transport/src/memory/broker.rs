//! The handle of the broker: it provides transports and simulates failures.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;

use super::session::MemorySession;
use super::shared::SharedState;
use crate::{Capabilities, Error, ErrorKind, Operation, Result, Session, Topology, Transport};

/// A broker in this process. Clones refer to the same broker.
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

    /// A broker with only these capabilities. It refuses (`Unsupported`) or ignores requests that need others, as documented at
    /// [`Capabilities`]. It simulates other brokers in tests.
    #[must_use]
    pub fn with_capabilities(capabilities: Capabilities) -> Self {
        let broker = Self::default();
        broker.state.lock().capabilities = capabilities;
        broker
    }

    /// Sets the maximum size of a message body, in bytes.
    #[must_use]
    pub fn with_max_message_bytes(self, limit: usize) -> Self {
        self.state.lock().capabilities.max_message_bytes = Some(limit);
        self
    }

    /// Creates exchanges, queues and bindings as the operators of a broker would, independent of what sessions may declare.
    ///
    /// # Errors
    /// `Conflict` if something exists with other properties, `NotFound` if a binding refers to a missing queue or exchange.
    pub fn provide(&self, topology: &Topology) -> Result<()> {
        self.state.lock().provide(topology)
    }

    /// A transport to this broker.
    #[must_use]
    pub fn transport(&self) -> Arc<dyn Transport> {
        Arc::new(MemoryTransport(self.state.clone()))
    }

    /// Ends all sessions, as a crash of the broker would. Durable messages are kept if the broker is [`Capabilities::durable`].
    pub fn restart(&self) {
        let mut state = self.state.lock();
        state.drop_sessions("the broker was restarted");
        state.forget_transient();
    }

    /// Ends all sessions, as a network failure would.
    pub fn drop_sessions(&self) {
        self.state.lock().drop_sessions("the connection was lost");
    }

    /// Ends all sessions and refuses new ones until [`MemoryBroker::come_back`].
    pub fn go_away(&self) {
        let mut state = self.state.lock();
        state.unavailable = true;
        state.drop_sessions("the broker went away");
    }

    /// Accepts sessions again.
    pub fn come_back(&self) {
        self.state.lock().unavailable = false;
    }

    /// Blocks publishing until [`MemoryBroker::unblock`], as under a memory alarm.
    pub fn block(&self, reason: &str) {
        self.state.lock().block(reason);
    }

    /// Accepts messages again, beginning with the blocked ones.
    pub fn unblock(&self) {
        self.state.lock().unblock();
    }

    /// Deletes a queue with its messages and ends its consumers.
    pub fn delete_queue(&self, name: &str) {
        self.state.lock().delete_queue(name);
    }

    /// The number of messages of each queue, including unsettled deliveries.
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
