//! What the client reads of a job's record.
//!
//! Values of the user's stay text: a task may return what is nested deeper than a tree of JSON can be read.

use hub_core::{JobStatus, Json};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::exit::{Exit, Failure};

/// A job's record. Words that this client does not know are no error: the dispatcher may be newer.
#[derive(Deserialize)]
pub(super) struct Record<'r> {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) status: String,
    #[serde(default)]
    pub(super) msg: Option<String>,
    #[serde(borrow)]
    pub(super) tasks: Vec<TaskRecord<'r>>,
    #[serde(borrow, default)]
    pub(super) output: Option<&'r RawValue>,
}

/// A task in it.
#[derive(Deserialize)]
pub(super) struct TaskRecord<'r> {
    pub(super) name: String,
    pub(super) status: String,
    #[serde(borrow, default)]
    pub(super) args: Option<&'r RawValue>,
    #[serde(borrow, default)]
    data: Option<&'r RawValue>,
    #[serde(default)]
    msg: Option<String>,
    #[serde(default)]
    waiting_reason: Option<String>,
    #[serde(default)]
    error: Option<TaskErrorRecord>,
}

#[derive(Deserialize)]
struct TaskErrorRecord {
    #[serde(default)]
    traceback: Option<String>,
}

impl<'r> Record<'r> {
    /// Reads a record.
    ///
    /// # Errors
    /// Where it is none.
    pub(super) fn read(text: &'r Json) -> Result<Self, Failure> {
        serde_json::from_str(text.get())
            .map_err(|error| Failure::new(Exit::Refused, "the dispatcher's record of the job is none").because(error))
    }

    /// How the job stands, where it is known what that means.
    pub(super) fn job_status(&self) -> Option<JobStatus> {
        self.status.parse().ok()
    }
}

impl TaskRecord<'_> {
    /// What came of it, or why nothing did yet.
    pub(super) fn result(&self) -> String {
        let told = || self.msg.clone().or_else(|| self.waiting_reason.clone());
        self.data.map(shown).or_else(told).unwrap_or_default()
    }

    pub(super) fn traceback(&self) -> Option<&str> {
        self.error.as_ref()?.traceback.as_deref()
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
