//! The arguments of each program, as completions and manual pages show them.

use clap::Command;

use super::help;
use super::program::Program;

/// The arguments of a program.
pub(super) fn of(program: Program) -> Command {
    match program {
        Program::HubClient => help::command(),
        Program::HubDispatcher => crate::dispatcher::command(),
        Program::HubWorker => crate::worker::command(),
        Program::CtrlHubDispatcher => crate::control::command().name("ctrl-hub-dispatcher"),
        Program::CtrlHubWorker => crate::control::command().name("ctrl-hub-worker"),
    }
}

/// The arguments of a program with everything that manual pages show.
pub(super) fn whole(program: Program) -> Command {
    match program {
        Program::HubClient => help::whole_command(),
        other => of(other),
    }
}
