//! What `--help` says beside the arguments: examples, exit codes, and only the flags that count for each command.

use clap::{Command, CommandFactory};

use super::arguments::Args;

/// The heading of the flags that say where the Hub is.
const CONNECTION: &str = "Connection";
/// Flags of the connection that few need: only the long help shows them.
const RARE: [&str; 5] = ["amqp_client", "ca_file", "client_cert_file", "client_key_file", "max_message_bytes"];
/// Commands that do not ask a Hub.
const ALONE: [&str; 5] = ["run", "validate", "schema", "completions", "man"];

/// Exit codes and what they mean.
pub(super) const EXIT_CODES: [(u8, &str); 9] = [
    (0, "success"),
    (1, "the job failed or was cancelled"),
    (2, "bad usage or an invalid job"),
    (3, "no such job or task"),
    (4, "broker or dispatcher unreachable, or no answer in time"),
    (5, "refused in its present state"),
    (6, "the time of --wait-limit passed"),
    (7, "the answer could not be written"),
    (130, "interrupted"),
];

const ROOT: &str = "\
Examples:
  hub-client run job.json --tasks-dir tasks        run a job here, without a broker
  hub-client submit job.json --wait                submit to the broker localhost and wait
  hub-client -b amqps://me:secret@rabbit/v list    list the jobs of a Hub at another broker
  hub-client -b http://127.0.0.1:8420 status last  show the newest job, over the HTTP API

hub-client help COMMAND shows the flags and examples of a command.";

/// What stands below the flags of the program.
pub(super) fn root() -> String {
    let codes: Vec<String> = EXIT_CODES.iter().map(|(code, what)| format!("{code} {what}")).collect();
    format!("{ROOT}\n\nExit codes: {}.", codes.join("; "))
}

pub(super) const RUN: &str = "\
Examples:
  hub-client run etc/jobs/sum_product.json --tasks-dir etc/tasks
  generate-job | hub-client run - --tasks-dir tasks --slots 2 --wait-limit 60 -o json

A task that waits for its result from outside is reported with the command that posts it.";

pub(super) const SUBMIT: &str = "\
Examples:
  hub-client submit job.json
  hub-client submit job.json --wait --wait-limit 60 -o json
  generate-job | hub-client submit -";

pub(super) const LIST: &str = "\
Examples:
  hub-client list --status FAILED --status CANCELLED
  hub-client list --name nightly --limit 1 -o json";

pub(super) const IDS: &str = "\
The first or last digits of an id, at least four, stand for the whole one if they fit only one of the newest 5,000 jobs.";

pub(super) const RESULT: &str = "\
Examples:
  hub-client result 01a20aef-b8a3-72fb-9946-05e04509e7b1 --data '{\"ordered\": 3}'
  hub-client result 05e04509e7b1 --failed 'the supplier did not answer'";

pub(super) const VALIDATE: &str = "\
Examples:
  hub-client validate job.json
  generate-job | hub-client validate -";

pub(super) const SCHEMA: &str = "\
Examples:
  hub-client schema > job.schema.json

A job that begins with {\"$schema\": \"./job.schema.json\", is completed and checked by editors that know JSON Schema.";

pub(super) const COMPLETIONS: &str = "\
Examples:
  hub-client completions bash > /etc/bash_completion.d/hub-client
  hub-client completions zsh --program hub-worker > ~/.zfunc/_hub-worker";

pub(super) const MAN: &str = "\
Examples:
  hub-client man /usr/local/share/man/man1
  hub-client man | man -l -";

/// What `--broker` means to a client. For other programs it is a broker in any case.
const BROKER: &str = "The Hub: a broker, as HOST, HOST:PORT or amqp://USER:PASSWORD@HOST:PORT/VHOST (amqps for TLS; the nodes \
    of a cluster separated by commas), or a dispatcher's HTTP API, as http://HOST:PORT [default: localhost]";

/// The arguments without environment variables, for messages about arguments.
pub(super) fn without_environment() -> Command {
    let forget = |flag: clap::Arg| flag.env(None::<&'static str>);
    command().mut_args(forget).mut_subcommands(|own| own.mut_args(forget))
}

/// The arguments as manual pages show them: every flag, and no command that only helps.
pub(super) fn whole_command() -> Command {
    built(arguments().disable_help_subcommand(true))
}

/// The arguments as help texts and completions show them. Parsing does without this: it costs a walk over all
/// commands.
pub(super) fn command() -> Command {
    let hide_rare = |flag: clap::Arg| {
        let is_rare = RARE.contains(&flag.get_id().as_str());
        flag.hide_short_help(is_rare)
    };
    built(arguments().mut_args(hide_rare))
}

fn arguments() -> Command {
    Args::command().mut_arg("broker", |flag| flag.help(BROKER))
}

fn built(mut command: Command) -> Command {
    // From here on each command has the flags that are common to all.
    command.build();
    for name in ALONE {
        command = command.mut_subcommand(name, |own| {
            own.mut_args(|flag| {
                let is_unused = flag.get_help_heading() == Some(CONNECTION);
                if is_unused { flag.hide(true) } else { flag }
            })
        });
    }
    command
}
