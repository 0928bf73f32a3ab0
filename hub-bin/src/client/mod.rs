//! `hub-client`: submits jobs, follows them, stops them, and runs them without a broker.

mod arguments;
mod commands;
mod manual;
mod output;
mod problems;
mod record;
mod run;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use hub_engine::client::{AmqpHub, HttpHub};
use hub_engine::operations::Hub;

use crate::config::LogLevel;
use crate::exit::{Exit, Failure};
use crate::logging::{self, Log};
use arguments::{Args, Command};
use output::Output;

/// Runs the program.
#[must_use]
pub fn main() -> ExitCode {
    let args = Args::parse();
    let level = if args.verbose || args.trace { LogLevel::Debug } else { LogLevel::Error };
    let log = Log { file: None, level, max_size: None, retain: None };
    if let Err(failure) = logging::start(&log) {
        return failure.report();
    }
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return Failure::new(Exit::Refused, "cannot start").because(error).report(),
    };
    let outcome = runtime.block_on(dispatch(args));
    runtime.shutdown_background();
    match outcome {
        Ok(exit) => exit.into(),
        Err(failure) => failure.report(),
    }
}

async fn dispatch(args: Args) -> Result<Exit, Failure> {
    let output = Output::new(args.output, args.quiet);
    match args.command.clone() {
        None => manual::run(args, &output).await,
        Some(Command::Run(run)) => run::run(run, &output).await,
        Some(Command::Validate { file }) => problems::validate(&file, &output),
        Some(command) => commands::run(command, args, &output).await,
    }
}

/// A Hub that answers, and what it takes to say goodbye to it.
struct Reached {
    hub: Arc<dyn Hub>,
    /// The address as the user gave it, for messages.
    shown: String,
}

impl Args {
    /// Connects to the Hub that the arguments name.
    async fn reach(&self) -> Result<Reached, Failure> {
        let config = self.reach.read_config()?;
        let reach = self.reach.clone().merge(&config);
        let timeout = self.timeout();
        if reach.broker.starts_with("http://") {
            let token_file = self.http_token_file.clone().or(config.http_token_file);
            let token = token_file.as_deref().map(read_token).transpose()?.or_else(|| self.http_token.clone());
            let hub = HttpHub::new(&reach.broker, token, timeout)?;
            return Ok(Reached { hub: Arc::new(hub), shown: reach.broker });
        }
        if reach.broker.starts_with("https://") {
            let message =
                "the HTTP API speaks no TLS: use http://, behind a proxy of your own where the network is not yours";
            return Err(Failure::new(Exit::Usage, message));
        }
        let hub = AmqpHub::connect(reach.transport("hub-client")?, &reach.prefix, timeout).await?;
        Ok(Reached { hub: Arc::new(hub), shown: reach.shown_broker() })
    }

    fn timeout(&self) -> Duration {
        Duration::from_secs_f64(self.timeout)
    }
}

fn read_token(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map(|text| text.trim().to_owned()).map_err(|error| {
        Failure::new(Exit::Usage, format!("cannot read the token file {}", path.display())).because(error)
    })
}

/// Reads a file, or standard input where it is `-`.
fn read_input(path: &Path) -> Result<String, Failure> {
    let read =
        if path == Path::new("-") { std::io::read_to_string(std::io::stdin()) } else { std::fs::read_to_string(path) };
    read.map_err(|error| {
        let name = if path == Path::new("-") { "standard input".to_owned() } else { path.display().to_string() };
        Failure::new(Exit::Usage, format!("cannot read {name}")).because(error)
    })
}
