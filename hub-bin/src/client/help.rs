//! The command line as help texts, completions and manual pages show it: each command with the flags that apply to it.

use clap::{Command, CommandFactory};

use super::arguments::Args;

/// The heading of the connection flags.
const CONNECTION: &str = "Connection";
/// Rarely used connection flags, shown only in the long help.
const RARE: [&str; 5] = ["amqp_client", "ca_file", "client_cert_file", "client_key_file", "max_message_bytes"];
/// Commands that do not connect to a Hub.
const LOCAL: [&str; 5] = ["run", "validate", "schema", "completions", "man"];

/// Help of `--broker` for the client, which accepts the HTTP API as well. Other programs accept only a broker.
const BROKER: &str = "Address of the Hub: a broker, as HOST, HOST:PORT or amqp://USER:PASSWORD@HOST:PORT/VHOST (amqps for TLS; \
    nodes of a cluster separated by commas), or a dispatcher's HTTP API, as http://HOST:PORT [default: localhost]";

/// The command line without environment variables, for error messages about arguments.
pub(super) fn without_environment() -> Command {
    let without_env = |flag: clap::Arg| flag.env(None::<&'static str>);
    command().mut_args(without_env).mut_subcommands(|own| own.mut_args(without_env))
}

/// The command line for manual pages: all flags, without the subcommand `help`.
pub(super) fn whole_command() -> Command {
    built(arguments().disable_help_subcommand(true))
}

/// The command line for help texts and completions. The parser does not use it, because building it walks over all commands.
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
    // This copies the global flags to each command.
    command.build();
    for name in LOCAL {
        command = command.mut_subcommand(name, |own| {
            own.mut_args(|flag| {
                let is_unused = flag.get_help_heading() == Some(CONNECTION);
                if is_unused { flag.hide(true) } else { flag }
            })
        });
    }
    command
}
