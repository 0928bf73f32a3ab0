//! What goes to standard output, for programs and for people; and progress, for people only.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use comfy_table::{Table, presets};
use hub_core::Json;
use hub_core::state::JobSummary;
use hub_engine::operations::{HealthReport, JobPage, View, WorkerInfo};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;

use super::arguments::Format;
use super::record::{Record, shown, written};
use crate::exit::Failure;

/// A log or traceback is shown with so many lines at most.
const SHOWN_LINES: usize = 20;

/// Where answers go.
pub(super) struct Output {
    format: Format,
    quiet: bool,
}

impl Output {
    pub(super) fn new(format: Option<Format>, quiet: bool) -> Self {
        let fitting = if io::stdout().is_terminal() { Format::Table } else { Format::Json };
        Self { format: format.unwrap_or(fitting), quiet }
    }

    /// The same, but JSON where nothing else was asked for: the manual's flags print JSON.
    pub(super) fn manual(&self, asked: Option<Format>) -> Self {
        Self { format: asked.unwrap_or(Format::Json), quiet: self.quiet }
    }

    /// A line for people, beside what was asked for.
    pub(super) fn say(&self, line: &str) {
        if !self.quiet {
            eprintln!("{line}");
        }
    }

    /// Prints a line. A reader that has gone is no error.
    pub(super) fn print(&self, line: &str) {
        let _ = writeln!(io::stdout(), "{line}");
    }

    /// Prints a job's record, whole.
    pub(super) fn record(&self, text: &Json) -> Result<(), Failure> {
        self.view(text, &View::whole())
    }

    /// Prints a job's record, of which so much is shown. Chosen keys make no table.
    pub(super) fn view(&self, text: &Json, view: &View) -> Result<(), Failure> {
        if self.format == Format::Json || view.fields.is_some() {
            self.print(text.get());
        } else {
            self.print(&record_table(&Record::read(text)?));
        }
        Ok(())
    }

    pub(super) fn page(&self, page: &JobPage) {
        match self.format {
            Format::Json => self.print(&serde_json::to_string(page).unwrap_or_default()),
            Format::Table => {
                let mut table = table(&["id", "name", "status", "tasks", "submitted"]);
                for job in &page.jobs {
                    table.add_row([
                        job.id.to_string(),
                        job.name.to_string(),
                        job.status.to_string(),
                        format!("{}/{}", job.tasks_ended, job.tasks),
                        job.submitted_at.to_string(),
                    ]);
                }
                self.print(&table.to_string());
                if let Some(next) = &page.next {
                    self.say(&format!("There are more: raise --limit, or go on with --after {next}."));
                }
            }
        }
    }

    pub(super) fn workers(&self, workers: &[WorkerInfo]) {
        match self.format {
            Format::Json => self.print(&serde_json::to_string(workers).unwrap_or_default()),
            Format::Table => {
                let mut table = table(&["worker", "host", "pid", "pools", "running", "tasks", "broken"]);
                for worker in workers {
                    table.add_row([
                        worker.id.clone(),
                        worker.host.clone(),
                        worker.pid.to_string(),
                        worker.pools.join(", "),
                        format!("{}/{}", worker.running, worker.slots),
                        worker.tasks.join(", "),
                        worker.broken.keys().cloned().collect::<Vec<_>>().join(", "),
                    ]);
                }
                self.print(&table.to_string());
            }
        }
    }

    pub(super) fn health(&self, health: &HealthReport) {
        let text = serde_json::to_value(health).unwrap_or_default();
        match (self.format, text) {
            (Format::Table, Value::Object(map)) => {
                for (key, value) in map {
                    self.print(&format!("{key:16} {}", plain(&value)));
                }
            }
            (_, text) => self.print(&text.to_string()),
        }
    }

    /// An answer that is an id.
    pub(super) fn id(&self, id: impl std::fmt::Display) {
        self.print(&id.to_string());
    }

    /// A bar for the progress of a job, on a terminal.
    pub(super) fn progress(&self) -> Progress {
        if self.quiet || !io::stderr().is_terminal() {
            return Progress(ProgressBar::hidden());
        }
        let bar = ProgressBar::new(0);
        let style = ProgressStyle::with_template("{spinner} {msg} {wide_bar} {pos}/{len} tasks {elapsed}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.enable_steady_tick(Duration::from_millis(120));
        Progress(bar)
    }
}

/// The progress of a job.
pub(super) struct Progress(ProgressBar);

impl Progress {
    pub(super) fn is_shown(&self) -> bool {
        !self.0.is_hidden()
    }

    pub(super) fn show(&self, job: &JobSummary) {
        self.0.set_length(u64::from(job.tasks));
        self.0.set_position(u64::from(job.tasks_ended));
        self.0.set_message(job.name.to_string());
    }

    pub(super) fn clear(&self) {
        self.0.finish_and_clear();
    }
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header);
    table
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn record_table(record: &Record<'_>) -> String {
    let mut text = format!("{} {}  {}\n\n", record.name, record.id, record.status);
    let mut tasks = table(&["task", "status", "args", "result"]);
    for task in &record.tasks {
        let (args, result) = (shortened(&task.args.map(shown).unwrap_or_default()), shortened(&task.result()));
        tasks.add_row([&task.name, &task.status, &args, &result]);
    }
    text.push_str(&tasks.to_string());
    for task in &record.tasks {
        if let Some(trace) = task.traceback() {
            let lines: Vec<&str> = trace.lines().collect();
            let end = lines[lines.len().saturating_sub(SHOWN_LINES)..].join("\n  ");
            text.push_str(&format!("\n\n{}:\n  {end}", task.name));
        }
    }
    if let Some(msg) = &record.msg {
        text.push_str(&format!("\n\n{msg}"));
    }
    if let Some(output) = record.output {
        text.push_str(&format!("\n\noutput: {}", written(output)));
    }
    text
}

fn shortened(text: &str) -> String {
    const LONGEST: usize = 60;
    if text.chars().count() <= LONGEST {
        return text.to_owned();
    }
    text.chars().take(LONGEST - 1).chain(['…']).collect()
}
