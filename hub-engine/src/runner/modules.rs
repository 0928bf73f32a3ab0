//! Runs the task modules of a directory: Python modules and executables.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hub_core::state::ErrorKind;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::children::Children;
use super::coroutines::Coroutines;
use super::files::Files;
use super::sdk::Sdk;
use super::watcher::{Place, Watcher};
use super::{Catalogue, NoOutcome, Outcome, Runner, TaskReport, TaskRequest, environment, executable};

/// How task modules are run.
#[derive(Clone, Debug)]
pub struct RunnerSettings {
    /// The directory of task modules. Where it is a symbolic link, its target may change.
    pub tasks_dir: PathBuf,
    /// The modules there that count, where not all do.
    pub only: Option<BTreeSet<String>>,
    /// The Python interpreter.
    pub python: PathBuf,
    /// How much of what a task prints is kept, in bytes: the end of it.
    pub log_limit_bytes: usize,
    /// How large a result may be, in bytes.
    pub result_limit_bytes: usize,
    /// Number of tasks after which a Python process is replaced; 0: never.
    pub max_tasks_per_child: u64,
    /// Maximum number of tasks that run at a time, and of Python processes.
    pub slots: u32,
    /// How long a module may take to import before it counts as broken.
    pub import_limit: Duration,
}

impl RunnerSettings {
    /// Default settings.
    #[must_use]
    pub fn new(tasks_dir: impl Into<PathBuf>) -> Self {
        Self {
            tasks_dir: tasks_dir.into(),
            only: None,
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
        /// Why.
        source: std::io::Error,
    },
    /// The files for Python cannot be written.
    #[error("failed to write the Python SDK to a temporary directory")]
    Sdk(#[source] std::io::Error),
    /// This machine has too little left for a process that imports modules.
    #[error("failed to start Python: {0}")]
    Shortage(String),
}

/// Runs the task modules of a directory.
#[derive(Debug)]
pub struct ModuleRunner {
    settings: Arc<RunnerSettings>,
    children: Children,
    coroutines: Coroutines,
    watcher: Watcher,
}

impl ModuleRunner {
    /// Finds out what the directory has, and keeps an eye on it.
    ///
    /// # Errors
    /// Where the directory cannot be read. A module that is broken is no error: the catalogue says so.
    pub async fn start(mut settings: RunnerSettings) -> Result<Self, RunnerError> {
        let path = settings.tasks_dir.display().to_string();
        let failed = |source| RunnerError::TasksDir { path: path.clone(), source };
        // Symbolic links stay: a deployment may have them lead elsewhere.
        settings.tasks_dir = std::path::absolute(&settings.tasks_dir).map_err(failed)?;
        let sdk = Arc::new(Sdk::write(&settings.tasks_dir).map_err(RunnerError::Sdk)?);
        let settings = Arc::new(settings);
        let children = Children::new(Arc::clone(&settings), Arc::clone(&sdk));
        let prepare = || {
            if let Err(error) = children.prepare() {
                // The catalogue says of each module that Python cannot be started, and what to do.
                tracing::debug!(%error, "no Python process");
            }
        };
        let watcher = Watcher::start(Arc::clone(&settings), Arc::clone(&sdk), failed, prepare).await?;
        Ok(Self { children, coroutines: Coroutines::new(Arc::clone(&settings), sdk), settings, watcher })
    }

    /// Those of [`RunnerSettings::only`] that the directory does not have.
    #[must_use]
    pub fn missing(&self) -> Vec<String> {
        self.settings.only.iter().flatten().filter(|name| !self.watcher.has(name)).cloned().collect()
    }

    /// The module of the directory whose name is spelt most like `name`, whether it counts or not. `None` where none is near.
    #[must_use]
    pub fn nearest(&self, name: &str) -> Option<String> {
        let all = RunnerSettings { only: None, ..(*self.settings).clone() };
        let files = Files::look(&all, &Files::default()).ok()?;
        hub_core::job::nearest(name, files.names()).map(str::to_owned)
    }
}

#[async_trait]
impl Runner for ModuleRunner {
    async fn run(&self, request: TaskRequest, stop: CancellationToken) -> TaskReport {
        let place = tokio::select! {
            biased;
            place = self.watcher.place(&request.task_name) => place,
            () = stop.cancelled() => return TaskReport::without(NoOutcome::Cancelled),
        };
        let ran = match place {
            Place::None => return TaskReport::without(NoOutcome::Unknown),
            Place::Broken(why) => return broken(why),
            Place::Coroutine => self.coroutines.run(request, &stop).await,
            Place::Function => self.children.run(&request, &stop).await,
            Place::Program(path) => return executable::run(&path, &request, &self.settings, &stop).await,
        };
        ran.unwrap_or_else(|error| match environment::shortage(&error) {
            Some(what) => TaskReport::without(NoOutcome::Shortage { what }),
            None => broken(super::interpreter::not_started(&self.settings.python, &error)),
        })
    }

    fn has_room_ahead(&self, module: &str) -> bool {
        self.children.has_room_ahead(module)
    }

    fn catalogue(&self) -> watch::Receiver<Arc<Catalogue>> {
        self.watcher.catalogue()
    }

    async fn shutdown(&self, grace: Duration) {
        self.coroutines.shutdown();
        self.children.shutdown(grace).await;
    }
}

/// The report of a module that cannot be run.
pub(super) fn broken(msg: String) -> TaskReport {
    TaskReport::silent(Outcome::failed(ErrorKind::BrokenModule, msg))
}
