//! The end of a session: it comes once, from whichever side.

use std::sync::Arc;

use tokio::sync::watch;

use crate::{Error, ErrorKind, Health, Operation};

/// Ends a session, and knows whether it has ended.
#[derive(Clone, Debug)]
pub(super) struct End(pub(super) watch::Sender<Health>);

impl End {
    /// The session is over. Later causes than the first one are consequences of it.
    pub(super) fn come(&self, cause: Option<Arc<Error>>) {
        self.0.send_if_modified(|health| {
            let alive = !matches!(health, Health::Closed(_));
            if alive {
                *health = Health::Closed(cause);
            }
            alive
        });
    }

    pub(super) fn has_come(&self) -> bool {
        matches!(&*self.0.borrow(), Health::Closed(_))
    }

    /// What ended it, in the words of whoever was not asked to.
    pub(super) fn cause(&self) -> Arc<Error> {
        match &*self.0.borrow() {
            Health::Closed(Some(cause)) => Arc::clone(cause),
            _ => Arc::new(Error::new(ErrorKind::Closed, Operation::Publish, "the session has ended")),
        }
    }
}
