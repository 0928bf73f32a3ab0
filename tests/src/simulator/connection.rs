//! A connection of a process to the broker. It breaks.

use std::sync::Arc;

use hub_transport::{Error, ErrorKind, Health, Operation, Result, Session};
use tokio::sync::watch;

use super::process::Process;
use super::socket::Socket;

/// A connection to the broker.
pub struct Connection {
    /// The process whose connection it is.
    pub process: Arc<Process>,
    /// Its number, unique among all.
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

    /// Whether it holds.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.socket.session().is_some() && !matches!(&*self.health.borrow(), Health::Closed(_))
    }

    /// Breaks it, if this probability wants it so.
    pub fn may_break(&self) {
        if self.process.world().falls(self.process.world().weather.cut) {
            self.socket.cut();
        }
    }

    /// Its session.
    ///
    /// # Errors
    /// Where it is broken.
    pub fn session(&self, operation: Operation) -> Result<Arc<dyn Session>> {
        self.socket.session().ok_or_else(|| Error::new(ErrorKind::Closed, operation, "the connection broke"))
    }

    /// Its health, as the broker's side has it.
    #[must_use]
    pub fn health(&self) -> watch::Receiver<Health> {
        self.health.clone()
    }

    /// Closes it in good order.
    pub fn close(&self) {
        drop(self.socket.take());
    }
}
