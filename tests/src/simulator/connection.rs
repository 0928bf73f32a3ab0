//! The connection of a process to the broker, which can break.

use std::sync::Arc;

use hub_transport::{Error, ErrorKind, Health, Operation, Result, Session};
use tokio::sync::watch;

use super::process::Process;
use super::socket::Socket;

/// A connection to the broker.
pub struct Connection {
    /// The process that owns the connection.
    pub process: Arc<Process>,
    /// Its unique number.
    pub number: u64,
    socket: Arc<Socket>,
    health: watch::Receiver<Health>,
}

impl Connection {
    /// The connection with this session.
    #[must_use]
    pub fn new(process: &Arc<Process>, session: Arc<dyn Session>) -> Arc<Self> {
        let health = session.health();
        let socket = Socket::new(process.world(), &process.name, session);
        process.add_socket(&socket);
        Arc::new(Self { process: Arc::clone(process), number: socket.number, socket, health })
    }

    /// Whether it is intact.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.socket.session().is_some() && !matches!(&*self.health.borrow(), Health::Closed(_))
    }

    /// Breaks it with the configured probability.
    pub fn may_break(&self) {
        if self.process.world().falls(self.process.world().weather.cut) {
            self.socket.cut();
        }
    }

    /// Its session.
    ///
    /// # Errors
    /// If it is broken.
    pub fn session(&self, operation: Operation) -> Result<Arc<dyn Session>> {
        self.socket.session().ok_or_else(|| Error::new(ErrorKind::Closed, operation, "the connection broke"))
    }

    /// The health of the session.
    #[must_use]
    pub fn health(&self) -> watch::Receiver<Health> {
        self.health.clone()
    }

    /// Closes it normally.
    pub fn close(&self) {
        drop(self.socket.take());
    }
}
