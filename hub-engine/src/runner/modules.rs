//! Runs the task modules of a directory, Python modules and executables, and tasks without a module.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hub_core::state::ErrorKind;
use hub_core::{TaskKind, TaskKinds};
use tokio::sync::watch;

use super::children::Children;
use super::content::Content;
use super::coroutines::Coroutines;
use super::files::Files;
use super::order::{NoOrder, Order};
use super::sdk::Sdk;
use super::secrets::Secrets;
use super::settings::{RunnerError, RunnerSettings};
use super::watcher::{Place, Watcher};
use super::{
    Catalogue, NoOutcome, Outcome, RunControl, Runner, TaskReport, TaskRequest, command, environment, executable,
    request,
};

/// Runs the task modules of a directory.
#[derive(Debug)]
pub struct ModuleRunner {
    settings: Arc<RunnerSettings>,
    children: Children,
    coroutines: Coroutines,
    watcher: Watcher,
    secrets: Secrets,
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
        if !settings.allow.contains(TaskKind::Modules) {
            settings.only = Some(BTreeSet::new());
        }
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
        let coroutines = Coroutines::new(Arc::clone(&settings), sdk);
        Ok(Self { children, coroutines, settings, watcher, secrets: Secrets::default() })
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
        let files = Files::look(&all, None).ok()?;
        hub_core::job::nearest(name, files.names()).map(str::to_owned)
    }
}

impl ModuleRunner {
    async fn run_module(&self, request: TaskRequest, control: &RunControl) -> Result<TaskReport, TaskReport> {
        let place = tokio::select! {
            biased;
            place = self.watcher.place(&request.task_name) => place,
            () = control.stopped() => return Err(TaskReport::without(NoOutcome::Cancelled)),
        };
        // Another worker may have the secrets of a module that this one does not have.
        let place = match place {
            Place::None => return Err(TaskReport::without(NoOutcome::Unknown)),
            Place::Broken(why) => return Err(TaskReport::broken(why)),
            place => place,
        };
        let content = request.wants_content.then(|| self.watcher.content(&request.task_name)).flatten();
        let request = self.secrets.fill(request, &self.settings, control)?;
        let report = self.run_at(place, request, control).await;
        // A process can have loaded the module after the file had changed.
        let content = content.filter(Content::is_unchanged).map(|content| content.digest);
        Ok(TaskReport { content, ..report })
    }

    async fn run_at(&self, place: Place, request: TaskRequest, control: &RunControl) -> TaskReport {
        let ran = match place {
            Place::Program(path) => return Box::pin(executable::run(&path, &request, &self.settings, control)).await,
            Place::Coroutine => Box::pin(self.coroutines.run(request, control)).await,
            Place::Function | Place::None | Place::Broken(_) => self.children.run(&request, control).await,
        };
        ran.unwrap_or_else(|error| match environment::shortage(&error) {
            Some(what) => TaskReport::without(NoOutcome::Shortage { what }),
            None => TaskReport::broken(super::interpreter::not_started(&self.settings.python, &error)),
        })
    }

    /// Runs a task without a module.
    async fn run_order(&self, request: TaskRequest, control: &RunControl) -> Result<TaskReport, TaskReport> {
        let order = Order::read(request.run.as_ref()).map_err(not_run)?;
        if !self.settings.allow.contains(order.kind()) {
            return Err(TaskReport::without(NoOutcome::Unknown));
        }
        let filled = self.secrets.fill(request, &self.settings, control)?;
        Ok(match Order::read(filled.run.as_ref()).map_err(not_run)? {
            Order::Process(order) => command::run(&order, &self.settings, control).await,
            Order::Http(order) => request::run(order, &self.settings, control).await,
        })
    }
}

/// The report of a task without something that can be run.
fn not_run(why: NoOrder) -> TaskReport {
    match why {
        NoOrder::Unknown => TaskReport::without(NoOutcome::Unknown),
        NoOrder::Bad(why) => TaskReport::silent(Outcome::failed(ErrorKind::BadArguments, why)),
    }
}

#[async_trait]
impl Runner for ModuleRunner {
    async fn run(&self, request: TaskRequest, control: RunControl) -> TaskReport {
        let report = match request.run {
            Some(_) => Box::pin(self.run_order(request, &control)).await,
            None => self.run_module(request, &control).await,
        };
        self.secrets.mask(report.unwrap_or_else(|failure| failure))
    }

    fn can_queue_ahead(&self, module: &str) -> bool {
        self.children.can_queue_ahead(module)
    }

    fn allows(&self) -> TaskKinds {
        self.settings.allow
    }

    fn catalogue(&self) -> watch::Receiver<Arc<Catalogue>> {
        self.watcher.catalogue()
    }

    async fn shutdown(&self, grace: Duration) {
        self.coroutines.shutdown();
        self.children.shutdown(grace).await;
    }
}

#[cfg(test)]
mod tests {
    use hub_core::{JobId, Json};
    use uuid::Uuid;

    use super::*;

    /// The worker keeps the future of each task that runs or is queued in a process.
    #[tokio::test]
    async fn the_future_of_a_task_has_no_room_for_other_kinds_of_tasks() {
        let directory = tempfile::tempdir().unwrap();
        let runner = ModuleRunner::start(RunnerSettings::new(directory.path())).await.unwrap();
        let job = JobId::new(Uuid::from_u128(1 << 64));
        let request = TaskRequest {
            id: job.task(0),
            parent_id: job,
            name: "t".into(),
            task_name: "t".into(),
            args: Json::from_checked("[]"),
            kwargs: Json::from_checked("{}"),
            run: None,
            secrets: None,
            attempt: 1,
            issue: 1,
            worker: "w1".into(),
            last_progress: None,
            wants_content: false,
        };
        let run = runner.run(request, RunControl::default());
        let size = size_of_val(&*run);
        assert!(size <= 2048, "{size} bytes");
    }
}
