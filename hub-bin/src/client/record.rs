//! The parts of a job's record that the client shows.
//!
//! Users' values stay unparsed, since a task may return JSON that is nested too deep for the parser.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use hub_core::{JobStatus, Json, TaskStatus, Timestamp};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;

use super::durations::between;
use crate::exit::{Exit, Failure};

/// The record of a job. Unknown keys and status values are accepted, since the dispatcher may be newer.
#[derive(Deserialize)]
pub(super) struct Record<'r> {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) status: String,
    #[serde(default)]
    pub(super) msg: Option<String>,
    #[serde(default)]
    pub(super) submitted_at: Option<String>,
    #[serde(default)]
    started_at: Option<String>,
    #[serde(default)]
    ended_at: Option<String>,
    #[serde(default)]
    pub(super) deadline_at: Option<String>,
    #[serde(default)]
    pub(super) cancel: Option<Remark>,
    #[serde(default)]
    pub(super) priority_change: Option<PriorityChange>,
    /// The job that it is a retry of.
    #[serde(default)]
    pub(super) origin: Option<Origin>,
    /// The task that runs it, if it is a sub-job.
    #[serde(default)]
    pub(super) parent: Option<Parent>,
    /// Why it is paused, by cause.
    #[serde(default)]
    pub(super) pauses: BTreeMap<String, Remark>,
    #[serde(borrow)]
    pub(super) tasks: Vec<TaskRecord<'r>>,
    #[serde(borrow, default)]
    pub(super) output: Option<&'r RawValue>,
}

/// A page of the items of a task.
#[derive(Deserialize)]
pub(super) struct Items<'r> {
    #[serde(borrow)]
    pub(super) tasks: Vec<TaskRecord<'r>>,
    #[serde(default)]
    pub(super) next: Option<u32>,
}

/// How the items of a task do.
#[derive(Deserialize)]
struct ItemCounts {
    total: u32,
    success: u32,
    failed: u32,
    #[serde(default)]
    skipped: u32,
    #[serde(default)]
    cancelled: u32,
}

/// The job that a job is a retry of.
#[derive(Deserialize)]
pub(super) struct Origin {
    job: String,
    #[serde(rename = "try")]
    number: u32,
    #[serde(default)]
    by: Option<String>,
    #[serde(default)]
    reason: Option<String>,
}

/// The job that runs a job.
#[derive(Deserialize)]
pub(super) struct Parent {
    pub(super) job: String,
    #[serde(default)]
    pub(super) detached: bool,
}

/// When something was asked for, by whom and why.
#[derive(Deserialize)]
pub(super) struct Remark {
    at: String,
    #[serde(default)]
    by: Option<String>,
    #[serde(default)]
    reason: Option<String>,
}

/// The newest change of the priority of a job.
#[derive(Deserialize)]
pub(super) struct PriorityChange {
    priority: i64,
    #[serde(flatten)]
    remark: Remark,
}

/// The record of a task.
#[derive(Deserialize)]
pub(super) struct TaskRecord<'r> {
    #[serde(default)]
    pub(super) id: String,
    pub(super) name: String,
    pub(super) status: String,
    #[serde(borrow, default)]
    args: Option<&'r RawValue>,
    #[serde(borrow, default)]
    command: Option<&'r RawValue>,
    #[serde(borrow, default)]
    shell: Option<&'r RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    data: Option<&'r RawValue>,
    #[serde(default)]
    pub(super) msg: Option<String>,
    #[serde(default)]
    pub(super) log: Option<String>,
    #[serde(default)]
    pub(super) worker: Option<String>,
    #[serde(default)]
    waiting_reason: Option<String>,
    #[serde(default)]
    items: Option<ItemCounts>,
    #[serde(default)]
    child: Option<String>,
    #[serde(default)]
    kept_from: Option<String>,
    #[serde(default)]
    cached_from: Option<CachedFrom>,
    #[serde(default)]
    overridden: bool,
    #[serde(default)]
    pub(super) recovered: bool,
    #[serde(default)]
    pub(super) error: Option<TaskErrorRecord>,
    #[serde(default)]
    started_at: Option<String>,
    #[serde(default)]
    ended_at: Option<String>,
}

/// The task whose kept result another one has taken.
#[derive(Deserialize)]
struct CachedFrom {}

/// Why a task failed.
#[derive(Deserialize)]
pub(super) struct TaskErrorRecord {
    #[serde(default)]
    pub(super) kind: Option<String>,
    #[serde(default, rename = "type")]
    pub(super) type_name: Option<String>,
    #[serde(default)]
    pub(super) traceback: Option<String>,
}

/// Distinguishes `null`, which is a value, from a missing key.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.at)?;
        self.by.iter().try_for_each(|by| write!(f, " by {by}"))?;
        self.reason.iter().try_for_each(|reason| write!(f, ": {reason}"))
    }
}

impl fmt::Display for PriorityChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} since {}", self.priority, self.remark)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, try {}", self.job, self.number)?;
        self.by.iter().try_for_each(|by| write!(f, ", by {by}"))?;
        self.reason.iter().try_for_each(|reason| write!(f, ": {reason}"))
    }
}

impl<'r> Record<'r> {
    /// Reads a record.
    ///
    /// # Errors
    /// If the text is not a record.
    pub(super) fn read(text: &'r Json) -> Result<Self, Failure> {
        serde_json::from_str(text.get()).map_err(|error| {
            let message = "cannot read the dispatcher's record of the job; -o json prints it unchanged";
            Failure::new(Exit::Refused, message).because(error)
        })
    }

    /// The status of the job. `None` if this client does not know it.
    pub(super) fn job_status(&self) -> Option<JobStatus> {
        self.status.parse().ok()
    }

    /// The running time, up to `now` if it has not ended.
    pub(super) fn duration(&self, now: Timestamp) -> Option<Duration> {
        duration(self.started_at.as_deref(), self.ended_at.as_deref(), now)
    }
}

/// The time from `begun` to `ended`, or to `now`. `None` if it has not begun.
fn duration(begun: Option<&str>, ended: Option<&str>, now: Timestamp) -> Option<Duration> {
    let time = |text: Option<&str>| text.and_then(|text| text.parse::<Timestamp>().ok());
    let begun = time(begun)?;
    Some(between(begun, time(ended).unwrap_or(now)))
}

impl TaskRecord<'_> {
    /// Whether it is an asynchronous task that waits for its result: it runs, and the value that its launch returned is present.
    pub(super) fn is_launched(&self) -> bool {
        self.status == TaskStatus::Running.as_str() && self.data.is_some()
    }

    /// Whether it runs and waits for something from outside.
    pub(super) fn waits_for_outside(&self) -> bool {
        self.status == TaskStatus::Running.as_str() && self.waiting_reason.is_some()
    }

    /// Whether it did not run in this job, which is a retry: it ran in an earlier one, or its data was given.
    pub(super) const fn did_not_run_again(&self) -> bool {
        self.kept_from.is_some() || self.overridden
    }

    /// The worker that ran it, or what is shown in its place of a task that took a kept result.
    pub(super) fn ran_on(&self) -> &str {
        if self.cached_from.is_some() { "(cached)" } else { self.worker.as_deref().unwrap_or_default() }
    }

    /// The running time, up to `now` if it has not ended.
    pub(super) fn duration(&self, now: Timestamp) -> Option<Duration> {
        duration(self.started_at.as_deref(), self.ended_at.as_deref(), now)
    }

    /// Its arguments, or what it runs that has no module: a command, or a job.
    pub(super) fn arguments(&self) -> String {
        if let Some(child) = &self.child {
            return format!("sub-job {child}");
        }
        self.command.or(self.shell).or(self.args).map(shown).unwrap_or_default()
    }

    /// The result, the error message, or the reason why the task waits.
    pub(super) fn result(&self) -> String {
        let items = || self.items.as_ref().map(ItemCounts::shown);
        let message = || self.msg.clone().or_else(|| self.waiting_reason.clone()).or_else(items);
        match self.data {
            Some(data) if !self.is_launched() => shown(data),
            data => message().or_else(|| data.map(shown)).unwrap_or_default(),
        }
    }
}

impl ItemCounts {
    fn shown(&self) -> String {
        let Self { total, success, failed, skipped, cancelled } = self;
        let others = skipped + cancelled;
        let mut text = format!("{} of {total} items", success + failed + others);
        if *failed > 0 {
            text.push_str(&format!(", {failed} failed"));
        }
        text
    }
}

impl<'r> Items<'r> {
    /// Reads a page of items.
    ///
    /// # Errors
    /// If the text is not such a page.
    pub(super) fn read(text: &'r Json) -> Result<Self, Failure> {
        serde_json::from_str(text.get()).map_err(|error| {
            let message = "cannot read the dispatcher's list of items; -o json prints it unchanged";
            Failure::new(Exit::Refused, message).because(error)
        })
    }
}

/// A value on one line.
pub(super) fn written(value: &RawValue) -> String {
    match serde_json::from_str::<Value>(value.get()) {
        Ok(value) => value.to_string(),
        // The value is nested too deep for the parser. In JSON, line breaks occur only between tokens.
        Err(_) => value.get().split(['\n', '\r']).collect(),
    }
}

/// A value on one line, a string without its quotation marks.
pub(super) fn shown(value: &RawValue) -> String {
    serde_json::from_str(value.get()).unwrap_or_else(|_| written(value))
}
