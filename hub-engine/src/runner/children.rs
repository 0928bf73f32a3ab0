//! Reusable Python processes that run one task at a time. There are at most as many as slots.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::JoinSet;

use super::lane::{Lane, QueuedTask};
use super::pace::Paces;
use super::python_process::PythonProcess;
use super::sdk::Sdk;
use super::settings::RunnerSettings;
use super::{NoOutcome, RunControl, TaskReport, TaskRequest};

/// The processes of a runner.
#[derive(Debug)]
pub(super) struct Children {
    settings: Arc<RunnerSettings>,
    sdk: Arc<Sdk>,
    lanes: Mutex<Lanes>,
    paces: Arc<Paces>,
}

/// The processes that accept tasks, and the tasks of the async runtime that serve all processes.
#[derive(Debug, Default)]
struct Lanes {
    open: Vec<Lane>,
    working: JoinSet<()>,
}

impl Children {
    pub(super) fn new(settings: Arc<RunnerSettings>, sdk: Arc<Sdk>) -> Self {
        Self { settings, sdk, lanes: Mutex::default(), paces: Arc::default() }
    }

    /// Starts the first process before there is a task for it, because starting Python takes time.
    pub(super) fn prepare(&self) -> std::io::Result<()> {
        self.start(&mut self.lanes()).map(drop)
    }

    /// Whether a task of this module may be queued although every process has a task.
    pub(super) fn can_queue_ahead(&self, module: &str) -> bool {
        let ahead = self.paces.ahead(module) as usize;
        let slots = self.settings.slots as usize;
        ahead > 0 && self.load() < slots.saturating_mul(1 + ahead)
    }

    fn load(&self) -> usize {
        self.lanes().open.iter().map(Lane::load).sum()
    }

    /// Runs a task in an idle process, in a new one, or queued after other tasks.
    pub(super) async fn run(&self, request: &TaskRequest, control: &RunControl) -> std::io::Result<TaskReport> {
        let mut given = self.give(request, control)?;
        let report = tokio::select! {
            report = &mut given.report => report,
            () = control.stopped() => {
                given.stop();
                given.report.await
            }
        };
        // If the process died before it received the task, the task has not started.
        Ok(report.unwrap_or_else(|_| TaskReport::without(NoOutcome::NotBegun)))
    }

    fn give(&self, request: &TaskRequest, control: &RunControl) -> std::io::Result<QueuedTask> {
        let mut lanes = self.lanes();
        lanes.open.retain(Lane::is_open);
        let loads = lanes.open.iter().map(Lane::load).enumerate();
        let at = match loads.min_by_key(|(_, load)| *load) {
            Some((at, load)) if load == 0 || lanes.open.len() >= self.settings.slots as usize => at,
            _ => self.start(&mut lanes)?,
        };
        let lane = &mut lanes.open[at];
        let given = lane.give(request, control.clone());
        let limit = self.settings.max_tasks_per_child;
        if limit != 0 && lane.given >= limit {
            // The process ends when it has run its tasks.
            lanes.open.swap_remove(at);
        }
        Ok(given)
    }

    /// Starts a further process and returns its position.
    fn start(&self, lanes: &mut Lanes) -> std::io::Result<usize> {
        let python = PythonProcess::start(&self.settings, &self.sdk, false)?;
        let (lane, work) = Lane::new(python, Arc::clone(&self.paces));
        while lanes.working.try_join_next().is_some() {}
        lanes.working.spawn(work);
        lanes.open.push(lane);
        Ok(lanes.open.len() - 1)
    }

    /// Ends the processes. Kills those that have not ended after `grace`.
    pub(super) async fn shutdown(&self, grace: Duration) {
        let Lanes { open, mut working } = std::mem::take(&mut *self.lanes());
        drop(open);
        let all = async { while working.join_next().await.is_some() {} };
        if tokio::time::timeout(grace, all).await.is_err() {
            working.shutdown().await;
        }
    }

    fn lanes(&self) -> MutexGuard<'_, Lanes> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
