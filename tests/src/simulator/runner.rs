//! Runs tasks in simulated time. See [`super::work`] for their behaviour.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hub_core::digest::Digest;
use hub_core::job::ModuleDefaults;
use hub_core::state::ErrorKind;
use hub_core::{Json, TaskKind, TaskKinds};
use hub_engine::runner::{
    Catalogue, Language, NoOutcome, Outcome, RunControl, Runner, TaskInfo, TaskReport, TaskRequest,
};
use serde_json::json;
use tokio::sync::watch;
use tokio::time::Instant;

use super::clients;
use super::event::{Event, Run};
use super::process::Process;
use super::simulation::Simulation;
use super::work::{self, Module};

/// The runner of one worker.
pub struct SimRunner {
    simulation: Arc<Simulation>,
    process: Arc<Process>,
    catalogue: watch::Sender<Arc<Catalogue>>,
    allow: TaskKinds,
}

impl SimRunner {
    /// A runner with all modules and commands, or with all modules except [`Module::Rare`].
    #[must_use]
    pub fn new(simulation: &Arc<Simulation>, process: &Arc<Process>, has_rare: bool) -> Arc<Self> {
        let is_module = |module: &Module| *module != Module::Command && (has_rare || *module != Module::Rare);
        let modules = Module::ALL.into_iter().filter(is_module);
        let allow = if has_rare { TaskKinds::all() } else { TaskKinds::default() };
        let tasks = modules.map(|module| (module.name().to_owned(), info(module))).collect();
        let contents = Module::ALL.into_iter().map(|module| (module.name().to_owned(), content(module))).collect();
        let catalogue = Arc::new(Catalogue { tasks, contents, ..Catalogue::default() });
        let (simulation, process) = (Arc::clone(simulation), Arc::clone(process));
        Arc::new(Self { simulation, process, catalogue: watch::channel(catalogue).0, allow })
    }

    async fn run_module(&self, module: Module, run: Run, control: &RunControl) -> TaskReport {
        let world = self.process.world();
        let takes = module.duration(&world.dice);
        let value = work::value(&run.args, &run.kwargs, run.number);
        let (number, task, attempt) = (run.number, run.task, run.attempt);
        world.tell(Event::RunBegan(run));
        let began = Instant::now();
        tokio::select! {
            biased;
            interruption = control.interrupted(began) => {
                return interruption.apply(TaskReport::without(NoOutcome::Cancelled));
            }
            () = world.pass(takes) => {}
        }
        if module.kills() {
            self.process.kill();
        }
        self.process.step().await;
        let outcome = match module {
            _ if module.fails_at(attempt) => Outcome::failed(ErrorKind::TaskFailed, "as planned, at this attempt"),
            Module::Launch => {
                tokio::spawn(clients::end_outside(Arc::clone(&self.simulation), number, task, value));
                Outcome::Launched { data: json!({"launched": number}).into() }
            }
            Module::Abandon => Outcome::Launched { data: json!({"launched": number}).into() },
            _ => Outcome::Success { data: Json::from(value) },
        };
        world.tell(Event::RunEnded(number, task, matches!(outcome, Outcome::Success { .. })));
        TaskReport::silent(outcome)
    }
}

/// What the catalogue says of a module.
fn info(module: Module) -> TaskInfo {
    let retry = json!({"maximum_attempts": work::PERSISTENCE, "initial_interval": "200ms"});
    let defaults = ModuleDefaults::read(json!({"retry": retry}).into()).expect("it is valid");
    let defaults = (module == Module::Persistent).then(|| defaults.into());
    TaskInfo { defaults, ..TaskInfo::plain(Language::Native) }
}

/// The content of a module, which no worker has in another version.
fn content(module: Module) -> Digest {
    Digest::of(module.name().as_bytes())
}

#[async_trait]
impl Runner for SimRunner {
    async fn run(&self, request: TaskRequest, control: RunControl) -> TaskReport {
        self.process.step().await;
        let is_known = match &request.run {
            Some(_) => self.allow.contains(TaskKind::Command),
            None => self.catalogue.borrow().tasks.contains_key(&*request.task_name),
        };
        if !is_known {
            return TaskReport::without(NoOutcome::Unknown);
        }
        let world = self.process.world();
        if world.dice.falls(world.weather.not_begun) {
            world.pass(world.dice.millis(0, 30)).await;
            return TaskReport::without(NoOutcome::NotBegun);
        }
        let run = Run {
            number: self.process.world().number(),
            worker: Arc::clone(&self.process.name),
            task: request.id,
            issue: request.issue,
            attempt: request.attempt,
            args: request.args.to_value(),
            kwargs: request.run.as_ref().unwrap_or(&request.kwargs).to_value(),
        };
        let module = Module::named(&request.task_name);
        let content = request.wants_content.then(|| content(module));
        TaskReport { content, ..self.run_module(module, run, &control).await }
    }

    fn can_queue_ahead(&self, _module: &str) -> bool {
        let world = self.process.world();
        world.dice.falls(world.weather.ahead)
    }

    fn allows(&self) -> TaskKinds {
        self.allow
    }

    fn catalogue(&self) -> watch::Receiver<Arc<Catalogue>> {
        self.catalogue.subscribe()
    }

    async fn shutdown(&self, _grace: Duration) {}
}
