//! The interface between the worker and its runner.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::catalogue::Catalogue;
use super::task::{TaskReport, TaskRequest};

/// Runs tasks.
#[async_trait]
pub trait Runner: Send + Sync + 'static {
    /// Runs one task to its end. When `stop` is cancelled, it must end soon with [`super::NoOutcome::Cancelled`]. It
    /// must not block or compute for long, because runs that begin together share a task of the async runtime.
    async fn run(&self, request: TaskRequest, stop: CancellationToken) -> TaskReport;

    /// Whether a task of this module may be queued in the runner although all slots are occupied. If the tasks before
    /// it take long, it is returned with [`super::NoOutcome::NotBegun`].
    fn can_queue_ahead(&self, _module: &str) -> bool {
        false
    }

    /// The tasks that it can run, with future changes.
    fn catalogue(&self) -> watch::Receiver<Arc<Catalogue>>;

    /// Ends all its processes. Kills those that have not ended after `grace`.
    async fn shutdown(&self, grace: Duration);
}
