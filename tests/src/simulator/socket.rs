//! The session that a process and its connection share until the connection breaks.

use std::sync::{Arc, Mutex, PoisonError};

use hub_transport::Session;

use super::event::Event;
use super::world::World;

/// The session of a connection to the broker.
pub struct Socket {
    /// The name of the process whose connection it is.
    pub process: Arc<str>,
    /// The unique number of the connection.
    pub number: u64,
    world: Arc<World>,
    session: Mutex<Option<Arc<dyn Session>>>,
}

impl Socket {
    /// The socket of a new connection.
    #[must_use]
    pub fn new(world: &Arc<World>, process: &Arc<str>, session: Arc<dyn Session>) -> Arc<Self> {
        Arc::new(Self {
            process: Arc::clone(process),
            number: world.number(),
            world: Arc::clone(world),
            session: Mutex::new(Some(session)),
        })
    }

    /// Breaks the connection. Messages in transit are lost.
    pub fn cut(&self) {
        // The memory backend ends a session when it is dropped.
        if self.take().is_some() {
            self.world.tell(Event::Cut(Arc::clone(&self.process), self.number));
        }
    }

    /// The session, unless the connection is broken.
    #[must_use]
    pub fn session(&self) -> Option<Arc<dyn Session>> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Removes the session, for a normal close.
    pub fn take(&self) -> Option<Arc<dyn Session>> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
