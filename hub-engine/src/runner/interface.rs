//! The interface between the worker and its runner.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hub_core::TaskKinds;
use tokio::sync::watch;

use super::catalogue::Catalogue;
use super::control::RunControl;
use super::task::{TaskReport, TaskRequest};

/// Runs tasks.
#[async_trait]
pub trait Runner: Send + Sync + 'static {
    /// Runs one task to its end. When [`RunControl::interrupted`] says so, the task must end soon, and its report is
    /// that of [`super::Interruption::apply`]. The run must not block or compute for long, because runs that begin
    /// together share a task of the async runtime.
    async fn run(&self, request: TaskRequest, control: RunControl) -> TaskReport;

    /// Whether a task of this module may be queued in the runner although all slots are occupied. If the tasks before
    /// it take long, it is returned with [`super::NoOutcome::NotBegun`].
    fn can_queue_ahead(&self, _module: &str) -> bool {
        false
    }

    /// The kinds of tasks that it runs. It reports a task of another kind as [`super::NoOutcome::Unknown`].
    fn allows(&self) -> TaskKinds {
        TaskKinds::default()
    }

    /// The tasks that it can run, with future changes.
    fn catalogue(&self) -> watch::Receiver<Arc<Catalogue>>;

    /// Ends all its processes. Kills those that have not ended after `grace`.
    async fn shutdown(&self, grace: Duration);
}
