//! The arguments as typed. What the help says beside them is in `help_texts`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgGroup, Parser, Subcommand};
use hub_core::{JobId, JobStatus, NotATime, Timestamp};
use hub_engine::clock::wall;
use hub_engine::operations::View;

use super::format::{Format, When};
use super::help_texts;
use super::identity::{JobRef, TaskRef};
use super::program::Program;
use crate::reach::ReachArgs;

/// Submits jobs to Hub, follows them and stops them. Runs jobs without a broker, too.
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

/// The flags of the manual, which do the same as sub-commands.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Flags instead of commands")]
pub(super) struct ManualArgs {
    /// Submit a job from a file, or from standard input
    #[arg(short = 'C', long, value_name = "FILE", num_args = 0..=1, default_missing_value = "-")]
    pub(super) create: Option<PathBuf>,
    /// Show a job's status record; without an id, list all jobs
    #[arg(short = 'S', long, value_name = "ID", num_args = 0..=1, default_missing_value = "")]
    pub(super) status: Option<String>,
    /// Post the result of a task, {"id": …, "status": "SUCCESS" | "FAILED", "data": …}, from a file or standard input
    #[arg(short = 'U', long, value_name = "FILE", num_args = 0..=1, default_missing_value = "-")]
    pub(super) update: Option<PathBuf>,
    /// Cancel a job that runs; remove one that has ended
    #[arg(short = 'D', long, value_name = "ID")]
    pub(super) delete: Option<JobRef>,
}

/// What only the way over HTTP needs, and how long answers may take on any way.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Connection")]
pub(super) struct HttpArgs {
    /// The token of the HTTP API
    #[arg(long, env = "HUB_HTTP_TOKEN", hide_env_values = true, hide = true, global = true)]
    pub(super) http_token: Option<String>,
    /// The file with the token of the HTTP API
    #[arg(long, env = "HUB_HTTP_TOKEN_FILE", value_name = "FILE", global = true)]
    pub(super) http_token_file: Option<PathBuf>,
    /// Maximum time to connect, and to wait for each answer
    #[arg(long, value_name = "SECONDS", default_value_t = 30.0, value_parser = seconds, global = true)]
    pub(super) timeout: f64,
}

/// How to answer.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Output")]
pub(super) struct OutputArgs {
    /// The form of the answer [default: a table on a terminal, else JSON]
    #[arg(short, long, value_name = "FORMAT", global = true)]
    pub(super) output: Option<Format>,
    /// Whether tables have colours [default: on a terminal, unless NO_COLOR is set]
    #[arg(long, value_name = "WHEN", default_value = "auto", hide_default_value = true, global = true)]
    pub(super) color: When,
    /// Print only the answer, and errors
    #[arg(short, long, global = true)]
    pub(super) quiet: bool,
    /// Report what is being done
    #[arg(short, long, global = true)]
    pub(super) verbose: bool,
    /// The same
    #[arg(long, hide = true, global = true)]
    pub(super) trace: bool,
}

#[derive(Clone, Debug, Subcommand)]
pub(super) enum Command {
    /// Run a job here, in one process, without a broker
    #[command(after_help = help_texts::RUN)]
    Run(RunArgs),
    /// Submit a job and print its id
    #[command(after_help = help_texts::SUBMIT)]
    Submit {
        /// The job's file; "-" for standard input
        #[arg(value_name = "FILE", default_value = "-")]
        file: PathBuf,
        /// Wait until the job has ended and print its record
        #[arg(long)]
        wait: bool,
        /// With --wait: stop waiting after this time, exit with 6, and leave the job running [default: no limit]
        #[arg(long, value_name = "SECONDS", value_parser = seconds, requires = "wait")]
        wait_limit: Option<f64>,
        /// Submit the job under this id. Submitting it again under the same id changes nothing
        #[arg(long, value_name = "UUID")]
        id: Option<JobId>,
        #[command(flatten)]
        view: ViewArgs,
    },
    /// Show a job's status record
    #[command(after_help = help_texts::IDS)]
    Status {
        /// The job's id, its first or last digits, or "last"
        #[arg(value_name = "JOB")]
        id: JobRef,
        #[command(flatten)]
        view: ViewArgs,
    },
    /// List jobs, newest first
    #[command(after_help = help_texts::LIST)]
    List {
        /// Only jobs of this status; may be given several times
        #[arg(long, value_name = "STATUS")]
        status: Vec<JobStatus>,
        /// Only jobs of exactly this name
        #[arg(long)]
        name: Option<String>,
        /// Only jobs submitted at this time (2026-11-23T22:15:03Z, 2026-11-23) or later, or this long ago (30m, 2h, 3d)
        #[arg(long, value_name = "TIME", value_parser = moment)]
        since: Option<Timestamp>,
        /// Only jobs submitted before this time
        #[arg(long, value_name = "TIME", value_parser = moment)]
        until: Option<Timestamp>,
        /// Maximum number of jobs
        #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
        limit: u32,
        /// Go on where an earlier list ended: its "next"
        #[arg(long, value_name = "NEXT")]
        after: Option<String>,
    },
    /// Follow a job until it has ended and print its record
    #[command(after_help = help_texts::IDS)]
    Watch {
        /// The job's id, its first or last digits, or "last"
        #[arg(value_name = "JOB")]
        id: JobRef,
        /// Stop waiting after this time, exit with 6, and leave the job running [default: no limit]
        #[arg(long, value_name = "SECONDS", value_parser = seconds)]
        wait_limit: Option<f64>,
        #[command(flatten)]
        view: ViewArgs,
    },
    /// Stop a job that has not ended
    #[command(after_help = help_texts::IDS)]
    Cancel {
        /// The job's id, its first or last digits, or "last"
        #[arg(value_name = "JOB")]
        id: JobRef,
    },
    /// Remove a job that has ended
    #[command(after_help = help_texts::IDS)]
    Remove {
        /// The job's id, its first or last digits, or "last"
        #[arg(value_name = "JOB")]
        id: JobRef,
    },
    /// Post the result of an asynchronous task
    #[command(after_help = help_texts::RESULT)]
    Result {
        /// The task's id, or its last digits
        #[arg(value_name = "TASK")]
        id: TaskRef,
        /// What the task returns, as JSON; "-" reads it from standard input [default: null]
        #[arg(long, value_name = "JSON", conflicts_with = "failed")]
        data: Option<String>,
        /// The task failed, with this message
        #[arg(long, value_name = "MESSAGE")]
        failed: Option<String>,
    },
    /// List the workers that are connected
    Workers,
    /// Show the state of the dispatcher
    Health,
    /// Check a job file without submitting it; with -o json the problems go to standard output
    #[command(after_help = help_texts::VALIDATE)]
    Validate {
        /// The job's file; "-" for standard input
        #[arg(value_name = "FILE", default_value = "-")]
        file: PathBuf,
    },
    /// Print the JSON Schema of the job format, with which editors complete and check job files
    #[command(after_help = help_texts::SCHEMA)]
    Schema,
    /// Print a completion script for a shell
    #[command(after_help = help_texts::COMPLETIONS)]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
        /// The program whose arguments are completed
        #[arg(long, value_name = "PROGRAM", default_value = "hub-client")]
        program: Program,
    },
    /// Write the manual pages of all programs into a directory; without one, print that of hub-client
    #[command(after_help = help_texts::MAN)]
    Man {
        /// The directory; it is made where it is missing
        #[arg(value_name = "DIR")]
        directory: Option<PathBuf>,
    },
}

/// What is shown of a record.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct ViewArgs {
    /// Show the record without arguments, results, output, errors and logs, which may be large
    #[arg(long)]
    no_data: bool,
    /// Show only these keys of the job and of its tasks, as JSON, with commas between them. Tasks are shown only if "tasks" is
    /// among them: --fields status,msg shows how the job ended, --fields name,status,tasks how each task did
    #[arg(long, value_name = "KEYS", value_parser = keys)]
    fields: Option<String>,
}

impl Args {
    /// Whether anything is to be done.
    pub(super) const fn has_command(&self) -> bool {
        let ManualArgs { create, status, update, delete } = &self.manual;
        self.command.is_some() || create.is_some() || status.is_some() || update.is_some() || delete.is_some()
    }
}

impl ViewArgs {
    pub(super) fn view(&self) -> View {
        let view = View { no_data: self.no_data, ..View::whole() };
        match &self.fields {
            Some(fields) => view.with_fields(fields),
            None => view,
        }
    }
}

#[derive(Clone, Debug, clap::Args)]
pub(super) struct RunArgs {
    /// The job's file; "-" for standard input
    #[arg(value_name = "JOB")]
    pub(super) file: PathBuf,
    #[command(flatten)]
    pub(super) work: crate::worker::WorkArgs,
    /// Cancel the job after this time and exit with 6 [default: no limit]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(super) wait_limit: Option<f64>,
}

/// A number of seconds that a wait can have.
fn seconds(text: &str) -> Result<f64, String> {
    let seconds: f64 = text.parse().map_err(|_| "this is not a number of seconds, such as 1.5".to_owned())?;
    if seconds.is_finite() && seconds > 0.0 && seconds <= 1e9 {
        return Ok(seconds);
    }
    Err("the number of seconds must be more than 0, and 1000000000 at most".to_owned())
}

/// A list of keys that records have. A dispatcher would refuse others when the job has ended, which is late.
fn keys(text: &str) -> Result<String, String> {
    let view = View::whole().with_fields(text);
    if view.fields.as_ref().is_none_or(Vec::is_empty) {
        return Err("no key is named: write some, such as status,msg".to_owned());
    }
    view.check().map(|()| text.to_owned()).map_err(|error| error.to_string())
}

/// A point in time, or how long ago it is.
fn moment(text: &str) -> Result<Timestamp, String> {
    let unit = match text.as_bytes().last() {
        Some(b's') => 1,
        Some(b'm') => 60,
        Some(b'h') => 60 * 60,
        Some(b'd') => 24 * 60 * 60,
        _ => 0,
    };
    match text.get(..text.len().saturating_sub(1)).unwrap_or_default().parse::<u32>() {
        Ok(count) if unit > 0 => Ok(wall().before(Duration::from_secs(u64::from(count) * unit))),
        _ => text.parse().map_err(|error: NotATime| format!("{error}, or 30s, 15m, 2h, 3d for a time ago")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_a_time_or_so_long_ago() {
        assert_eq!(moment("2026-11-23T22:01:43.120Z"), Ok(Timestamp::from_millis(1_795_471_303_120)));
        for (text, seconds) in [("90s", 90), ("2m", 120), ("1h", 3600), ("3d", 3 * 86_400)] {
            let (least, moment) = (wall().before(Duration::from_secs(seconds)), moment(text).unwrap());
            assert!(moment >= least && moment <= wall().before(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "h", "-1h", "2w", "yesterday", "1.5h", "\u{e9}", "99999999999d"] {
            assert!(moment(text).unwrap_err().contains("2h"), "{text}");
        }
    }
}
