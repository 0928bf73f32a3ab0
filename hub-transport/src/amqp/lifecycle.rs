//! The lifecycle of a session, which ends exactly once.

use std::sync::Arc;

use tokio::sync::watch;

use crate::{Error, ErrorKind, Health, Operation};

/// The health of a session, until it ends.
#[derive(Clone, Debug)]
pub struct Lifecycle(watch::Sender<Health>);

impl Default for Lifecycle {
    fn default() -> Self {
        Self(watch::channel(Health::Up).0)
    }
}

impl Lifecycle {
    /// Ends the session. Only the first cause is kept, since later ones are its consequences.
    pub fn end(&self, cause: Option<Arc<Error>>) {
        self.set(Health::Closed(cause));
    }

    /// Sets the health of a session that has not ended.
    pub fn set(&self, next: Health) {
        self.0.send_if_modified(|health| {
            let alive = !matches!(health, Health::Closed(_));
            if alive {
                *health = next;
            }
            alive
        });
    }

    /// Whether the session has ended.
    pub fn has_ended(&self) -> bool {
        matches!(&*self.0.borrow(), Health::Closed(_))
    }

    /// The current health and its changes.
    pub fn health(&self) -> watch::Receiver<Health> {
        self.0.subscribe()
    }

    /// The cause of the end. If the session was closed on request, a general error.
    pub fn cause(&self) -> Arc<Error> {
        match &*self.0.borrow() {
            Health::Closed(Some(cause)) => Arc::clone(cause),
            _ => Arc::new(Error::new(ErrorKind::Closed, Operation::Publish, "the session has ended")),
        }
    }

    /// Ends the session because the broker has not answered within the limit. Returns the error of the call.
    pub fn unanswered(&self, operation: Operation) -> Error {
        let silent = || Error::new(ErrorKind::Timeout, operation, "the broker does not answer");
        self.end(Some(Arc::new(silent())));
        silent()
    }
}

/// Waits for the end of a session. Returns whether this program requested it.
pub async fn ended_on_request(health: &mut watch::Receiver<Health>) -> bool {
    let ended = health.wait_for(|health| matches!(health, Health::Closed(_))).await;
    matches!(ended.as_deref(), Ok(Health::Closed(None)) | Err(_))
}
