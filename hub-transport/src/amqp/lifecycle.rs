//! The end of a session: it comes once, from whichever side.

use std::sync::Arc;

use tokio::sync::watch;

use crate::{Error, ErrorKind, Health, Operation};

/// Ends a session, and knows whether it has ended.
#[derive(Clone, Debug)]
pub struct End(watch::Sender<Health>);

impl Default for End {
    fn default() -> Self {
        Self(watch::channel(Health::Up).0)
    }
}

impl End {
    /// The session is over. Later causes than the first one are consequences of it.
    pub fn come(&self, cause: Option<Arc<Error>>) {
        self.set(Health::Closed(cause));
    }

    /// Sets the health of a session that is not over.
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
    pub fn has_come(&self) -> bool {
        matches!(&*self.0.borrow(), Health::Closed(_))
    }

    /// How the session is, now and from now on.
    pub fn health(&self) -> watch::Receiver<Health> {
        self.0.subscribe()
    }

    /// What ended it, also for callers that were not asked to end it.
    pub fn cause(&self) -> Arc<Error> {
        match &*self.0.borrow() {
            Health::Closed(Some(cause)) => Arc::clone(cause),
            _ => Arc::new(Error::new(ErrorKind::Closed, Operation::Publish, "the session has ended")),
        }
    }

    /// The broker has not answered within the limit: the session is over, since a node that lives and does not answer is of
    /// no use.
    pub fn unanswered(&self, operation: Operation) -> Error {
        let silent = || Error::new(ErrorKind::Timeout, operation, "the broker does not answer");
        self.come(Some(Arc::new(silent())));
        silent()
    }
}

/// Waits for the end of a session. Returns whether it was asked for here.
pub async fn asked_for_end(health: &mut watch::Receiver<Health>) -> bool {
    let ended = health.wait_for(|health| matches!(health, Health::Closed(_))).await;
    matches!(ended.as_deref(), Ok(Health::Closed(None)) | Err(_))
}
