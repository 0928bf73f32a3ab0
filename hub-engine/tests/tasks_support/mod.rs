//! A directory of tasks with a runner, for tests of the runner alone.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hub_core::{JobId, Json};
use hub_engine::runner::{
    ModuleRunner, NoOutcome, Outcome, RunControl, Runner, RunnerSettings, TaskReport, TaskRequest,
};

/// Timeout of all waits, which is reached only if something hangs.
pub(crate) const DEADLINE: Duration = Duration::from_secs(120);

/// A directory of tasks.
pub(crate) struct Tasks(tempfile::TempDir);

impl Tasks {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a file.
    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        std::fs::write(self.path(name), text).unwrap();
    }

    pub(crate) fn set_mode(&self, name: &str, mode: u32) {
        std::fs::set_permissions(self.path(name), std::fs::Permissions::from_mode(mode)).unwrap();
    }

    /// Writes a shell script.
    pub(crate) fn write_program(&self, name: &str, text: &str) {
        self.write(name, &format!("#!/bin/sh\n{text}\n"));
        self.set_mode(name, 0o755);
    }

    pub(crate) fn settings(&self) -> RunnerSettings {
        RunnerSettings { slots: 2, ..RunnerSettings::new(self.0.path()) }
    }

    pub(crate) async fn runner(&self) -> Arc<ModuleRunner> {
        self.runner_with(self.settings()).await
    }

    pub(crate) async fn runner_with(&self, settings: RunnerSettings) -> Arc<ModuleRunner> {
        Arc::new(ModuleRunner::start(settings).await.unwrap())
    }

    /// The content of a file, once it exists and is not empty.
    pub(crate) async fn read(&self, name: &str) -> String {
        eventually(name, || {
            let text = std::fs::read_to_string(self.path(name)).unwrap_or_default();
            text.ends_with('\n').then(|| text.trim().to_owned())
        })
        .await
    }
}

pub(crate) fn request(module: &str, args: &str) -> TaskRequest {
    let job: JobId = "0190b4c2-7b1a-7000-8000-000000000000".parse().unwrap();
    TaskRequest {
        id: job.task(0),
        parent_id: job,
        name: "t".into(),
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

pub(crate) async fn run(runner: &ModuleRunner, module: &str, args: &str) -> TaskReport {
    let report = runner.run(request(module, args), RunControl::default());
    tokio::time::timeout(DEADLINE, report).await.unwrap_or_else(|_| panic!("{module} does not end"))
}

/// Runs a task that fails, and returns its message.
pub(crate) async fn failure(runner: &ModuleRunner, module: &str) -> String {
    match run(runner, module, "[]").await.outcome {
        Ok(Outcome::Failed { msg, .. }) => msg.to_string(),
        other => panic!("{module}: {other:?}"),
    }
}

pub(crate) fn success(json: &str) -> Result<Outcome, NoOutcome> {
    Ok(Outcome::Success { data: Json::parse(json).unwrap() })
}

/// Waits until a value is available.
pub(crate) async fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let found = async {
        loop {
            match look() {
                Some(found) => return found,
                None => tokio::task::yield_now().await,
            }
        }
    };
    tokio::time::timeout(DEADLINE, found).await.unwrap_or_else(|_| panic!("waited for too long: {what}"))
}

/// Whether a process is running. A zombie is not.
pub(crate) fn is_running(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The first thread can have ended before the others. Only then can the process be waited for.
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count);
    stat.rsplit_once(") ").is_some_and(|(_, rest)| threads > 1 || !rest.starts_with(['Z', 'X']))
}
