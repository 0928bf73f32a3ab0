//! Runs the task modules of a directory: Python modules and executables.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use hub_core::state::{ErrorKind, TaskError};
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::children::Children;
use super::coroutines::Coroutines;
use super::scan::{self, Files};
use super::sdk::Sdk;
use super::{Catalogue, Language, Outcome, Runner, TaskReport, TaskRequest, executable};

/// How often the directory is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How task modules are run.
#[derive(Clone, Debug)]
pub struct RunnerSettings {
    /// The directory of task modules.
    pub tasks_dir: PathBuf,
    /// The modules there that count, where not all do.
    pub only: Option<BTreeSet<String>>,
    /// The Python interpreter.
    pub python: PathBuf,
    /// How much of what a task prints is kept, in bytes: the end of it.
    pub log_limit_bytes: usize,
    /// How large a result may be, in bytes.
    pub result_limit_bytes: usize,
    /// After so many tasks a Python process is replaced; 0: never.
    pub max_tasks_per_child: u64,
    /// How many tasks run at a time: so many Python processes are there at most.
    pub slots: u32,
}

impl RunnerSettings {
    /// Everything as is good for most.
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
}

/// Runs the task modules of a directory.
#[derive(Debug)]
pub struct ModuleRunner {
    settings: Arc<RunnerSettings>,
    files: Arc<Mutex<Files>>,
    children: Children,
    coroutines: Coroutines,
    catalogue: watch::Receiver<Arc<Catalogue>>,
    _watching: DropGuard,
}

impl ModuleRunner {
    /// Finds out what the directory has, and keeps an eye on it.
    ///
    /// # Errors
    /// Where the directory cannot be read. A module that is broken is no error: the catalogue says so.
    pub async fn start(mut settings: RunnerSettings) -> Result<Self, RunnerError> {
        let path = settings.tasks_dir.display().to_string();
        let failed = |source| RunnerError::TasksDir { path: path.clone(), source };
        settings.tasks_dir = std::fs::canonicalize(&settings.tasks_dir).map_err(failed)?;
        let files = Files::look(&settings).map_err(failed)?;
        let sdk = Arc::new(Sdk::write().map_err(RunnerError::Sdk)?);
        let settings = Arc::new(settings);
        let children = Children::new(Arc::clone(&settings), Arc::clone(&sdk));
        if files.has_python()
            && let Err(error) = children.prepare()
        {
            // The catalogue says of each module that Python cannot be started, and what to do.
            tracing::debug!(%error, "no Python process");
        }
        let catalogue = scan::catalogue(&files, &settings, &sdk).await;
        report_broken(&Catalogue::default(), &catalogue);
        let (announce, catalogue) = watch::channel(Arc::new(catalogue));
        let files = Arc::new(Mutex::new(files));
        let watching = CancellationToken::new();
        let watch = watch_directory(Arc::clone(&settings), Arc::clone(&sdk), Arc::clone(&files), announce);
        tokio::spawn(watching.clone().run_until_cancelled_owned(watch));
        Ok(Self {
            children,
            coroutines: Coroutines::new(Arc::clone(&settings), sdk),
            settings,
            files,
            catalogue,
            _watching: watching.drop_guard(),
        })
    }

    /// Those of [`RunnerSettings::only`] that the directory does not have.
    #[must_use]
    pub fn missing(&self) -> Vec<String> {
        let files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        self.settings.only.iter().flatten().filter(|name| files.get(name).is_none()).cloned().collect()
    }

    fn is_coroutine(&self, module: &str) -> bool {
        self.catalogue.borrow().tasks.get(module).is_some_and(|info| info.coroutine)
    }

    /// The file for a task; looks again where none is known, since it may be new.
    fn find(&self, name: &str) -> Option<Result<(Language, PathBuf), String>> {
        let found =
            |files: &Files| files.get(name).map(|found| found.map(|(language, path)| (language, path.to_owned())));
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        found(&files).or_else(|| {
            let fresh = Files::look(&self.settings).ok()?;
            let found = found(&fresh)?;
            *files = fresh;
            Some(found)
        })
    }
}

#[async_trait]
impl Runner for ModuleRunner {
    async fn run(&self, request: TaskRequest, stop: CancellationToken) -> TaskReport {
        let ran = match self.find(&request.task_name) {
            None => return TaskReport::silent(Outcome::Unknown),
            Some(Err(clash)) => return broken(clash),
            Some(Ok((Language::Python, _))) => {
                if self.is_coroutine(&request.task_name) {
                    self.coroutines.run(request, &stop).await
                } else {
                    self.children.run(&request, &stop).await
                }
            }
            Some(Ok((_, path))) => executable::run(&path, &request, &self.settings, &stop).await,
        };
        ran.unwrap_or_else(|error| broken(format!("the task cannot be started: {error}")))
    }

    fn has_room_ahead(&self, module: &str) -> bool {
        self.children.has_room_ahead(module)
    }

    fn catalogue(&self) -> watch::Receiver<Arc<Catalogue>> {
        self.catalogue.clone()
    }

    async fn shutdown(&self, grace: Duration) {
        self.coroutines.shutdown();
        self.children.shutdown(grace).await;
    }
}

fn broken(msg: String) -> TaskReport {
    let error = TaskError { kind: ErrorKind::BrokenModule, type_name: None, traceback: None };
    TaskReport::silent(Outcome::Failed { msg, error })
}

/// Looks at the directory again and again; says when what it has to offer has changed.
async fn watch_directory(
    settings: Arc<RunnerSettings>,
    sdk: Arc<Sdk>,
    files: Arc<Mutex<Files>>,
    announce: watch::Sender<Arc<Catalogue>>,
) {
    let mut seen = files.lock().unwrap_or_else(PoisonError::into_inner).clone();
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let fresh = match Files::look(&settings) {
            Ok(fresh) => fresh,
            Err(error) => {
                tracing::warn!(%error, tasks_dir = %settings.tasks_dir.display(), "the task modules cannot be read");
                continue;
            }
        };
        if fresh == seen {
            continue;
        }
        let catalogue = scan::catalogue(&fresh, &settings, &sdk).await;
        report_broken(&announce.borrow(), &catalogue);
        files.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&fresh);
        seen = fresh;
        announce.send_replace(Arc::new(catalogue));
        tracing::info!("task modules have changed");
    }
}

fn report_broken(before: &Catalogue, now: &Catalogue) {
    for (name, why) in &now.broken {
        if before.broken.get(name) != Some(why) {
            tracing::warn!(module = name, "a task module cannot be used; the others can:\n{why}");
        }
    }
}
