//! `hub-dispatcher`.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{CommandFactory, Parser};
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
  hub-dispatcher -c etc/dispatcher.conf                      serve a Hub at the broker that the file names
  hub-dispatcher --transport memory --tasks-dir etc/tasks    serve a whole Hub in one process, without a broker";
/// Where the HTTP API is where nothing else is said.
const DEFAULT_HTTP: &str = "127.0.0.1:8420";

/// Takes jobs, decides the order of their tasks, hands them to workers, and answers what clients ask.
#[derive(Debug, Parser)]
#[command(name = "hub-dispatcher", version, after_help = EXAMPLES)]
struct Args {
    /// What carries messages [default: amqp]
    #[arg(long, env = "HUB_TRANSPORT", value_name = "KIND")]
    transport: Option<TransportKind>,
    #[command(flatten)]
    reach: ReachArgs,
    /// Serve the HTTP API here; "none" for not at all [default: 127.0.0.1:8420]
    #[arg(long, env = "HUB_HTTP", value_name = "ADDRESS")]
    http: Option<String>,
    /// Clients of the HTTP API must show the token in this file. Needed beyond this machine
    #[arg(long, env = "HUB_HTTP_TOKEN_FILE", value_name = "FILE")]
    http_token_file: Option<PathBuf>,
    #[command(flatten)]
    keep: StoreArgs,
    #[command(flatten)]
    limits: JobLimitArgs,
    /// With so many bytes of unfinished jobs in memory no further ones are taken in [default: 1073741824]
    #[arg(long, env = "HUB_MAX_LIVE_BYTES", value_name = "N", value_parser = bounds::MAX_LIVE_BYTES.parser::<u64>())]
    max_live_bytes: Option<u64>,
    #[command(flatten)]
    log: LogArgs,
    /// With --transport memory: run a worker here too, with the task modules of --tasks-dir
    #[command(flatten)]
    work: WorkArgs,
    #[command(flatten)]
    daemon: DaemonArgs,
}

// Why there is no key for `DispatcherSettings::only_dispatcher`.
const _: () = assert!(hub_transport::amqp::RABBITMQ.exclusive, "a transport that cannot keep a second dispatcher out");

/// The arguments of the program.
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
    let work = args.work.merge(&config);
    if in_memory && work.is_none() {
        let message =
            "--transport memory is a whole Hub in this process, and without task modules no task can run in it";
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
    args.limits.apply(&config, &mut settings.limits);
    settings.max_live_bytes = args.max_live_bytes.or(config.max_live_bytes).unwrap_or(settings.max_live_bytes);
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
        // Its own queue is the only one that a dispatcher needs alone.
        ErrorKind::InUse => format!(
            "another dispatcher serves this Hub at {broker}: this one stands by and takes over when that one ends"
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
            // The dispatcher's loop answers this one itself, whatever the broker and the store do meanwhile.
            let dispatcher_lives = hub.health().await.is_ok();
            let worker_lives = match &worker {
                Some(worker) => worker.is_alive().await,
                None => true,
            };
            dispatcher_lives && worker_lives
        };
        tokio::select! {
            () = ready.serve(dispatcher.link_health(), alive, &mut signals) => {
                tracing::info!("stopping: what has begun is brought to an end");
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

/// Why the dispatcher has given up.
fn store_broken(error: &StoreError) -> Failure {
    let failure = Failure::new(Exit::Refused, error.to_string());
    match std::error::Error::source(error) {
        Some(source) => failure.because(source.to_string()),
        None => failure,
    }
}

/// The HTTP API, as configured.
struct Http {
    address: Option<String>,
    token: Option<String>,
    /// Whether somebody asked for it.
    wanted: bool,
}

impl Http {
    fn resolve(address: Option<String>, token_file: Option<PathBuf>, config: &Config) -> Result<Self, Failure> {
        let asked = address.or_else(|| config.http.clone());
        let wanted = asked.is_some();
        let address = asked.unwrap_or_else(|| DEFAULT_HTTP.to_owned());
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
        Ok(Self { address: (address != "none").then_some(address), token, wanted })
    }

    async fn bind(self) -> Result<Option<(TcpListener, Option<String>)>, Failure> {
        let Some(address) = self.address else { return Ok(None) };
        let resolved: Vec<SocketAddr> = tokio::net::lookup_host(&address)
            .await
            .map_err(|error| {
                Failure::new(Exit::Usage, format!("--http {address} is no address: write HOST:PORT or none"))
                    .because(error)
            })?
            .collect();
        let public = resolved.iter().map(SocketAddr::ip).find(|ip: &IpAddr| !ip.is_loopback());
        if let (Some(ip), None) = (public, &self.token) {
            let message = format!(
                "--http {address} would let anyone who reaches {ip} run jobs: give a token with --http-token-file, or listen on 127.0.0.1"
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
            Err(error) if self.wanted => {
                Err(Failure::new(Exit::Usage, format!("cannot serve the HTTP API at {address}")).because(error))
            }
            Err(error) => {
                tracing::warn!("the HTTP API is off, since {address} is taken ({error}): choose another with --http");
                Ok(None)
            }
        }
    }
}
