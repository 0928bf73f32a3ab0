//! The arguments of `hub-client schedules`.

use std::path::PathBuf;

use clap::Subcommand;
use hub_core::{JobId, Timestamp};

use super::argument_values::time_or_age;
use super::help_texts;
use super::remark_args::RemarkArgs;

/// What to do with schedules.
#[derive(Clone, Debug, Subcommand)]
pub(super) enum ScheduleCommand {
    /// Create or change schedules from files, where they have changed
    #[command(after_help = help_texts::SCHEDULES_APPLY)]
    Apply {
        /// Schedule files in JSON or YAML, or directories with such files
        #[arg(value_name = "PATH", required = true)]
        paths: Vec<PathBuf>,
        /// Change nothing, and print what would be changed
        #[arg(long)]
        dry_run: bool,
        /// Who changes the schedules [default: the user of this process]
        #[arg(long, value_name = "NAME")]
        by: Option<String>,
    },
    /// List the schedules
    List,
    /// Show a schedule: its next times, its jobs, and the times that were skipped
    Show {
        /// Name of the schedule
        name: String,
    },
    /// Pause a schedule; its jobs go on
    Pause {
        /// Name of the schedule
        name: String,
        #[command(flatten)]
        remark: RemarkArgs,
    },
    /// Resume a schedule; times in between are not caught up
    Resume {
        /// Name of the schedule
        name: String,
        #[command(flatten)]
        remark: RemarkArgs,
    },
    /// Start a job of a schedule now, regardless of its times, its overlap and its pause
    Trigger {
        /// Name of the schedule
        name: String,
        /// Id of the job. The same request under the same id again has no effect
        #[arg(long, value_name = "UUID")]
        id: Option<JobId>,
    },
    /// Remove a schedule; its jobs go on
    Remove {
        /// Name of the schedule
        name: String,
    },
    /// Print the next times of a schedule file, without a Hub
    #[command(after_help = help_texts::SCHEDULES_NEXT)]
    Next {
        /// Schedule file in JSON or YAML, or "-" for standard input
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// The times after this one [default: now]
        #[arg(long, value_name = "TIME", value_parser = time_or_age)]
        from: Option<Timestamp>,
        /// Maximum number of times
        #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=10_000))]
        limit: u32,
    },
}
