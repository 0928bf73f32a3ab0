//! Runs the task modules of a directory: Python modules and executables.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::children::Children;
use super::coroutines::Coroutines;
use super::files::Files;
use super::sdk::Sdk;
use super::settings::{RunnerError, RunnerSettings};
use super::watcher::{Place, Watcher};
use super::{Catalogue, NoOutcome, Runner, TaskReport, TaskRequest, environment, executable};

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
            Place::Broken(why) => return TaskReport::broken(why),
            Place::Coroutine => self.coroutines.run(request, &stop).await,
            Place::Function => self.children.run(&request, &stop).await,
            Place::Program(path) => return executable::run(&path, &request, &self.settings, &stop).await,
        };
        ran.unwrap_or_else(|error| match environment::shortage(&error) {
            Some(what) => TaskReport::without(NoOutcome::Shortage { what }),
            None => TaskReport::broken(super::interpreter::not_started(&self.settings.python, &error)),
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
