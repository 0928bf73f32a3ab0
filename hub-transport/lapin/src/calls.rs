//! Calls that wait for a response of the broker.

use std::time::Duration;

use hub_transport::amqp::Lifecycle;
use hub_transport::{Operation, Result};

use super::convert::error;

/// The reply code of a normal close.
pub(super) const DONE: u16 = 200;

/// Runs calls with a time limit.
#[derive(Clone, Debug)]
pub(super) struct Calls {
    pub(super) lifecycle: Lifecycle,
    pub(super) limit: Duration,
}

impl Calls {
    /// Waits for a response. If there is none within the limit, the session is ended.
    pub(super) async fn limited<T>(
        &self,
        operation: Operation,
        call: impl Future<Output = lapin::Result<T>>,
    ) -> Result<T> {
        match tokio::time::timeout(self.limit, call).await {
            Ok(answer) => answer.map_err(|source| error(operation, source)),
            Err(_) => Err(self.lifecycle.unanswered(operation)),
        }
    }
}
