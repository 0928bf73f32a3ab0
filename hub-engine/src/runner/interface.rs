//! The interface between the worker and what runs its tasks.

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
    /// Runs one task to its end. When `stop` is cancelled it ends soon, with [`super::NoOutcome::Cancelled`]. It must not block
    /// or compute for long: runs that begin together share a task of the runtime.
    async fn run(&self, request: TaskRequest, stop: CancellationToken) -> TaskReport;

    /// Whether a task of this module may be handed over although every slot is taken. Where the tasks before it turn out
    /// to take long, it comes back with [`super::NoOutcome::NotBegun`].
    fn has_room_ahead(&self, _module: &str) -> bool {
        false
    }

    /// The tasks that it can run, now and from now on.
    fn catalogue(&self) -> watch::Receiver<Arc<Catalogue>>;

    /// Ends everything it started, by force where that takes longer than `grace`.
    async fn shutdown(&self, grace: Duration);
}
