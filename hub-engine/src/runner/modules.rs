//! Runs the task modules of a directory: Python modules and executables.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;

use super::children::Children;
use super::coroutines::Coroutines;
use super::files::Files;
use super::sdk::Sdk;
use super::settings::{RunnerError, RunnerSettings};
use super::watcher::{Place, Watcher};
use super::{Catalogue, NoOutcome, RunControl, Runner, TaskReport, TaskRequest, environment, executable};

/// Runs the task modules of a directory.
#[derive(Debug)]
pub struct ModuleRunner {
    settings: Arc<RunnerSettings>,
    children: Children,
    coroutines: Coroutines,
    watcher: Watcher,
}

impl ModuleRunner {
    /// Imports the modules of the directory, and watches it for changes.
    ///
    /// # Errors
    /// If the directory cannot be read. A broken module is not an error: the catalogue lists it.
    pub async fn start(mut settings: RunnerSettings) -> Result<Self, RunnerError> {
        let path = settings.tasks_dir.display().to_string();
        let failed = |source| RunnerError::TasksDir { path: path.clone(), source };
        // Symbolic links are not resolved, because a deployment may change their targets.
        settings.tasks_dir = std::path::absolute(&settings.tasks_dir).map_err(failed)?;
        let sdk = Arc::new(Sdk::write(&settings.tasks_dir).map_err(RunnerError::Sdk)?);
        let settings = Arc::new(settings);
        let children = Children::new(Arc::clone(&settings), Arc::clone(&sdk));
        let prepare = || {
            if let Err(error) = children.prepare() {
                // The catalogue lists each module as broken, with the reason and what to do.
                tracing::debug!(%error, "failed to start a Python process");
            }
        };
        let watcher = Watcher::start(Arc::clone(&settings), Arc::clone(&sdk), failed, prepare).await?;
        Ok(Self { children, coroutines: Coroutines::new(Arc::clone(&settings), sdk), settings, watcher })
    }

    /// The modules of [`RunnerSettings::only`] that the directory does not have.
    #[must_use]
    pub fn missing(&self) -> Vec<String> {
        self.settings.only.iter().flatten().filter(|name| !self.watcher.has(name)).cloned().collect()
    }

    /// The module of the directory whose name is most similar to `name`, including modules that are not in
    /// [`RunnerSettings::only`]. `None` if no name is similar enough.
    #[must_use]
    pub fn nearest(&self, name: &str) -> Option<String> {
        let all = RunnerSettings { only: None, ..(*self.settings).clone() };
        let files = Files::look(&all, &Files::default()).ok()?;
        hub_core::job::nearest(name, files.names()).map(str::to_owned)
    }
}

#[async_trait]
impl Runner for ModuleRunner {
    async fn run(&self, request: TaskRequest, control: RunControl) -> TaskReport {
        let place = tokio::select! {
            biased;
            place = self.watcher.place(&request.task_name) => place,
            () = control.stopped() => return TaskReport::without(NoOutcome::Cancelled),
        };
        let ran = match place {
            Place::None => return TaskReport::without(NoOutcome::Unknown),
            Place::Broken(why) => return TaskReport::broken(why),
            Place::Coroutine => self.coroutines.run(request, &control).await,
            Place::Function => self.children.run(&request, &control).await,
            Place::Program(path) => return executable::run(&path, &request, &self.settings, &control).await,
        };
        ran.unwrap_or_else(|error| match environment::shortage(&error) {
            Some(what) => TaskReport::without(NoOutcome::Shortage { what }),
            None => TaskReport::broken(super::interpreter::not_started(&self.settings.python, &error)),
        })
    }

    fn can_queue_ahead(&self, module: &str) -> bool {
        self.children.can_queue_ahead(module)
    }

    fn catalogue(&self) -> watch::Receiver<Arc<Catalogue>> {
        self.watcher.catalogue()
    }

    async fn shutdown(&self, grace: Duration) {
        self.coroutines.shutdown();
        self.children.shutdown(grace).await;
    }
}
