//! A runner with the task modules of a test.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use hub_core::state::{ErrorKind, TaskError};
use hub_core::{JobId, Json};
use hub_engine::runner::{
    ModuleRunner, NoOutcome, Outcome, RunControl, Runner, RunnerSettings, TaskReport, TaskRequest,
};

/// Timeout of all waits, which is reached only if something hangs.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

pub(crate) struct Bench {
    pub(crate) directory: tempfile::TempDir,
    pub(crate) runner: Arc<ModuleRunner>,
    tasks: AtomicU32,
}

#[allow(dead_code, reason = "each test uses some of it")]
impl Bench {
    /// A runner with one slot and these modules: names and contents of files.
    pub(crate) async fn start(modules: &[(&str, &str)]) -> Self {
        Self::start_with(modules, |settings| settings).await
    }

    pub(crate) async fn start_with(
        modules: &[(&str, &str)],
        change: impl FnOnce(RunnerSettings) -> RunnerSettings,
    ) -> Self {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in modules {
            std::fs::write(directory.path().join(name), text).unwrap();
        }
        let settings = change(RunnerSettings { slots: 1, ..RunnerSettings::new(directory.path()) });
        let runner = Arc::new(ModuleRunner::start(settings).await.unwrap());
        Self { directory, runner, tasks: AtomicU32::new(0) }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn request(&self, module: &str, args: &str) -> TaskRequest {
        let job: JobId = "0190b4c2-7b1a-7000-8000-000000000000".parse().unwrap();
        TaskRequest {
            id: job.task(self.tasks.fetch_add(1, Ordering::Relaxed)),
            parent_id: job,
            name: module.into(),
            task_name: module.into(),
            args: Json::parse(args).unwrap(),
            kwargs: Json::from_checked("{}"),
            run: None,
            secrets: None,
            attempt: 1,
            issue: 1,
            worker: "w".into(),
            last_progress: None,
            wants_content: false,
        }
    }

    /// Runs a task to its end, and repeats it if it was not started.
    pub(crate) async fn run(&self, module: &str, args: &str) -> TaskReport {
        let stop = RunControl::default();
        loop {
            let run = self.runner.run(self.request(module, args), stop.clone());
            let report = tokio::time::timeout(DEADLINE, run).await.unwrap_or_else(|_| panic!("{module} hangs"));
            if report.outcome != Err(NoOutcome::NotBegun) {
                return report;
            }
        }
    }

    /// Runs a task to its end, with this connection to its worker.
    pub(crate) async fn run_under(&self, module: &str, args: &str, control: &RunControl) -> TaskReport {
        let run = self.runner.run(self.request(module, args), control.clone());
        tokio::time::timeout(DEADLINE, run).await.unwrap_or_else(|_| panic!("{module} hangs"))
    }

    /// Makes a program of a file.
    pub(crate) fn write_program(&self, name: &str, script: &str) {
        use std::os::unix::fs::PermissionsExt;
        std::fs::write(self.path(name), format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(self.path(name), std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// What a task returns.
    #[track_caller]
    pub(crate) fn returned(report: &TaskReport) -> &str {
        match &report.outcome {
            Ok(Outcome::Success { data }) => data.get(),
            other => panic!("{other:?}; it printed {:?}", report.log),
        }
    }

    /// How a task failed.
    #[track_caller]
    pub(crate) fn failure(report: &TaskReport) -> (ErrorKind, &str, &TaskError) {
        match &report.outcome {
            Ok(Outcome::Failed { msg, error: Some(error) }) => (error.kind, msg, error),
            other => panic!("{other:?}; it printed {:?}", report.log),
        }
    }
}

/// Whether a process is running. A zombie is not.
#[allow(dead_code, reason = "each test uses some of it")]
pub(crate) fn is_running(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The first thread can have ended before the others. Only then can the process be waited for.
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count);
    stat.rsplit_once(") ").is_some_and(|(_, rest)| threads > 1 || !rest.starts_with(['Z', 'X']))
}

/// Waits for a condition.
#[allow(dead_code, reason = "each test uses some of it")]
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(DEADLINE, waiting).await.unwrap_or_else(|_| panic!("waited for too long: {what}"));
}
