//! The arguments as typed.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgGroup, Parser, Subcommand, ValueEnum};
use hub_core::{JobId, JobStatus, NoTime, TaskId, Timestamp};
use hub_engine::clock::now;
use hub_engine::operations::View;

use crate::reach::ReachArgs;

/// The end of the help text.
const EXIT_CODES: &str = "Exit codes: 0 success; 1 the job failed or was cancelled; 2 bad usage or an invalid job; \
3 no such job or task; 4 broker or dispatcher unreachable, or no answer in time; 5 refused in its present state; \
130 interrupted.";

/// Submits jobs to Hub, follows them and stops them; runs them without a broker, too.
#[derive(Clone, Debug, Parser)]
#[command(name = "hub-client", version, after_help = EXIT_CODES, arg_required_else_help = true,
    group = ArgGroup::new("manual").args(["create", "status", "update", "delete"]), args_conflicts_with_subcommands = false)]
pub(super) struct Args {
    #[command(subcommand)]
    pub(super) command: Option<Command>,
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
    pub(super) delete: Option<JobId>,
    /// The Hub: a broker (HOST:PORT, amqp://… or amqps://…) or a dispatcher's HTTP API (http://host:port)
    #[command(flatten)]
    pub(super) reach: ReachArgs,
    /// The token of the HTTP API
    #[arg(long, env = "HUB_HTTP_TOKEN", hide_env_values = true, hide = true, global = true)]
    pub(super) http_token: Option<String>,
    /// The file with the token of the HTTP API
    #[arg(long, env = "HUB_HTTP_TOKEN_FILE", value_name = "FILE", global = true)]
    pub(super) http_token_file: Option<PathBuf>,
    /// Wait at most so many seconds for each answer
    #[arg(long, value_name = "SECONDS", default_value_t = 10.0, value_parser = seconds, global = true)]
    pub(super) timeout: f64,
    /// How to print what was asked for [default: a table on a terminal, else JSON]
    #[arg(short, long, value_name = "FORMAT", global = true)]
    pub(super) output: Option<Format>,
    /// Print only what was asked for
    #[arg(short, long, global = true)]
    pub(super) quiet: bool,
    /// Say more about what is being done
    #[arg(short, long, global = true)]
    pub(super) verbose: bool,
    /// The same
    #[arg(long, hide = true, global = true)]
    pub(super) trace: bool,
}

/// How to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For programs
    Json,
    /// For people
    Table,
}

#[derive(Clone, Debug, Subcommand)]
pub(super) enum Command {
    /// Run a job here, in one process, without a broker
    Run(RunArgs),
    /// Submit a job; prints its id
    Submit {
        /// The job; "-" for standard input
        #[arg(value_name = "FILE", default_value = "-")]
        file: PathBuf,
        /// Wait until the job has ended and print its record
        #[arg(long)]
        wait: bool,
        /// With --wait: at most so many seconds [default: no limit]
        #[arg(long, value_name = "SECONDS", value_parser = seconds, requires = "wait")]
        wait_limit: Option<f64>,
        /// The id the job shall have: submitting it again under this id changes nothing
        #[arg(long, value_name = "UUID")]
        id: Option<JobId>,
        #[command(flatten)]
        view: ViewArgs,
    },
    /// Show a job's status record
    Status {
        /// The job's id
        id: JobId,
        #[command(flatten)]
        view: ViewArgs,
    },
    /// List jobs, newest first
    List {
        /// Only jobs of this status; may be given several times
        #[arg(long, value_name = "STATUS")]
        status: Vec<JobStatus>,
        /// Only jobs of exactly this name
        #[arg(long)]
        name: Option<String>,
        /// Only jobs submitted at this time (2026-11-23T22:15:03Z, 2026-11-23) or later, or so long ago (30m, 2h, 3d)
        #[arg(long, value_name = "TIME", value_parser = moment)]
        since: Option<Timestamp>,
        /// Only jobs submitted before this time
        #[arg(long, value_name = "TIME", value_parser = moment)]
        until: Option<Timestamp>,
        /// At most this many
        #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
        limit: u32,
        /// Go on where an earlier list ended: its "next"
        #[arg(long, value_name = "NEXT")]
        after: Option<String>,
    },
    /// Follow a job until it has ended
    Watch {
        /// The job's id
        id: JobId,
        #[command(flatten)]
        view: ViewArgs,
    },
    /// Stop a job
    Cancel {
        /// The job's id
        id: JobId,
    },
    /// Forget a job that has ended
    Remove {
        /// The job's id
        id: JobId,
    },
    /// Post the result of an asynchronous task
    Result {
        /// The task's id
        id: TaskId,
        /// What the task yields, as JSON
        #[arg(long, value_name = "JSON", conflicts_with = "failed")]
        data: Option<String>,
        /// The task failed, with this message
        #[arg(long, value_name = "MESSAGE")]
        failed: Option<String>,
    },
    /// List the live workers
    Workers,
    /// Show how the dispatcher is
    Health,
    /// Check a job file without submitting it
    Validate {
        /// The job; "-" for standard input
        #[arg(value_name = "FILE", default_value = "-")]
        file: PathBuf,
    },
}

/// What is shown of a record.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct ViewArgs {
    /// Show the record without arguments, results, output, errors and logs, which may be large
    #[arg(long)]
    no_data: bool,
    /// Show only these keys of the job and its tasks, as JSON: id,status,tasks
    #[arg(long, value_name = "KEYS")]
    fields: Option<String>,
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
    /// The job; "-" for standard input
    #[arg(value_name = "JOB")]
    pub(super) file: PathBuf,
    #[command(flatten)]
    pub(super) work: crate::worker::WorkArgs,
    /// Cancel the job after so many seconds [default: no limit]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(super) wait_limit: Option<f64>,
}

/// A number of seconds that a wait can have.
fn seconds(text: &str) -> Result<f64, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number of seconds".to_owned())?;
    if seconds.is_finite() && seconds > 0.0 && seconds <= 1e9 {
        return Ok(seconds);
    }
    Err("must be more than 0 seconds".to_owned())
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
        Ok(count) if unit > 0 => Ok(now().before(Duration::from_secs(u64::from(count) * unit))),
        _ => text.parse().map_err(|error: NoTime| format!("{error}, or 30s, 15m, 2h, 3d for so long ago")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_a_time_or_so_long_ago() {
        assert_eq!(moment("2026-11-23T22:01:43.120Z"), Ok(Timestamp::from_millis(1_795_471_303_120)));
        for (text, seconds) in [("90s", 90), ("2m", 120), ("1h", 3600), ("3d", 3 * 86_400)] {
            let (least, moment) = (now().before(Duration::from_secs(seconds)), moment(text).unwrap());
            assert!(moment >= least && moment <= now().before(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "h", "-1h", "2w", "yesterday", "1.5h", "\u{e9}", "99999999999d"] {
            assert!(moment(text).unwrap_err().contains("2h"), "{text}");
        }
    }
}
