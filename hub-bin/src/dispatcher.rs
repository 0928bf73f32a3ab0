//! The program `hub-dispatcher`.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{CommandFactory, Parser};
use hub_core::TaskKinds;
use hub_engine::client::no_connection;
use hub_engine::dispatcher::{Dispatcher, DispatcherSettings};
use hub_engine::http::{self, HttpSettings};
use hub_engine::store::StoreError;
use hub_engine::worker::Worker;
use hub_transport::memory::MemoryBroker;
use hub_transport::{ErrorKind, Transport};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::bounds;
use crate::config::{Config, TransportKind};
use crate::daemon::{self, DaemonArgs, Ready};
use crate::exit::{Exit, Failure};
use crate::limits::JobLimitArgs;
use crate::logging::LogArgs;
use crate::parts::Parts;
use crate::probe;
use crate::reach::ReachArgs;
use crate::signals::{GRACE, Signals};
use crate::store::StoreArgs;
use crate::worker::WorkArgs;

const EXAMPLES: &str = "\
Examples:
  hub-dispatcher -c etc/dispatcher.conf                      use the broker in the configuration file
  hub-dispatcher --transport memory --tasks-dir etc/tasks    run a complete Hub in one process, without a broker";
/// Default address of the HTTP API.
const DEFAULT_HTTP: &str = "127.0.0.1:8420";

/// Accept jobs, schedule their tasks on workers, and serve clients
#[derive(Debug, Parser)]
#[command(name = "hub-dispatcher", version, after_help = EXAMPLES)]
struct Args {
    /// Message transport [default: amqp]
    #[arg(long, env = "HUB_TRANSPORT", value_name = "KIND")]
    transport: Option<TransportKind>,
    #[command(flatten)]
    reach: ReachArgs,
    /// Address of the HTTP API, or "none" to disable it [default: 127.0.0.1:8420]
    #[arg(long, env = "HUB_HTTP", value_name = "ADDRESS")]
    http: Option<String>,
    /// File with the token that clients of the HTTP API need; required unless the address is a loopback address
    #[arg(long, env = "HUB_HTTP_TOKEN_FILE", value_name = "FILE")]
    http_token_file: Option<PathBuf>,
    #[command(flatten)]
    keep: StoreArgs,
    #[command(flatten)]
    limits: JobLimitArgs,
    /// Maximum size of unfinished jobs in memory, in bytes; beyond it, submissions are refused [default: 1073741824]
    #[arg(long, env = "HUB_MAX_LIVE_BYTES", value_name = "N", value_parser = bounds::MAX_LIVE_BYTES.parser::<u64>())]
    max_live_bytes: Option<u64>,
    /// Maximum number of results that are kept for tasks with a cache; 0 keeps none [default: 10000]
    #[arg(long, env = "HUB_MAX_KEPT_RESULTS", value_name = "N", value_parser = bounds::MAX_KEPT_RESULTS.parser::<u32>())]
    max_kept_results: Option<u32>,
    /// Maximum size of these results in memory, in bytes; one of them has at most a sixty-fourth [default: 67108864]
    #[arg(long, env = "HUB_MAX_KEPT_BYTES", value_name = "N", value_parser = bounds::MAX_KEPT_BYTES.parser::<u64>())]
    max_kept_bytes: Option<u64>,
    #[command(flatten)]
    log: LogArgs,
    /// With --transport memory: also run a worker in this process, with the task modules of --tasks-dir
    #[command(flatten)]
    work: WorkArgs,
    #[command(flatten)]
    daemon: DaemonArgs,
}

// Why there is no key for `DispatcherSettings::only_dispatcher`.
const _: () = assert!(hub_transport::amqp::RABBITMQ.exclusive, "a transport that cannot exclude a second dispatcher");

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
    let in_memory = args.transport.or(config.transport) == Some(TransportKind::Memory);
    // In one process, the jobs are of the user who runs it.
    let work = args.work.merge(&config, TaskKinds::all());
    if in_memory && work.is_none() {
        let message = "--transport memory runs the worker in this process, which needs a directory of task modules";
        let advice = "add --tasks-dir DIR, or tasks_dir in the configuration file";
        return Err(Failure::new(Exit::Usage, message).advise(advice));
    }
    let reach = args.reach.merge(&config);
    let transport: Arc<dyn Transport> =
        if in_memory { MemoryBroker::new().transport() } else { reach.transport("hub-dispatcher")? };
    let store = args.keep.open(&config, &reach.prefix, in_memory, parts)?;
    let http = Http::resolve(args.http, args.http_token_file, &config)?.bind().await?;
    let mut signals =
        Signals::listen().map_err(|error| Failure::new(Exit::Refused, "cannot listen for signals").because(error))?;

    let shown = if in_memory { "in memory".to_owned() } else { reach.shown_broker() };
    tracing::info!("Starting dispatcher, connecting to broker {shown}...");
    let mut settings = DispatcherSettings::new(&reach.prefix);
    settings.retain_jobs = args.keep.retain_jobs.or(config.retain_jobs).unwrap_or(settings.retain_jobs);
    settings.broker_forgets = in_memory;
    settings.inputs = (parts.inputs)();
    args.limits.apply(&config, &mut settings.limits);
    settings.max_live_bytes = args.max_live_bytes.or(config.max_live_bytes).unwrap_or(settings.max_live_bytes);
    settings.max_kept_results = args.max_kept_results.or(config.max_kept_results).unwrap_or(settings.max_kept_results);
    settings.max_kept_bytes = args.max_kept_bytes.or(config.max_kept_bytes).unwrap_or(settings.max_kept_bytes);
    let max_body_bytes = settings.limits.max_bytes;
    let dispatcher = Dispatcher::start(Arc::clone(&transport), store, settings)
        .await
        .map_err(|error| Failure::new(Exit::Refused, error.to_string()).because(error))?;
    let shutdown = CancellationToken::new();
    if let Some((listener, token)) = http {
        let settings = HttpSettings { token, max_body_bytes, ..HttpSettings::default() };
        tokio::spawn(http::serve(listener, dispatcher.hub(), settings, shutdown.clone()));
    }
    let broker = transport.describe();
    let worker = match work {
        Some(work) if in_memory => Some(work.start(transport, &reach.prefix).await?),
        _ => None,
    };
    if !in_memory {
        tokio::spawn(probe::log_advice(reach.broker.clone(), dispatcher.link_health()));
    }
    let up = async {
        dispatcher.ready().await;
        if let Some(worker) = &worker {
            worker.ready().await;
        }
    };
    let explain = |cause: &hub_transport::Error| match cause.kind() {
        // Only the dispatcher's own queue is exclusive.
        ErrorKind::InUse => format!(
            "another dispatcher serves this Hub at {broker}; this dispatcher is on standby and takes over when the other one ends"
        ),
        _ => no_connection(&broker, Some(cause)),
    };
    let mut outcome = tokio::select! {
        outcome = ready.wait(up, dispatcher.link_health(), explain, &mut signals) => outcome,
        error = dispatcher.broken() => Err(store_broken(&error)),
    };
    if outcome.is_ok() {
        let hub = dispatcher.hub();
        let alive = async || {
            // The dispatcher's loop answers this request without the broker and the store.
            let is_dispatcher_alive = hub.health().await.is_ok();
            let is_worker_alive = match &worker {
                Some(worker) => worker.is_alive().await,
                None => true,
            };
            is_dispatcher_alive && is_worker_alive
        };
        tokio::select! {
            () = ready.serve(dispatcher.link_health(), alive, &mut signals) => {
                tracing::info!("draining, then stopping");
            }
            error = dispatcher.broken() => outcome = Err(store_broken(&error)),
        }
    }
    shutdown.cancel();
    let ending = async {
        if let Some(worker) = worker {
            Worker::stop(worker, GRACE).await;
        }
        dispatcher.stop(GRACE).await;
    };
    signals.unless_again(ending).await;
    outcome.map(drop)
}

/// The failure of a dispatcher that stopped because its store is broken.
fn store_broken(error: &StoreError) -> Failure {
    let failure = Failure::new(Exit::Refused, error.to_string());
    match std::error::Error::source(error) {
        Some(source) => failure.because(source.to_string()),
        None => failure,
    }
}

/// The resolved settings of the HTTP API.
struct Http {
    address: Option<String>,
    token: Option<String>,
    /// Whether the address was configured explicitly.
    is_explicit: bool,
}

impl Http {
    fn resolve(address: Option<String>, token_file: Option<PathBuf>, config: &Config) -> Result<Self, Failure> {
        let configured = address.or_else(|| config.http.clone());
        let is_explicit = configured.is_some();
        let address = configured.unwrap_or_else(|| DEFAULT_HTTP.to_owned());
        let token = match token_file.or_else(|| config.http_token_file.clone()) {
            None => None,
            Some(path) => {
                let text = std::fs::read_to_string(&path).map_err(|error| {
                    Failure::new(Exit::Usage, format!("cannot read the token file {}", path.display())).because(error)
                })?;
                let token = text.trim().to_owned();
                if token.is_empty() {
                    return Err(Failure::new(Exit::Usage, format!("the token file {} is empty", path.display())));
                }
                Some(token)
            }
        };
        Ok(Self { address: (address != "none").then_some(address), token, is_explicit })
    }

    async fn bind(self) -> Result<Option<(TcpListener, Option<String>)>, Failure> {
        let Some(address) = self.address else { return Ok(None) };
        let resolved: Vec<SocketAddr> = tokio::net::lookup_host(&address)
            .await
            .map_err(|error| {
                Failure::new(Exit::Usage, format!("--http {address} is not a valid address: use HOST:PORT or none"))
                    .because(error)
            })?
            .collect();
        let public = resolved.iter().map(SocketAddr::ip).find(|ip: &IpAddr| !ip.is_loopback());
        if let (Some(ip), None) = (public, &self.token) {
            let message = format!(
                "--http {address} would let anyone who can connect to {ip} run jobs: set a token with --http-token-file, or listen on 127.0.0.1"
            );
            return Err(Failure::new(Exit::Usage, message));
        }
        match TcpListener::bind(resolved.as_slice()).await {
            Ok(listener) => {
                if let Ok(bound) = listener.local_addr() {
                    tracing::info!("HTTP API at http://{bound}/api/v1");
                }
                Ok(Some((listener, self.token)))
            }
            Err(error) if self.is_explicit => {
                Err(Failure::new(Exit::Usage, format!("cannot serve the HTTP API at {address}")).because(error))
            }
            Err(error) => {
                tracing::warn!(
                    "the HTTP API is disabled, because {address} cannot be used ({error}): choose another address with --http"
                );
                Ok(None)
            }
        }
    }
}
