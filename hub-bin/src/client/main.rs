//! The entry point: parses the arguments and runs the command.

use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;

use super::arguments::{Args, Command};
use super::output::Output;
use super::{commands, generate, help, manual, run, validate};
use crate::config::LogLevel;
use crate::exit::{Exit, Failure, tell};
use crate::logging;
use crate::parts::ClientParts;
use crate::probe;
use crate::stdio;

/// Runs the program.
#[must_use]
pub fn main(parts: ClientParts) -> ExitCode {
    let mut args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => return explain(error),
    };
    if !args.has_command() {
        return show_commands();
    }
    let level = if args.output.verbose || args.output.trace { LogLevel::Debug } else { LogLevel::Error };
    logging::start(level, None);
    args.reach.clients = parts.amqp;
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return Failure::new(Exit::Refused, "cannot start").because(error).report(),
    };
    let outcome = runtime.block_on(dispatch(args, parts));
    runtime.shutdown_background();
    match outcome {
        Ok(exit) => exit.into(),
        Err(failure) => failure.report(),
    }
}

/// Prints the help to standard error, for a command line without a command.
fn show_commands() -> ExitCode {
    tell(help::command().render_help());
    Exit::Usage.into()
}

/// Prints clap's message: the help, the version, or an error in the arguments.
fn explain(error: clap::Error) -> ExitCode {
    let is_help = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand);
    // Parse again with the command line for the help, which hides flags, or for errors, whose usage shows no environment variables.
    let again = if is_help { help::command() } else { help::without_environment() };
    let error = again.try_get_matches().err().unwrap_or(error);
    let printed = if is_help || error.kind() == ErrorKind::DisplayVersion { stdio::check() } else { Ok(()) };
    match printed.and_then(|()| error.print()) {
        Ok(()) => ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(Exit::Usage as u8)),
        Err(failed) => Failure::output(failed).report(),
    }
}

async fn dispatch(args: Args, parts: ClientParts) -> Result<Exit, Failure> {
    let output = Output::new(args.output.output, args.output.color, args.output.quiet);
    let outcome = match args.command.clone() {
        None => manual::run(&args, &output).await,
        Some(Command::Run(run)) => return run::run(run, (parts.inputs)(), &output).await,
        Some(Command::Validate { file }) => return validate::validate(&file, &output),
        Some(Command::Schema) => return generate::schema(&output),
        Some(Command::Completions { shell, program }) => return generate::completions(shell, program, &output),
        Some(Command::Man { directory }) => return generate::man(directory.as_deref(), &output),
        Some(command) => commands::run(command, &args, &output).await,
    };
    match outcome {
        // Another service may listen at the address.
        Err(failure) if failure.exit == Exit::Unreachable => match probe::advice(&args.address()?).await {
            Some(advice) => Err(failure.advise(advice)),
            None => Err(failure),
        },
        outcome => outcome,
    }
}
