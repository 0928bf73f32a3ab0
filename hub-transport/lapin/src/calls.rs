//! Calls that wait for an answer of the broker.

use std::time::Duration;

use hub_transport::amqp::End;
use hub_transport::{Operation, Result};

use super::convert::error;

/// The reply code of a normal end.
pub(super) const DONE: u16 = 200;

/// Waits for answers of the broker, but not for ever.
#[derive(Clone, Debug)]
pub(super) struct Calls {
    pub(super) end: End,
    pub(super) limit: Duration,
}

impl Calls {
    /// Waits for an answer. A broker that gives none ends the session: it lives, and is of no use.
    pub(super) async fn limited<T>(
        &self,
        operation: Operation,
        call: impl Future<Output = lapin::Result<T>>,
    ) -> Result<T> {
        match tokio::time::timeout(self.limit, call).await {
            Ok(answer) => answer.map_err(|source| error(operation, source)),
            Err(_) => Err(self.end.unanswered(operation)),
        }
    }
}
