//! Manual pages: the sections that clap generates, and further ones.

use std::io;

use clap::Command;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use super::help_texts::EXIT_CODES;
use super::interfaces;
use super::program::Program;

/// Facts about a program besides its arguments.
struct Facts {
    /// Environment variables without a flag.
    variables: &'static [(&'static str, &'static str)],
    exit_codes: &'static [(u8, &'static str)],
    files: &'static [(&'static str, &'static str)],
}

const CLIENT: Facts = Facts {
    variables: &[
        ("HUB_HTTP_TOKEN", "Token of the HTTP API, for commands that connect to a Hub."),
        ("COLUMNS", "Width of tables, in characters."),
        ("NO_COLOR", "If set and not empty, tables on a terminal have no colours."),
        ("TERM", "If \"dumb\", tables on a terminal have no colours."),
    ],
    exit_codes: &EXIT_CODES,
    files: &[("FILE of --config", "The configuration file. Flags and environment variables override it.")],
};

const DAEMON_EXIT_CODES: [(u8, &str); 5] = [
    (0, "stopped normally"),
    (2, "usage error or invalid configuration"),
    (4, "the broker refused the connection"),
    (5, "a file or the store cannot be used"),
    (130, "stopped before it was connected"),
];

const DISPATCHER: Facts = Facts {
    variables: &[
        ("STATE_DIRECTORY", "Directory of the store if --store is not given. Set by service managers."),
        ("NOTIFY_SOCKET, WATCHDOG_USEC", "Set by service managers that supervise the program."),
    ],
    exit_codes: &DAEMON_EXIT_CODES,
    files: &[
        ("/etc/hub/dispatcher.conf", "The configuration file that the service unit names."),
        ("/var/lib/hub/hub.db", "The default store of root."),
        ("~/.local/state/hub/hub.db", "The default store of other users."),
    ],
};

const WORKER: Facts = Facts {
    variables: &[("NOTIFY_SOCKET, WATCHDOG_USEC", "Set by service managers that supervise the program.")],
    exit_codes: &DAEMON_EXIT_CODES,
    files: &[
        ("/etc/hub/worker.conf", "The configuration file that the service unit names."),
        ("TASKS_DIR/NAME.py", "The Python module of the task NAME."),
        ("TASKS_DIR/NAME, TASKS_DIR/NAME.*", "The executable of the task NAME."),
    ],
};

const CONTROL: Facts = Facts {
    variables: &[],
    exit_codes: &[
        (0, "success; status: the daemon is running"),
        (1, "the daemon could not be started or stopped; status: the daemon died"),
        (2, "usage error or invalid configuration"),
        (3, "status: the daemon is not running"),
        (4, "status: unknown"),
    ],
    files: &[("pid_file in FILE", "The process id of the daemon. The daemon holds a lock on this file while it runs.")],
};

/// The pages of a program and of its commands: file name and text.
pub(super) fn all(program: Program) -> io::Result<Vec<(String, Vec<u8>)>> {
    let (mut command, mut pages) = (interfaces::whole(program), Vec::new());
    command.build();
    add(program, &command, &mut pages)?;
    Ok(pages)
}

/// The page of a program, without its commands.
pub(super) fn of_program(program: Program) -> io::Result<Vec<u8>> {
    let mut command = interfaces::whole(program);
    command.build();
    page(program, &command)
}

fn add(program: Program, command: &Command, pages: &mut Vec<(String, Vec<u8>)>) -> io::Result<()> {
    pages.push((Man::new(command.clone()).get_filename(), page(program, command)?));
    command.get_subcommands().filter(|own| !own.is_hide_set()).try_for_each(|own| add(program, own, pages))
}

fn page(program: Program, command: &Command) -> io::Result<Vec<u8>> {
    let (man, mut page) = (Man::new(command.clone()), Vec::new());
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut page)?;
    }
    let facts = match program {
        Program::HubClient => CLIENT,
        Program::HubDispatcher => DISPATCHER,
        Program::HubWorker => WORKER,
        Program::CtrlHubDispatcher | Program::CtrlHubWorker => CONTROL,
    };
    let mut roff = Roff::new();
    environment(&mut roff, command, &facts);
    after_help(&mut roff, command);
    section(&mut roff, "EXIT STATUS", facts.exit_codes.iter().map(|(code, what)| (code.to_string(), *what)));
    section(&mut roff, "FILES", facts.files.iter().map(|(file, what)| ((*file).to_owned(), *what)));
    roff.to_writer(&mut page)?;
    if command.get_version().is_some() {
        man.render_version_section(&mut page)?;
    }
    Ok(page)
}

fn environment(roff: &mut Roff, command: &Command, facts: &Facts) {
    let of_flags = command.get_arguments().filter(|flag| !flag.is_hide_set()).filter_map(|flag| {
        let (variable, flag) = (flag.get_env()?.to_string_lossy().into_owned(), flag.get_long()?);
        Some((variable, format!("Same as --{flag}, which overrides it.")))
    });
    let others = facts.variables.iter().map(|(name, what)| ((*name).to_owned(), (*what).to_owned()));
    section(roff, "ENVIRONMENT", of_flags.chain(others));
}

/// The examples and notes that help texts contain below the flags. Exit codes have their own section.
fn after_help(roff: &mut Roff, command: &Command) {
    let text = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let (mut examples, mut notes) = (Vec::new(), Vec::new());
    for paragraph in text.split("\n\n") {
        match paragraph.strip_prefix("Examples:\n") {
            Some(lines) => examples.extend(lines.lines()),
            None if paragraph.is_empty() || paragraph.starts_with("Exit codes:") => {}
            None => notes.push(paragraph),
        }
    }
    if !notes.is_empty() {
        roff.control("SH", ["NOTES"]);
        for note in notes {
            roff.control("PP", []);
            for line in note.lines() {
                roff.text([roman(line)]);
            }
        }
    }
    if !examples.is_empty() {
        roff.control("SH", ["EXAMPLES"]);
        roff.control("nf", []);
        for line in examples {
            roff.text([roman(line.trim_start())]);
        }
        roff.control("fi", []);
    }
}

/// A list of terms, unless it is empty.
fn section<T: Into<String>>(roff: &mut Roff, title: &str, entries: impl Iterator<Item = (String, T)>) {
    let mut entries = entries.peekable();
    if entries.peek().is_none() {
        return;
    }
    roff.control("SH", [title]);
    for (term, what) in entries {
        roff.control("TP", []);
        roff.text([bold(term)]);
        let what: String = what.into();
        roff.text([roman(what)]);
    }
}
