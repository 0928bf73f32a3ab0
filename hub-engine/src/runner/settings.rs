//! The settings of a runner, and why it could not start.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use hub_core::TaskKinds;

/// The settings of a runner.
#[derive(Clone, Debug)]
pub struct RunnerSettings {
    /// The directory of task modules. If it is a symbolic link, its target may change.
    pub tasks_dir: PathBuf,
    /// The modules to use. `None` for all.
    pub only: Option<BTreeSet<String>>,
    /// The kinds of tasks to run.
    pub allow: TaskKinds,
    /// The directory with a file for each secret. Other secrets are variables of this process.
    pub secrets_dir: Option<PathBuf>,
    /// The Python interpreter.
    pub python: PathBuf,
    /// Maximum number of bytes of a task's output. The end is kept.
    pub log_limit_bytes: usize,
    /// Maximum size of a result in bytes.
    pub result_limit_bytes: usize,
    /// Number of tasks after which a Python process is replaced; 0: never.
    pub max_tasks_per_child: u64,
    /// Maximum number of tasks that run at the same time, and of Python processes.
    pub slots: u32,
    /// Maximum time to import a module. A module that takes longer is broken.
    pub import_limit: Duration,
}

impl RunnerSettings {
    /// Default settings.
    #[must_use]
    pub fn new(tasks_dir: impl Into<PathBuf>) -> Self {
        Self {
            tasks_dir: tasks_dir.into(),
            only: None,
            allow: TaskKinds::default(),
            secrets_dir: None,
            python: "python3".into(),
            log_limit_bytes: 64 * 1024,
            result_limit_bytes: 8 * 1024 * 1024,
            max_tasks_per_child: 0,
            slots: u32::MAX,
            import_limit: Duration::from_secs(30),
        }
    }
}

/// Why a runner could not start.
#[derive(Debug, thiserror::Error)]
pub enum RunnerError {
    /// The directory of task modules cannot be read.
    #[error("failed to read the directory of task modules {path}")]
    TasksDir {
        /// The directory.
        path: String,
        /// The error.
        source: std::io::Error,
    },
    /// The files for Python cannot be written.
    #[error("failed to write the Python SDK to a temporary directory")]
    Sdk(#[source] std::io::Error),
    /// A process that imports modules could not be started because of a shortage on this machine.
    #[error("failed to start Python: {0}")]
    Shortage(String),
}
