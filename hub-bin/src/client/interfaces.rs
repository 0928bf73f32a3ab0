//! The command line of each program, for completions and manual pages.

use clap::Command;

use super::help;
use super::program::Program;

/// The command line of a program.
pub(super) fn of(program: Program) -> Command {
    match program {
        Program::HubClient => help::command(),
        Program::HubDispatcher => crate::dispatcher::command(),
        Program::HubWorker => crate::worker::command(),
        Program::CtrlHubDispatcher => crate::control::command().name("ctrl-hub-dispatcher"),
        Program::CtrlHubWorker => crate::control::command().name("ctrl-hub-worker"),
    }
}

/// The command line of a program for manual pages, including rarely used flags.
pub(super) fn whole(program: Program) -> Command {
    match program {
        Program::HubClient => help::whole_command(),
        other => of(other),
    }
}
