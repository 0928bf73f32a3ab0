//! The arguments as help texts, completions and manual pages show them: each command with the flags that count for it.

use clap::{Command, CommandFactory};

use super::arguments::Args;

/// The heading of the flags that say where the Hub is.
const CONNECTION: &str = "Connection";
/// Flags of the connection that few need: only the long help shows them.
const RARE: [&str; 5] = ["amqp_client", "ca_file", "client_cert_file", "client_key_file", "max_message_bytes"];
/// Commands that do not ask a Hub.
const ALONE: [&str; 5] = ["run", "validate", "schema", "completions", "man"];

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
