//! What the client reads of a job's record.
//!
//! Values of the user's stay text: a task may return what is nested deeper than a tree of JSON can be read.

use std::time::Duration;

use hub_core::{JobStatus, Json, TaskStatus, Timestamp};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;

use super::durations::between;
use crate::exit::{Exit, Failure};

/// A job's record. Words that this client does not know are no error: the dispatcher may be newer.
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
    #[serde(borrow)]
    pub(super) tasks: Vec<TaskRecord<'r>>,
    #[serde(borrow, default)]
    pub(super) output: Option<&'r RawValue>,
}

/// A task in it.
#[derive(Deserialize)]
pub(super) struct TaskRecord<'r> {
    #[serde(default)]
    pub(super) id: String,
    pub(super) name: String,
    pub(super) status: String,
    #[serde(borrow, default)]
    pub(super) args: Option<&'r RawValue>,
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
    pub(super) error: Option<TaskErrorRecord>,
    #[serde(default)]
    started_at: Option<String>,
    #[serde(default)]
    ended_at: Option<String>,
}

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

/// A value that is `null` is there, too.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

impl<'r> Record<'r> {
    /// Reads a record.
    ///
    /// # Errors
    /// Where it is none.
    pub(super) fn read(text: &'r Json) -> Result<Self, Failure> {
        serde_json::from_str(text.get()).map_err(|error| {
            let message = "the dispatcher's record of the job cannot be read: -o json prints it as it is";
            Failure::new(Exit::Refused, message).because(error)
        })
    }

    /// How the job stands, where it is known what that means.
    pub(super) fn job_status(&self) -> Option<JobStatus> {
        self.status.parse().ok()
    }

    /// How long it ran, or has run until `now`.
    pub(super) fn duration(&self, now: Timestamp) -> Option<Duration> {
        duration(self.started_at.as_deref(), self.ended_at.as_deref(), now)
    }
}

/// How long something ran, or has run until `now`. `None` where it has not begun.
fn duration(begun: Option<&str>, ended: Option<&str>, now: Timestamp) -> Option<Duration> {
    let time = |text: Option<&str>| text.and_then(|text| text.parse::<Timestamp>().ok());
    let begun = time(begun)?;
    Some(between(begun, time(ended).unwrap_or(now)))
}

impl TaskRecord<'_> {
    /// Whether it was launched and waits for its result from outside: it runs, and what its launch returned is there.
    pub(super) fn is_launched(&self) -> bool {
        self.status == TaskStatus::Running.as_str() && self.data.is_some()
    }

    /// How long it ran, or has run until `now`.
    pub(super) fn duration(&self, now: Timestamp) -> Option<Duration> {
        duration(self.started_at.as_deref(), self.ended_at.as_deref(), now)
    }

    /// What came of it, or why nothing did yet.
    pub(super) fn result(&self) -> String {
        let told = || self.msg.clone().or_else(|| self.waiting_reason.clone());
        match self.data {
            Some(data) if !self.is_launched() => shown(data),
            data => told().or_else(|| data.map(shown)).unwrap_or_default(),
        }
    }
}

/// A value on one line.
pub(super) fn written(value: &RawValue) -> String {
    match serde_json::from_str::<Value>(value.get()) {
        Ok(value) => value.to_string(),
        // Nested too deep for a tree. Line breaks stand between its parts only.
        Err(_) => value.get().split(['\n', '\r']).collect(),
    }
}

/// A value on one line, a string without its quotation marks.
pub(super) fn shown(value: &RawValue) -> String {
    serde_json::from_str(value.get()).unwrap_or_else(|_| written(value))
}
