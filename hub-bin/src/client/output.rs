//! Prints results to standard output, and all other messages to standard error.
//!
//! All output for people is escaped by [`Shown`] (here, in `views` and in [`tell`]), since names and messages come from outside.
//! JSON is not changed.

use std::io::{self, IsTerminal};

use hub_core::state::JobSummary;
use hub_core::text::Shown;
use hub_core::{JobId, JobStatus, Json};
use hub_engine::operations::{
    DefinitionRecord, DefinitionSummary, HealthReport, JobPage, ScheduleRecord, ScheduleSummary, Submitted,
    UpcomingRun, View, WorkerInfo,
};
use serde::Serialize;
use serde_json::{Value, json};

use super::explanation::Explanation;
use super::format::{Format, When};
use super::progress::Progress;
use super::record::{Items, Record};
use super::style::Style;
use super::{schedule_views, views};
use crate::exit::{Exit, Failure, tell};
use crate::stdio;

/// The output of the program.
pub(super) struct Output {
    format: Format,
    /// Whether the user chose the format.
    is_explicit: bool,
    quiet: bool,
    style: Style,
    /// The style of messages on standard error.
    message_style: Style,
}

impl Output {
    pub(super) fn new(format: Option<Format>, colors: When, quiet: bool) -> Self {
        let default = if io::stdout().is_terminal() { Format::Table } else { Format::Json };
        let (style, message_style) = (Style::of_stdout(colors), Style::of_stderr(colors));
        Self { format: format.unwrap_or(default), is_explicit: format.is_some(), quiet, style, message_style }
    }

    /// The output of the manual's flags, whose default format is always JSON.
    pub(super) fn manual(&self) -> Self {
        let format = if self.is_explicit { self.format } else { Format::Json };
        Self { format, ..*self }
    }

    /// Prints a message for people, unless `--quiet` is given.
    pub(super) fn say(&self, line: &str) {
        if !self.quiet {
            tell(line);
        }
    }

    /// Prints the warnings about a job.
    pub(super) fn warn(&self, warnings: &[String]) {
        for warning in warnings {
            self.say(&format!("warning: {warning}"));
        }
    }

    /// Writes to standard output and flushes it.
    ///
    /// # Errors
    /// If the write fails.
    pub(super) fn print(&self, text: &str) -> Result<(), Failure> {
        stdio::write_line(text).map_err(Failure::output)
    }

    /// Writes a text to standard output as it is, without a line break after it.
    pub(super) fn exactly(&self, text: &str) -> Result<(), Failure> {
        stdio::write(text).map_err(Failure::output)
    }

    fn print_json(&self, value: &impl Serialize) -> Result<(), Failure> {
        let text = serde_json::to_string(value)
            .map_err(|error| Failure::new(Exit::Refused, "cannot write the answer as JSON").because(error))?;
        self.print(&text)
    }

    /// Prints the complete record of a job and returns the exit code for its status.
    pub(super) fn record(&self, text: &Json) -> Result<Exit, Failure> {
        self.view(text, &View::whole())?;
        Ok(exit_of(Record::read(text)?.job_status()))
    }

    /// Prints the part of a job's record that `view` selects. A selection of keys is printed as JSON, never as a table.
    pub(super) fn view(&self, text: &Json, view: &View) -> Result<(), Failure> {
        self.view_as(text, view, false)
    }

    /// Like [`Output::view`]. In the table of a job with many tasks, those that succeeded are counted.
    pub(super) fn folded_view(&self, text: &Json, view: &View) -> Result<(), Failure> {
        self.view_as(text, view, true)
    }

    fn view_as(&self, text: &Json, view: &View, is_folded: bool) -> Result<(), Failure> {
        if self.format == Format::Json || view.fields.is_some() {
            self.print(text.get())
        } else {
            self.print(&views::record(&Record::read(text)?, is_folded, self.style))
        }
    }

    /// Prints the explanation of a job.
    pub(super) fn explanation(&self, text: &Json) -> Result<(), Failure> {
        if self.format == Format::Json {
            return self.print(text.get());
        }
        self.print(&Explanation::read(text)?.shown(self.style))
    }

    /// Prints a page of the items of a task.
    pub(super) fn items(&self, page: &Json) -> Result<(), Failure> {
        if self.format == Format::Json {
            return self.print(page.get());
        }
        let items = Items::read(page)?;
        self.print(&views::items(&items.tasks, self.style))?;
        if let Some(next) = items.next {
            self.say(&format!("there are more items: continue with --after {next}"));
        }
        Ok(())
    }

    pub(super) fn page(&self, page: &JobPage) -> Result<(), Failure> {
        match self.format {
            Format::Json => self.print_json(page),
            Format::Table => {
                self.print(&views::jobs(&page.jobs, self.style))?;
                if let Some(next) = &page.next {
                    self.say(&format!("there are more jobs: increase --limit, or continue with --after {next}"));
                }
                Ok(())
            }
        }
    }

    /// Prints all jobs as a list.
    pub(super) fn all_jobs(&self, jobs: &[JobSummary]) -> Result<(), Failure> {
        match self.format {
            Format::Json => self.print_json(&jobs),
            Format::Table => self.print(&views::jobs(jobs, self.style)),
        }
    }

    /// Prints a list of definitions.
    pub(super) fn definitions(&self, definitions: &[DefinitionSummary]) -> Result<(), Failure> {
        match self.format {
            Format::Json => self.print_json(&definitions),
            Format::Table if definitions.is_empty() => {
                self.say("there are no definitions; to make one: hub-client definitions apply FILE");
                Ok(())
            }
            Format::Table => self.print(&views::definitions(definitions, self.style)),
        }
    }

    /// Prints a version of a definition.
    pub(super) fn definition(&self, record: &DefinitionRecord) -> Result<(), Failure> {
        match self.format {
            Format::Json => self.print_json(record),
            Format::Table => self.print(&views::definition(record, self.style)),
        }
    }

    /// Prints a list of schedules.
    pub(super) fn schedules(&self, schedules: &[ScheduleSummary]) -> Result<(), Failure> {
        match self.format {
            Format::Json => self.print_json(&schedules),
            Format::Table if schedules.is_empty() => {
                self.say("there are no schedules; to make one: hub-client schedules apply FILE");
                Ok(())
            }
            Format::Table => self.print(&schedule_views::schedules(schedules, self.style)),
        }
    }

    /// Prints a schedule.
    pub(super) fn schedule(&self, record: &ScheduleRecord) -> Result<(), Failure> {
        match self.format {
            Format::Json => self.print_json(record),
            Format::Table => self.print(&schedule_views::schedule(record, self.style)),
        }
    }

    /// Prints future times of a schedule.
    pub(super) fn upcoming(&self, times: &[UpcomingRun]) -> Result<(), Failure> {
        match self.format {
            Format::Json => self.print_json(&times),
            Format::Table if times.is_empty() => {
                self.say("the schedule has no further times");
                Ok(())
            }
            Format::Table => self.print(&schedule_views::upcoming(times, self.style)),
        }
    }

    pub(super) fn workers(&self, workers: &[WorkerInfo]) -> Result<(), Failure> {
        match self.format {
            Format::Json => self.print_json(&workers),
            Format::Table => {
                if workers.is_empty() {
                    self.say("no worker is connected; to start one: hub-worker --tasks-dir DIR");
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

    /// Prints the answer to a submission: `line` as a message, and the id, or an object if JSON was requested. If it cannot be
    /// written, the failure contains the id.
    pub(super) fn submitted(&self, submitted: &Submitted, line: &str) -> Result<(), Failure> {
        self.warn(&submitted.warnings);
        self.say(line);
        let printed = if self.is_explicit && self.format == Format::Json {
            self.print_json(submitted)
        } else {
            self.print(&submitted.id.to_string())
        };
        printed.map_err(|failure| failure.advise(format!("the job was submitted: its id is {}", submitted.id)))
    }

    /// Prints the result of a check: `line` as a message, unless it is empty, and `answer` if JSON was requested.
    pub(super) fn checked(&self, answer: &Value, line: &str) -> Result<(), Failure> {
        if !line.is_empty() {
            self.say(line);
        }
        if self.is_explicit && self.format == Format::Json {
            return self.print_json(answer);
        }
        Ok(())
    }

    /// Prints the result of a cancel.
    pub(super) fn cancelled(&self, id: JobId, status: JobStatus) -> Result<(), Failure> {
        let line = match status {
            JobStatus::Cancelling => {
                format!(
                    "cancelling job {id}: it ends when its tasks have stopped and its handlers of \"finally\" have ended"
                )
            }
            JobStatus::Cancelled => format!("cancelled job {id}"),
            status => format!("job {id} has ended: {status}"),
        };
        self.checked(&json!({ "id": id.to_string(), "status": status }), &line)
    }

    /// Prints the result of an operation on the job or task with this id.
    pub(super) fn done(&self, id: impl std::fmt::Display, line: &str) -> Result<(), Failure> {
        self.checked(&json!({ "id": id.to_string() }), line)
    }

    /// The progress bar of a job. It is hidden if standard error is not a terminal.
    pub(super) fn progress(&self) -> Progress {
        Progress::new(!self.quiet && io::stderr().is_terminal())
    }

    /// Whether messages are printed.
    pub(super) const fn has_messages(&self) -> bool {
        !self.quiet
    }

    /// The style of messages on standard error.
    pub(super) const fn message_style(&self) -> Style {
        self.message_style
    }

    /// Whether a view that is drawn again and again can be shown. The log of `--verbose` would be written over it.
    pub(super) fn has_live_view(&self) -> bool {
        !self.quiet && Style::can_redraw() && !tracing::enabled!(tracing::Level::DEBUG)
    }

    /// Whether records are printed with descriptions of failed tasks.
    pub(super) fn describes_failures(&self, view: &View) -> bool {
        self.format == Format::Table && view.is_whole()
    }

    /// Prints the id of a submitted job as a message, so that it is known even if a later step fails.
    pub(super) fn say_id(&self, id: JobId) {
        self.say(&format!("submitted job {id}"));
    }
}

/// The exit code for the status of a job.
pub(super) fn exit_of(status: Option<JobStatus>) -> Exit {
    match status {
        Some(JobStatus::Failed | JobStatus::Cancelled) => Exit::JobFailed,
        _ => Exit::Success,
    }
}
