//! The arguments of `hub-client definitions`.

use std::path::PathBuf;

use clap::Subcommand;
use hub_core::JobId;
use hub_core::definition::Reference;

use super::argument_values::{input, label, seconds};
use super::help_texts;
use super::view_args::ViewArgs;

/// What to do with definitions.
#[derive(Clone, Debug, Subcommand)]
pub(super) enum DefinitionCommand {
    /// Make versions of definitions from job files, where they have changed
    #[command(after_help = help_texts::APPLY)]
    Apply {
        /// Job files in JSON or YAML, or directories with such files
        #[arg(value_name = "PATH", required = true)]
        paths: Vec<PathBuf>,
        /// Name of the definition, for a single file [default: the name of the job]
        #[arg(long)]
        name: Option<String>,
        /// An alias that stands for these versions from now on; can be repeated
        #[arg(long, value_name = "NAME")]
        alias: Vec<String>,
        /// Change nothing, and print what would be changed
        #[arg(long)]
        dry_run: bool,
        /// Who makes the versions [default: the user of this process]
        #[arg(long, value_name = "NAME")]
        by: Option<String>,
    },
    /// List the definitions
    List,
    /// Show a version of a definition
    #[command(after_help = help_texts::REFERENCES)]
    Show {
        /// The definition: NAME, NAME@VERSION or NAME@ALIAS
        #[arg(value_name = "DEFINITION")]
        reference: Reference,
    },
    /// Print the job of a version, as it was applied
    #[command(after_help = help_texts::REFERENCES)]
    Document {
        /// The definition: NAME, NAME@VERSION or NAME@ALIAS
        #[arg(value_name = "DEFINITION")]
        reference: Reference,
    },
    /// Show what differs between two versions
    #[command(after_help = help_texts::DIFF)]
    Diff {
        /// The older version: NAME, NAME@VERSION or NAME@ALIAS
        #[arg(value_name = "A")]
        from: Reference,
        /// The newer version [default: the newest version of the same definition]
        #[arg(value_name = "B")]
        to: Option<Reference>,
    },
    /// Start a job from a definition
    #[command(after_help = help_texts::START)]
    Start(StartArgs),
    /// Let an alias stand for a version
    #[command(after_help = help_texts::ALIAS)]
    Alias {
        /// Name of the definition
        #[arg(value_name = "DEFINITION")]
        name: String,
        /// The alias
        #[arg(value_name = "ALIAS")]
        alias: String,
        /// Number of the version
        #[arg(value_name = "VERSION", required_unless_present = "remove")]
        version: Option<u32>,
        /// Remove the alias
        #[arg(long, conflicts_with = "version")]
        remove: bool,
    },
}

/// Arguments of a start.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct StartArgs {
    /// The definition: NAME, NAME@VERSION or NAME@ALIAS
    #[arg(value_name = "DEFINITION")]
    pub(super) reference: Reference,
    /// An input; can be repeated. VALUE is JSON, or else a text: --input day=2026-11-28 --input rows=100
    #[arg(long, value_name = "NAME=VALUE", value_parser = input)]
    pub(super) input: Vec<(String, serde_json::Value)>,
    /// A file with an object of inputs, in JSON or YAML; "-" for standard input
    #[arg(long, value_name = "FILE")]
    pub(super) inputs: Option<PathBuf>,
    /// A label of the job; can be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = label)]
    pub(super) label: Vec<(String, String)>,
    /// Key of the job: a further start with the same key and the same arguments returns the same job
    #[arg(long)]
    pub(super) key: Option<String>,
    /// When the job starts: a time, or a duration from now, such as 90m
    #[arg(long, value_name = "TIME")]
    pub(super) start_at: Option<String>,
    /// Priority of the job, from -1000 to 1000
    #[arg(long, value_name = "NUMBER", value_parser = hub_core::job::read_priority, allow_negative_numbers = true)]
    pub(super) priority: Option<i32>,
    /// Id of the job. The same start under the same id again has no effect
    #[arg(long, value_name = "UUID")]
    pub(super) id: Option<JobId>,
    /// Wait for the end of the job and print its status record
    #[arg(long)]
    pub(super) wait: bool,
    /// With --wait: stop waiting after this time, exit with 6, and leave the job running [default: no limit]
    #[arg(long, value_name = "SECONDS", value_parser = seconds, requires = "wait")]
    pub(super) wait_limit: Option<f64>,
    #[command(flatten)]
    pub(super) view: ViewArgs,
}
