//! The expected result of a job.

use serde_json::{Value, json};

/// The expected result of a job.
#[derive(Clone, Debug, PartialEq)]
pub struct Expected {
    /// Its status.
    pub status: Status,
    /// Its output; `null` if it fails or has none.
    pub output: Value,
    /// The expected results of its tasks, in the order of the text.
    pub tasks: Vec<TaskEnd>,
}

/// The expected result of a task.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskEnd {
    /// Its status.
    pub status: Status,
    /// Its result, if it succeeds; its fallback, if it is recovered.
    pub data: Option<Value>,
    /// The kind of its error, if it fails and the kind is known.
    pub error: Option<&'static str>,
    /// Whether it fails, and its fallback stands for its result.
    pub recovered: bool,
    /// Its arguments, `args` and `kwargs`, if it is called.
    pub arguments: Option<Box<(Value, Value)>>,
    /// The expected results of its items, if it runs for several.
    pub items: Vec<TaskEnd>,
}

/// The final status of a job or a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It succeeded.
    Success,
    /// It failed.
    Failed,
    /// It did not run, because a task that it depends on did not succeed. Only for tasks.
    UpstreamFailed,
    /// It did not run, because its condition or its trigger rule said so. Only tasks end so.
    Skipped,
}

impl Status {
    /// The status as text.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "SUCCESS",
            Self::Failed => "FAILED",
            Self::UpstreamFailed => "UPSTREAM_FAILED",
            Self::Skipped => "SKIPPED",
        }
    }
}

impl TaskEnd {
    pub(super) const fn success(data: Value) -> Self {
        Self {
            status: Status::Success,
            data: Some(data),
            error: None,
            recovered: false,
            arguments: None,
            items: Vec::new(),
        }
    }

    pub(super) const fn failed(error: Option<&'static str>) -> Self {
        Self { status: Status::Failed, data: None, error, recovered: false, arguments: None, items: Vec::new() }
    }

    /// It does not run, for this reason.
    pub(super) const fn unrun(status: Status) -> Self {
        Self { status, data: None, error: None, recovered: false, arguments: None, items: Vec::new() }
    }

    /// It fails, and this stands for its result.
    pub(super) fn recovered_with(self, fallback: Value) -> Self {
        Self { data: Some(fallback), recovered: true, ..self }
    }

    /// The status that counts for the tasks that depend on it, and for its job.
    pub(super) const fn counts_as(&self) -> Status {
        if self.recovered { Status::Success } else { self.status }
    }

    /// Its error, as references see it.
    pub(super) fn failure(&self) -> Value {
        self.error.map_or(Value::Null, |kind| json!({ "kind": kind }))
    }

    pub(super) fn called_with(self, args: Value, kwargs: Value) -> Self {
        Self { arguments: Some(Box::new((args, kwargs))), ..self }
    }
}
