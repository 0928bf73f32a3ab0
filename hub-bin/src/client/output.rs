//! Where answers go: standard output has what was asked for, standard error everything else.
//!
//! Everything for people passes through [`Shown`] (here, in `views` and in [`tell`]), since names and messages come from outside.
//! JSON is written as it is.

use std::io::{self, IsTerminal};

use hub_core::state::JobSummary;
use hub_core::text::Shown;
use hub_core::{JobId, JobStatus, Json};
use hub_engine::operations::{HealthReport, JobPage, Submitted, View, WorkerInfo};
use serde::Serialize;
use serde_json::{Value, json};

use super::format::{Format, When};
use super::progress::Progress;
use super::record::Record;
use super::style::Style;
use super::views;
use crate::exit::{Exit, Failure, tell};
use crate::stdio;

/// Where answers go.
pub(super) struct Output {
    format: Format,
    /// Whether the format was asked for, not chosen.
    is_asked: bool,
    quiet: bool,
    style: Style,
}

impl Output {
    pub(super) fn new(format: Option<Format>, colors: When, quiet: bool) -> Self {
        let fitting = if io::stdout().is_terminal() { Format::Table } else { Format::Json };
        let style = Style::of_stdout(colors);
        Self { format: format.unwrap_or(fitting), is_asked: format.is_some(), quiet, style }
    }

    /// The same, but JSON where nothing else was asked for: the manual's flags print JSON.
    pub(super) fn manual(&self) -> Self {
        let format = if self.is_asked { self.format } else { Format::Json };
        Self { format, ..*self }
    }

    /// A line for people, beside what was asked for.
    pub(super) fn say(&self, line: &str) {
        if !self.quiet {
            tell(line);
        }
    }

    /// What will keep a job waiting.
    pub(super) fn warn(&self, warnings: &[String]) {
        for warning in warnings {
            self.say(&format!("warning: {warning}; the tasks that need it wait until a worker has it"));
        }
    }

    /// Writes to standard output, and sees to it that it arrives there.
    ///
    /// # Errors
    /// Where it does not.
    pub(super) fn print(&self, text: &str) -> Result<(), Failure> {
        stdio::write_line(text).map_err(Failure::output)
    }

    fn print_json(&self, value: &impl Serialize) -> Result<(), Failure> {
        let text = serde_json::to_string(value)
            .map_err(|error| Failure::new(Exit::Refused, "the answer cannot be written as JSON").because(error))?;
        self.print(&text)
    }

    /// Prints a job's record, whole; returns the exit code that its status makes.
    pub(super) fn record(&self, text: &Json) -> Result<Exit, Failure> {
        self.view(text, &View::whole())?;
        Ok(exit_of(Record::read(text)?.job_status()))
    }

    /// Prints what `view` shows of a job's record. Chosen keys make no table.
    pub(super) fn view(&self, text: &Json, view: &View) -> Result<(), Failure> {
        if self.format == Format::Json || view.fields.is_some() {
            self.print(text.get())
        } else {
            self.print(&views::record(&Record::read(text)?, self.style))
        }
    }

    pub(super) fn page(&self, page: &JobPage) -> Result<(), Failure> {
        match self.format {
            Format::Json => self.print_json(page),
            Format::Table => {
                self.print(&views::jobs(&page.jobs, self.style))?;
                if let Some(next) = &page.next {
                    self.say(&format!("There are more jobs: raise --limit, or go on with --after {next}"));
                }
                Ok(())
            }
        }
    }

    /// All jobs, as a list.
    pub(super) fn all_jobs(&self, jobs: &[JobSummary]) -> Result<(), Failure> {
        match self.format {
            Format::Json => self.print_json(&jobs),
            Format::Table => self.print(&views::jobs(jobs, self.style)),
        }
    }

    pub(super) fn workers(&self, workers: &[WorkerInfo]) -> Result<(), Failure> {
        match self.format {
            Format::Json => self.print_json(&workers),
            Format::Table => {
                if workers.is_empty() {
                    self.say("No worker is connected: hub-worker --tasks-dir DIR starts one.");
                    return Ok(());
                }
                self.print(&views::workers(workers, self.style))
            }
        }
    }

    pub(super) fn health(&self, health: &HealthReport) -> Result<(), Failure> {
        match (self.format, serde_json::to_value(health)) {
            (Format::Table, Ok(Value::Object(map))) => {
                let lines = map.iter().map(|(key, value)| {
                    let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                    format!("{:16} {}", Shown(key), Shown(value))
                });
                self.print(&lines.collect::<Vec<_>>().join("\n"))
            }
            _ => self.print_json(health),
        }
    }

    /// The answer to a submission: `line` for people, and the id alone, unless JSON was asked for. Where it cannot be written,
    /// the failure has it.
    pub(super) fn submitted(&self, submitted: &Submitted, line: &str) -> Result<(), Failure> {
        self.warn(&submitted.warnings);
        self.say(line);
        let printed = if self.is_asked && self.format == Format::Json {
            self.print_json(submitted)
        } else {
            self.print(&submitted.id.to_string())
        };
        printed.map_err(|failure| failure.advise(format!("the job was submitted: its id is {}", submitted.id)))
    }

    /// What came of a check: `line` for people, unless it is empty, and the answer where JSON was asked for.
    pub(super) fn checked(&self, answer: &Value, line: &str) -> Result<(), Failure> {
        if !line.is_empty() {
            self.say(line);
        }
        if self.is_asked && self.format == Format::Json {
            return self.print_json(answer);
        }
        Ok(())
    }

    /// The answer where something was done to the job or task of this id.
    pub(super) fn done(&self, id: impl std::fmt::Display, line: &str) -> Result<(), Failure> {
        self.checked(&json!({ "id": id.to_string() }), line)
    }

    /// The progress of a job, on a terminal.
    pub(super) fn progress(&self) -> Progress {
        Progress::new(!self.quiet && io::stderr().is_terminal())
    }

    /// Says which job it is about: after this, nothing that goes wrong loses it.
    pub(super) fn say_id(&self, id: JobId) {
        self.say(&format!("submitted job {id}"));
    }
}

/// The exit code that a job's status makes.
pub(super) fn exit_of(status: Option<JobStatus>) -> Exit {
    match status {
        Some(JobStatus::Failed | JobStatus::Cancelled) => Exit::JobFailed,
        _ => Exit::Success,
    }
}
