//! The arguments as typed. Examples and other texts of the help are in `help_texts`.

use std::path::PathBuf;

use clap::{ArgGroup, Parser, Subcommand};
use hub_core::{JobId, JobStatus, Json, RetryFrom, Timestamp, job};

use super::argument_values::{retry_from, seconds, task_data, time_or_age};
use super::definition_args::DefinitionCommand;
use super::format::{Format, When};
use super::help_texts;
use super::identity::{JobOrTask, JobOrTaskRef, JobRef, TaskRef};
use super::program::Program;
use super::remark_args::RemarkArgs;
use super::schedule_args::ScheduleCommand;
use super::view_args::ViewArgs;
use crate::reach::ReachArgs;

/// Submit jobs to Hub, watch them and cancel them, or run a job locally without a broker
#[derive(Clone, Debug, Parser)]
#[command(name = "hub-client", version, after_help = help_texts::root(),
    group = ArgGroup::new("manual").args(["create", "status", "update", "delete"]), args_conflicts_with_subcommands = false)]
pub(super) struct Args {
    #[command(subcommand)]
    pub(super) command: Option<Command>,
    #[command(flatten)]
    pub(super) manual: ManualArgs,
    #[command(flatten)]
    pub(super) reach: ReachArgs,
    #[command(flatten)]
    pub(super) http: HttpArgs,
    #[command(flatten)]
    pub(super) output: OutputArgs,
}

/// The flags of the manual. Each of them is equivalent to one or two subcommands.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Flags equivalent to commands")]
pub(super) struct ManualArgs {
    /// Submit a job from a file, or from standard input
    #[arg(short = 'C', long, value_name = "FILE", num_args = 0..=1, default_missing_value = "-")]
    pub(super) create: Option<PathBuf>,
    /// Show the status record of a job; without an id, list all jobs
    #[arg(short = 'S', long, value_name = "ID", num_args = 0..=1, default_missing_value = "")]
    pub(super) status: Option<String>,
    /// Post the result of a task, {"id": …, "status": "SUCCESS" | "FAILED", "data": …}, from a file or standard input
    #[arg(short = 'U', long, value_name = "FILE", num_args = 0..=1, default_missing_value = "-")]
    pub(super) update: Option<PathBuf>,
    /// Cancel a running job, or remove a job that has ended
    #[arg(short = 'D', long, value_name = "ID")]
    pub(super) delete: Option<JobRef>,
}

/// Options of the HTTP API, and the time limit of requests over HTTP or AMQP.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Connection")]
pub(super) struct HttpArgs {
    /// Token of the HTTP API
    #[arg(long, env = "HUB_HTTP_TOKEN", hide_env_values = true, hide = true, global = true)]
    pub(super) http_token: Option<String>,
    /// File with the token of the HTTP API
    #[arg(long, env = "HUB_HTTP_TOKEN_FILE", value_name = "FILE", global = true)]
    pub(super) http_token_file: Option<PathBuf>,
    /// Maximum time to connect, and to wait for each response
    #[arg(long, value_name = "SECONDS", default_value_t = 30.0, value_parser = seconds, global = true)]
    pub(super) timeout: f64,
}

/// Options of the output.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Output")]
pub(super) struct OutputArgs {
    /// Output format [default: table on a terminal, json otherwise]
    #[arg(short, long, value_name = "FORMAT", global = true)]
    pub(super) output: Option<Format>,
    /// When to use colours in tables [default: auto, on a terminal unless NO_COLOR is set]
    #[arg(long, value_name = "WHEN", default_value = "auto", hide_default_value = true, global = true)]
    pub(super) color: When,
    /// Print only results and errors
    #[arg(short, long, global = true)]
    pub(super) quiet: bool,
    /// Log what the program does
    #[arg(short, long, global = true)]
    pub(super) verbose: bool,
    /// Same as --verbose
    #[arg(long, hide = true, global = true)]
    pub(super) trace: bool,
}

#[derive(Clone, Debug, Subcommand)]
pub(super) enum Command {
    /// Run a job locally, in one process, without a broker
    #[command(after_help = help_texts::RUN)]
    Run(RunArgs),
    /// Submit a job and print its id
    #[command(after_help = help_texts::SUBMIT)]
    Submit {
        /// Job file, or "-" for standard input
        #[arg(value_name = "FILE", default_value = "-")]
        file: PathBuf,
        /// Wait for the end of the job and print its status record
        #[arg(long)]
        wait: bool,
        /// With --wait: stop waiting after this time, exit with 6, and leave the job running [default: no limit]
        #[arg(long, value_name = "SECONDS", value_parser = seconds, requires = "wait")]
        wait_limit: Option<f64>,
        /// Id of the job. Submitting the job again under the same id has no effect
        #[arg(long, value_name = "UUID")]
        id: Option<JobId>,
        #[command(flatten)]
        view: ViewArgs,
    },
    /// Show the status record of a job
    #[command(after_help = help_texts::IDS)]
    Status {
        /// Id of the job, its first or last digits, or "last"
        #[arg(value_name = "JOB")]
        id: JobRef,
        #[command(flatten)]
        view: ViewArgs,
    },
    /// Explain what a job and its tasks wait for, or why they ended as they did
    #[command(after_help = help_texts::EXPLAIN)]
    Explain {
        /// Id of the job, its first or last digits, or "last"; or a task as JOB.TASK
        #[arg(value_name = "JOB")]
        of: JobOrTask,
        /// Only this task, or this item of a task with for_each, by its name in records
        #[arg(value_name = "TASK")]
        task: Option<String>,
    },
    /// Print the text of a job as it was submitted
    #[command(after_help = help_texts::DOCUMENT)]
    Document {
        /// Id of the job, its first or last digits, or "last"
        #[arg(value_name = "JOB")]
        id: JobRef,
    },
    /// List jobs, newest first
    #[command(after_help = help_texts::LIST)]
    List {
        /// Only jobs that match all these terms: status:failed label.team=data name:etl* started>-24h
        #[arg(value_name = "FILTER")]
        filter: Vec<String>,
        /// Only jobs with this status; can be repeated
        #[arg(long, value_name = "STATUS")]
        status: Vec<JobStatus>,
        /// Only jobs with exactly this name
        #[arg(long)]
        name: Option<String>,
        /// Only jobs submitted at or after this time (2026-11-23T22:15:03Z, 2026-11-23), or within this age (30m, 2h, 3d)
        #[arg(long, value_name = "TIME", value_parser = time_or_age)]
        since: Option<Timestamp>,
        /// Only jobs submitted before this time
        #[arg(long, value_name = "TIME", value_parser = time_or_age)]
        until: Option<Timestamp>,
        /// Include sub-jobs
        #[arg(long)]
        sub_jobs: bool,
        /// Maximum number of jobs
        #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
        limit: u32,
        /// Continue an earlier list: the value of its "next"
        #[arg(long, value_name = "NEXT")]
        after: Option<String>,
    },
    /// Show what happens in a job until it has ended, and print its status record
    #[command(after_help = help_texts::WATCH)]
    Watch {
        /// Id of the job, its first or last digits, or "last"
        #[arg(value_name = "JOB")]
        id: JobRef,
        /// Stop waiting after this time, exit with 6, and leave the job running [default: no limit]
        #[arg(long, value_name = "SECONDS", value_parser = seconds)]
        wait_limit: Option<f64>,
        #[command(flatten)]
        view: ViewArgs,
    },
    /// Cancel a job that has not ended
    #[command(after_help = help_texts::CANCEL)]
    Cancel {
        /// Id of the job, its first or last digits, or "last"
        #[arg(value_name = "JOB")]
        id: JobRef,
        /// Kill running tasks at once [default: they are asked to end, and killed after 10 seconds]
        #[arg(long)]
        now: bool,
        /// Stop the handlers of the job too [default: the tasks of "finally" run]
        #[arg(long)]
        handlers: bool,
        /// Wait until all tasks have ended
        #[arg(long)]
        wait: bool,
        #[command(flatten)]
        remark: RemarkArgs,
    },
    /// Pause a job or a pool: no further task starts, and running tasks go on
    #[command(after_help = help_texts::PAUSE)]
    Pause {
        #[command(flatten)]
        of: PausableArgs,
        #[command(flatten)]
        remark: RemarkArgs,
    },
    /// Resume a paused job or pool
    #[command(after_help = help_texts::PAUSE)]
    Resume {
        #[command(flatten)]
        of: PausableArgs,
        #[command(flatten)]
        remark: RemarkArgs,
    },
    /// Change the priority of a job that has not ended
    #[command(after_help = help_texts::PRIORITY)]
    Priority {
        /// Id of the job, its first or last digits, or "last"
        #[arg(value_name = "JOB")]
        id: JobRef,
        /// The priority, from -1000 to 1000. Tasks with higher priorities run first
        #[arg(value_name = "NUMBER", value_parser = job::read_priority, allow_negative_numbers = true)]
        priority: i32,
        #[command(flatten)]
        remark: RemarkArgs,
    },
    /// Remove a job that has ended
    #[command(after_help = help_texts::IDS)]
    Remove {
        /// Id of the job, its first or last digits, or "last"
        #[arg(value_name = "JOB")]
        id: JobRef,
    },
    /// Post the result of an asynchronous task
    #[command(after_help = help_texts::RESULT)]
    Result {
        /// The task: JOB.TASK, such as last.load, its id, or the last digits of its id
        #[arg(value_name = "TASK")]
        id: TaskRef,
        /// Result of the task, as JSON; "-" reads it from standard input [default: null]
        #[arg(long, value_name = "JSON", conflicts_with = "failed")]
        data: Option<String>,
        /// Mark the task as failed, with this error message
        #[arg(long, value_name = "MESSAGE")]
        failed: Option<String>,
    },
    /// Send a signal to a job, for a task that waits for it or will wait for it
    #[command(after_help = help_texts::SIGNAL)]
    Signal {
        /// Id of the job, its first or last digits, or "last"
        #[arg(value_name = "JOB")]
        id: JobRef,
        /// Name of the signal, as in the job
        #[arg(value_name = "NAME")]
        name: String,
        /// Data of the signal, as JSON, up to 64 KiB; "-" reads it from standard input [default: null]
        #[arg(long, value_name = "JSON")]
        data: Option<String>,
        /// Key of the signal: a further signal with the same name and key has no effect
        #[arg(long)]
        key: Option<String>,
        /// Send it to all tasks that wait for it now. It is not kept
        #[arg(long)]
        broadcast: bool,
        /// Who sends it, for the record of the task [default: the user of this process]
        #[arg(long, value_name = "NAME")]
        by: Option<String>,
    },
    /// Answer the question of a task that waits for an approval
    #[command(after_help = help_texts::APPROVE)]
    Approve {
        /// The answer, one of the choices of the task
        #[arg(long, default_value = "approve")]
        choice: String,
        #[command(flatten)]
        answer: AnswerArgs,
    },
    /// Answer the question of a task that waits for an approval with "reject"
    #[command(after_help = help_texts::APPROVE)]
    Reject {
        #[command(flatten)]
        answer: AnswerArgs,
    },
    /// Run a job that has ended again, as a new job; with JOB.TASK, start the next attempt of a task that waits for it
    #[command(after_help = help_texts::RETRY)]
    Retry(RetryArgs),
    /// End a task that waits, without running it
    #[command(after_help = help_texts::REPAIR)]
    Skip {
        #[command(flatten)]
        repair: RepairArgs,
        /// Result of the task, as JSON: it ends as SUCCESS [default: it ends as SKIPPED]
        #[arg(long, value_name = "JSON")]
        data: Option<String>,
    },
    /// Fail a task that is held, or that waits for its next attempt
    #[command(after_help = help_texts::REPAIR)]
    Fail {
        #[command(flatten)]
        repair: RepairArgs,
    },
    /// List the items of a task with for_each
    #[command(after_help = help_texts::ITEMS)]
    Items {
        /// The task, as JOB.TASK
        #[arg(value_name = "JOB.TASK")]
        id: TaskRef,
        /// Maximum number of items
        #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=10_000))]
        limit: u32,
        /// Skip this number of items
        #[arg(long, value_name = "N", default_value_t = 0)]
        after: u32,
    },
    /// Keep jobs in Hub under a name, in versions, and start them
    #[command(after_help = help_texts::DEFINITIONS)]
    Definitions {
        #[command(subcommand)]
        command: DefinitionCommand,
    },
    /// Have Hub start jobs by itself, at times that follow from a calendar
    #[command(after_help = help_texts::SCHEDULES)]
    Schedules {
        #[command(subcommand)]
        command: ScheduleCommand,
    },
    /// List the connected workers
    Workers,
    /// Show the state of the dispatcher
    Health,
    /// Check a job file without submitting it; with -o json, problems are printed to standard output
    #[command(after_help = help_texts::VALIDATE)]
    Validate {
        /// Job file, or "-" for standard input
        #[arg(value_name = "FILE", default_value = "-")]
        file: PathBuf,
    },
    /// Print the JSON Schema of the job format, for completion and validation in editors
    #[command(after_help = help_texts::SCHEMA)]
    Schema,
    /// Print a completion script for a shell
    #[command(after_help = help_texts::COMPLETIONS)]
    Completions {
        /// Shell to generate the script for
        shell: clap_complete::Shell,
        /// Program to complete
        #[arg(long, value_name = "PROGRAM", default_value = "hub-client")]
        program: Program,
    },
    /// Write the manual pages of all programs to a directory; without one, print the page of hub-client
    #[command(after_help = help_texts::MAN)]
    Man {
        /// Output directory; it is created if it does not exist
        #[arg(value_name = "DIR")]
        directory: Option<PathBuf>,
    },
}

impl Args {
    /// Whether the arguments contain a command or a flag equivalent to one.
    pub(super) const fn has_command(&self) -> bool {
        let ManualArgs { create, status, update, delete } = &self.manual;
        self.command.is_some() || create.is_some() || status.is_some() || update.is_some() || delete.is_some()
    }
}

#[derive(Clone, Debug, clap::Args)]
pub(super) struct RunArgs {
    /// Job file, or "-" for standard input
    #[arg(value_name = "JOB")]
    pub(super) file: PathBuf,
    /// Job files, or directories with such files, that the job refers to as definitions; can be repeated
    #[arg(long, value_name = "PATH")]
    pub(super) definitions: Vec<PathBuf>,
    #[command(flatten)]
    pub(super) work: crate::worker::WorkArgs,
    /// Cancel the job after this time and exit with 6 [default: no limit]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(super) wait_limit: Option<f64>,
}

/// Arguments of a retry.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct RetryArgs {
    /// The job: its id, its first or last digits, or "last". Or a task that waits for its next attempt: JOB.TASK, or its id
    #[arg(value_name = "JOB")]
    pub(super) of: JobOrTaskRef,
    /// What runs again: "failure" (tasks that have not succeeded), "start" (all tasks), or names of tasks, separated by commas
    /// (these, and tasks that have not succeeded). Tasks that depend on them run again, too [default: failure]
    #[arg(long, value_parser = retry_from)]
    pub(super) from: Option<RetryFrom>,
    /// Data of a task, which then does not run; can be repeated. Example: --override load='{"rows": 0}'
    #[arg(long = "override", value_name = "TASK=JSON", value_parser = task_data)]
    pub(super) overrides: Vec<(String, Json)>,
    /// Cancel the job first if it has not ended
    #[arg(long)]
    pub(super) cancel: bool,
    /// Id of the new job. The same retry under the same id again has no effect
    #[arg(long, value_name = "UUID")]
    pub(super) id: Option<JobId>,
    /// Wait for the end of the new job and print its status record
    #[arg(long)]
    pub(super) wait: bool,
    /// With --wait: stop waiting after this time, exit with 6, and leave the job running [default: no limit]
    #[arg(long, value_name = "SECONDS", value_parser = seconds, requires = "wait")]
    pub(super) wait_limit: Option<f64>,
    #[command(flatten)]
    pub(super) view: ViewArgs,
    #[command(flatten)]
    pub(super) remark: RemarkArgs,
}

/// Arguments of the commands that repair a task.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct RepairArgs {
    /// The task: JOB.TASK, such as last.load, its id, or the last digits of its id
    #[arg(value_name = "TASK")]
    pub(super) id: TaskRef,
    #[command(flatten)]
    pub(super) remark: RemarkArgs,
}

/// A job or a pool.
#[derive(Clone, Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub(super) struct PausableArgs {
    /// Id of the job, its first or last digits, or "last"
    #[arg(value_name = "JOB")]
    pub(super) id: Option<JobRef>,
    /// A pool instead of a job
    #[arg(long, value_name = "NAME")]
    pub(super) pool: Option<String>,
}

/// Arguments of the commands that answer the question of a task.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct AnswerArgs {
    /// The task: JOB.TASK, such as last.load, its id, or the last digits of its id
    #[arg(value_name = "TASK")]
    pub(super) id: TaskRef,
    /// A value for the tasks that follow, as JSON, up to 64 KiB; "-" reads it from standard input [default: null]
    #[arg(long, value_name = "JSON")]
    pub(super) input: Option<String>,
    /// Who answers, for the record of the task [default: the user of this process]
    #[arg(long, value_name = "NAME")]
    pub(super) by: Option<String>,
}
