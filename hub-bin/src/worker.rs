//! The program `hub-worker`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{CommandFactory, Parser};
use hub_core::{TaskKind, TaskKinds};
use hub_engine::client::no_connection;
use hub_engine::runner::{Catalogue, ModuleRunner, Runner, RunnerError, RunnerSettings};
use hub_engine::worker::{Worker, WorkerSettings};
use hub_transport::Transport;
use tokio::sync::watch;

use crate::bounds;
use crate::config::{self, Config, TransportKind};
use crate::daemon::{self, DaemonArgs, Ready};
use crate::exit::{Exit, Failure};
use crate::limits::ResultLimitArgs;
use crate::logging::LogArgs;
use crate::parts::Parts;
use crate::probe;
use crate::reach::ReachArgs;
use crate::signals::{GRACE, Signals};

const EXAMPLES: &str = "\
Examples:
  hub-worker -c etc/worker.conf
  hub-worker -b amqps://me:secret@rabbit/v --tasks-dir tasks --pool default,gpu --slots 8";

/// Run tasks from the broker and return their results
#[derive(Debug, Parser)]
#[command(name = "hub-worker", version, after_help = EXAMPLES)]
struct Args {
    /// Message transport [default: amqp]
    #[arg(long, env = "HUB_TRANSPORT", value_name = "KIND")]
    transport: Option<TransportKind>,
    #[command(flatten)]
    reach: ReachArgs,
    #[command(flatten)]
    work: WorkArgs,
    #[command(flatten)]
    log: LogArgs,
    #[command(flatten)]
    daemon: DaemonArgs,
}

/// Arguments of a worker.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct WorkArgs {
    /// Directory of the task modules
    #[arg(long, env = "HUB_TASKS_DIR", value_name = "DIR")]
    pub(crate) tasks_dir: Option<PathBuf>,
    /// Maximum number of tasks that run at the same time [default: one for each processor]
    #[arg(long, env = "HUB_SLOTS", value_name = "N", value_parser = bounds::SLOTS.parser::<u32>())]
    pub(crate) slots: Option<u32>,
    /// Pools to serve, separated by commas [default: default]
    #[arg(long = "pool", env = "HUB_POOLS", value_name = "POOLS", value_delimiter = ',')]
    pub(crate) pools: Vec<String>,
    /// Python interpreter for task modules [default: python3]
    #[arg(long, env = "HUB_PYTHON", value_name = "PROGRAM")]
    pub(crate) python: Option<PathBuf>,
    /// Kinds of tasks to run, separated by commas: modules, command, http [default: modules]
    #[arg(long, env = "HUB_ALLOW", value_name = "KINDS", value_delimiter = ',', value_parser = config::kind)]
    pub(crate) allow: Vec<TaskKind>,
    /// Directory with a file for each secret that tasks may refer to
    #[arg(long, env = "HUB_SECRETS_DIR", value_name = "DIR")]
    pub(crate) secrets_dir: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) limits: ResultLimitArgs,
}

/// The arguments, merged with the configuration file.
pub(crate) struct Work {
    runner: RunnerSettings,
    slots: u32,
    pools: Vec<String>,
}

impl WorkArgs {
    /// Merges the arguments with the file and the defaults. `usual` are the kinds of tasks that are allowed without a setting.
    /// `None` without a directory of task modules.
    pub(crate) fn merge(self, config: &Config, usual: TaskKinds) -> Option<Work> {
        let mut runner = RunnerSettings::new(self.tasks_dir.or_else(|| config.tasks_dir.clone())?);
        if let Some(python) = self.python.or_else(|| config.python.clone()) {
            runner.python = python;
        }
        let allowed = (!self.allow.is_empty()).then(|| self.allow.into_iter().collect());
        runner.allow = allowed.or(config.allow).unwrap_or(usual);
        runner.secrets_dir = self.secrets_dir.or_else(|| config.secrets_dir.clone());
        self.limits.apply(config, &mut runner);
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let slots = self.slots.or(config.slots).unwrap_or_else(|| u32::try_from(processors).unwrap_or(1));
        runner.slots = slots;
        let listed = config.pools.as_deref().unwrap_or(hub_core::job::DEFAULT_POOL);
        let from_file =
            || listed.split(',').map(|pool| pool.trim().to_owned()).filter(|pool| !pool.is_empty()).collect();
        let pools = if self.pools.is_empty() { from_file() } else { self.pools };
        Some(Work { runner, slots, pools })
    }
}

impl Work {
    /// Whether it serves this pool.
    pub(crate) fn serves(&self, pool: &str) -> bool {
        self.pools.iter().any(|served| served == pool)
    }

    /// Loads only these modules. The worker does not start if one of them is missing.
    pub(crate) fn only(mut self, modules: impl Iterator<Item = String>) -> Self {
        self.runner.only = Some(modules.collect());
        self
    }

    /// Starts the worker.
    pub(crate) async fn start(self, transport: Arc<dyn Transport>, prefix: &str) -> Result<Worker, Failure> {
        self.start_with_catalogue(transport, prefix).await.map(|(worker, _)| worker)
    }

    /// Starts the worker. The receiver contains the current catalogue of its modules.
    pub(crate) async fn start_with_catalogue(
        self,
        transport: Arc<dyn Transport>,
        prefix: &str,
    ) -> Result<(Worker, watch::Receiver<Arc<Catalogue>>), Failure> {
        keep_environment_private();
        let tasks_dir = self.runner.tasks_dir.display().to_string();
        let runner = ModuleRunner::start(self.runner).await.map_err(|error| {
            // Other errors may be temporary, so their exit code lets a service manager restart the worker.
            let exit = if matches!(error, RunnerError::TasksDir { .. }) { Exit::Usage } else { Exit::Refused };
            Failure::new(exit, "cannot start the worker").because(error)
        })?;
        let missing = runner.missing();
        if !missing.is_empty() {
            let named: Vec<String> = missing.iter().map(|name| in_words(name, &runner)).collect();
            let message = format!(
                "the job uses task modules that are missing in {tasks_dir}: {}. A task module is a file there, such as {}.py, or an executable",
                named.join(", "),
                missing[0]
            );
            return Err(Failure::new(Exit::Usage, message));
        }
        let mut settings = WorkerSettings::new(prefix, self.slots);
        settings.pools = self.pools;
        let catalogue = runner.catalogue();
        Ok((Worker::start(transport, Arc::new(runner), settings), catalogue))
    }
}

/// The name of a missing module, with a suggestion.
fn in_words(name: &str, runner: &ModuleRunner) -> String {
    match runner.nearest(name) {
        Some(near) => format!("{name} (did you mean {near}?)"),
        None => name.to_owned(),
    }
}

/// The command line of the program.
pub(crate) fn command() -> clap::Command {
    Args::command()
}

/// Runs the program.
#[must_use]
pub fn main(parts: Parts) -> ExitCode {
    let mut args = Args::parse();
    args.reach.clients = parts.amqp;
    daemon::run(args.daemon.clone(), async |ready: &mut Ready| run(args, &parts, ready).await)
}

async fn run(args: Args, parts: &Parts, ready: &mut Ready) -> Result<(), Failure> {
    let config = args.reach.read_config()?;
    args.log.start(&config, parts)?;
    let _pid_file = ready.take_pid_file(config.pid_file.as_deref())?;
    if args.transport.or(config.transport) == Some(TransportKind::Memory) {
        let message = "hub-worker cannot use --transport memory, which works only within one process. \
            Use hub-dispatcher --transport memory --tasks-dir DIR, which includes a worker";
        return Err(Failure::new(Exit::Usage, message));
    }
    let Some(work) = args.work.merge(&config, TaskKinds::default()) else {
        let message =
            "no task modules: give their directory with --tasks-dir, or with tasks_dir in the configuration file";
        return Err(Failure::new(Exit::Usage, message));
    };
    let reach = args.reach.merge(&config);
    let mut signals =
        Signals::listen().map_err(|error| Failure::new(Exit::Refused, "cannot listen for signals").because(error))?;
    tracing::info!("Starting worker, connecting to broker {}...", reach.shown_broker());
    let transport = reach.transport("hub-worker")?;
    let broker = transport.describe();
    let worker = work.start(transport, &reach.prefix).await?;
    tokio::spawn(probe::log_advice(reach.broker.clone(), worker.link_health()));
    let explain = |cause: &hub_transport::Error| no_connection(&broker, Some(cause));
    let outcome = ready.wait(worker.ready(), worker.link_health(), explain, &mut signals).await;
    if outcome.is_ok() {
        ready.serve(worker.link_health(), async || worker.is_alive().await, &mut signals).await;
    }
    signals.unless_again(worker.stop(GRACE)).await;
    outcome.map(drop)
}

/// Prevents tasks, which run as the same user, from reading this process's environment in `/proc`, since it may contain the broker's
/// password and secrets. (Tasks that run as root can still read it.)
fn keep_environment_private() {
    #[cfg(target_os = "linux")]
    if let Err(error) = nix::sys::prctl::set_dumpable(false) {
        tracing::warn!(%error, "tasks may be able to read this process's environment");
    }
}
