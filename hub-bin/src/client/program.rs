//! The programs that have completions and manual pages.

use clap::ValueEnum;

/// One of Hub's programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Program {
    /// Submits and watches jobs
    HubClient,
    /// Schedules the tasks of jobs
    HubDispatcher,
    /// Runs tasks
    HubWorker,
    /// Starts and stops a dispatcher
    CtrlHubDispatcher,
    /// Starts and stops a worker
    CtrlHubWorker,
}
