//! The command line of `hub-bench`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::figure::Figure;
use super::inside::{self, Part};
use super::jobs::Shape;
use super::report::Report;
use super::run::Bench;
use super::workloads::{ALL, Workload};
use super::{machine, plot, rounds, table};
use crate::Client;

/// Benchmark Hub and compare it with its broker alone. Progress is printed to standard error, results to standard output
#[derive(Debug, Parser)]
#[command(name = "hub-bench", args_conflicts_with_subcommands = true)]
struct Args {
    /// Workloads to run [default: all that need no further software]
    #[arg(value_name = "WORKLOAD", value_parser = workload_names())]
    workloads: Vec<String>,
    /// Number of runs; the results are medians [default: 3, or 1 with --quick]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    runs: Option<u32>,
    /// AMQP client library of dispatcher, worker and client
    #[arg(long, value_name = "NAME", default_value = "lapin")]
    client: ClientName,
    /// Write all results to this file, as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Use tiny sizes, to check that the benchmark works; the figures are meaningless
    #[arg(long)]
    quick: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Draw plots of a result
    Plot {
        /// File that `--json` has written
        json: PathBuf,
        /// Output directory of the plots
        #[arg(long, value_name = "DIR", default_value = "docs")]
        into: PathBuf,
    },
    /// Run one measurement in this process
    #[command(hide = true)]
    Inside { part: Part, shape: Shape, tasks: usize },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ClientName {
    Lapin,
    Amqprs,
}

/// Runs the program.
#[must_use]
pub fn main() -> ExitCode {
    let args = Args::parse();
    let outcome = match args.command {
        Some(Command::Inside { part, shape, tasks }) => {
            inside::print(part, shape, tasks);
            Ok(())
        }
        Some(Command::Plot { json, into }) => plot::draw(&json, &into),
        None => measure(&args),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("hub-bench: {message}");
            ExitCode::FAILURE
        }
    }
}

fn measure(args: &Args) -> Result<(), String> {
    let chosen: Vec<&Workload> = ALL
        .into_iter()
        .filter(|workload| match args.workloads.as_slice() {
            [] => !workload.on_request,
            named => named.iter().any(|name| name == workload.name),
        })
        .collect();
    // Detect an unwritable file before the measurement.
    if let Some(path) = &args.json {
        write(path, "")?;
    }
    let disturbance = machine::disturbance();
    if let Some(what) = &disturbance {
        eprintln!("hub-bench: {what}");
    }
    let client = match args.client {
        ClientName::Lapin => Client::Lapin,
        ClientName::Amqprs => Client::Amqprs,
    };
    let bench = Bench::start(client, args.quick, chosen.iter().any(|workload| workload.needs_broker));
    let runs = args.runs.unwrap_or(if args.quick { 1 } else { 3 });
    let rounds: Vec<_> = (1..=runs)
        .map(|run| {
            eprintln!("run {run} of {runs}");
            rounds::run(&bench, &chosen)
        })
        .collect();
    let figures: Vec<Figure> = chosen.iter().flat_map(|workload| (workload.figures)()).collect();
    let report = Report::new(figures, &rounds);
    print!("{}", table::tables(&report));
    if args.quick {
        eprintln!("hub-bench: the benchmark works; the figures of --quick are meaningless");
    }
    if let Some(path) = &args.json {
        let settings: Value = json!({"runs": runs, "quick": args.quick, "disturbance": disturbance});
        let json = report.to_json(&machine::facts(&bench), &settings);
        write(path, &format!("{json:#}\n"))?;
    }
    Ok(())
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    std::fs::write(path, text).map_err(|error| format!("cannot write {}: {error}", path.display()))
}

fn workload_names() -> clap::builder::PossibleValuesParser {
    ALL.map(|workload| clap::builder::PossibleValue::new(workload.name).help(workload.about)).into()
}
