//! `hub-client`: submits jobs, follows them, stops them, and runs them without a broker.

mod arguments;
mod commands;
mod follow;
mod generate;
mod help;
mod identity;
mod input;
mod manual;
mod output;
mod pages;
mod problems;
mod progress;
mod record;
mod run;
mod style;
mod views;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use clap::error::ErrorKind;
use hub_engine::client::{AmqpHub, HttpHub};
use hub_engine::operations::Hub;

use crate::config::LogLevel;
use crate::exit::{Exit, Failure, tell};
use crate::logging;
use crate::parts::AmqpClients;
use crate::probe;
use crate::stdio;
use arguments::{Args, Command};
use output::Output;

/// Runs the program.
#[must_use]
pub fn main(clients: AmqpClients) -> ExitCode {
    let mut args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => return explain(error),
    };
    if !args.has_command() {
        return show_commands();
    }
    let level = if args.output.verbose || args.output.trace { LogLevel::Debug } else { LogLevel::Error };
    logging::start(level, None);
    args.reach.clients = clients;
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

/// Nothing was asked for: shows on standard error what can be.
fn show_commands() -> ExitCode {
    tell(help::command().render_help());
    Exit::Usage.into()
}

/// Prints what clap has to say: help, the version, or what is wrong with the arguments.
fn explain(error: clap::Error) -> ExitCode {
    let is_help = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand);
    // The help shows less than parsing needs to know. What is set in the environment is no part of the usage.
    let again = if is_help { help::command() } else { help::without_environment() };
    let error = again.try_get_matches().err().unwrap_or(error);
    let printed = if is_help || error.kind() == ErrorKind::DisplayVersion { stdio::check() } else { Ok(()) };
    match printed.and_then(|()| error.print()) {
        Ok(()) => ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(Exit::Usage as u8)),
        Err(failed) => Failure::output(failed).report(),
    }
}

async fn dispatch(args: Args) -> Result<Exit, Failure> {
    let output = Output::new(args.output.output, args.output.color, args.output.quiet);
    let outcome = match args.command.clone() {
        None => manual::run(&args, &output).await,
        Some(Command::Run(run)) => return run::run(run, &output).await,
        Some(Command::Validate { file }) => return problems::validate(&file, &output),
        Some(Command::Schema) => return generate::schema(&output),
        Some(Command::Completions { shell, program }) => return generate::completions(shell, program, &output),
        Some(Command::Man { directory }) => return generate::man(directory.as_deref(), &output),
        Some(command) => commands::run(command, &args, &output).await,
    };
    match outcome {
        // Something else may listen there.
        Err(failure) if failure.exit == Exit::Unreachable => match probe::advice(&args.address()?).await {
            Some(advice) => Err(failure.advise(advice)),
            None => Err(failure),
        },
        outcome => outcome,
    }
}

/// A Hub that answers.
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
        let timeout = Duration::from_secs_f64(self.http.timeout);
        if reach.broker.starts_with("http://") {
            let token_file = self.http.http_token_file.clone().or(config.http_token_file);
            let token = token_file.as_deref().map(read_token).transpose()?.or_else(|| self.http.http_token.clone());
            let hub = HttpHub::new(&reach.broker, token, timeout)?;
            return Ok(Reached { hub: Arc::new(hub), shown: reach.broker });
        }
        if reach.broker.starts_with("https://") {
            let message =
                "Hub's HTTP API does not speak TLS: write http://, and put a proxy before it in a foreign network";
            return Err(Failure::new(Exit::Usage, message));
        }
        let hub = AmqpHub::connect(reach.transport("hub-client")?, &reach.prefix, timeout).await?;
        Ok(Reached { hub: Arc::new(hub), shown: reach.shown_broker() })
    }

    /// The address that the arguments name.
    fn address(&self) -> Result<String, Failure> {
        Ok(self.reach.clone().merge(&self.reach.read_config()?).broker)
    }
}

fn read_token(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map(|text| text.trim().to_owned()).map_err(|error| {
        Failure::new(Exit::Usage, format!("cannot read the token file {}", path.display())).because(error)
    })
}
