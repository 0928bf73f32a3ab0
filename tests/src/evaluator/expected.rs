//! What is expected of a job.

use serde_json::Value;

/// How a job must end.
#[derive(Clone, Debug, PartialEq)]
pub struct Expected {
    /// Its status.
    pub status: Status,
    /// Its output; `null` where it fails or has none.
    pub output: Value,
    /// How each task ends, in the order of the text.
    pub tasks: Vec<TaskEnd>,
}

/// How a task must end.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskEnd {
    /// Its status.
    pub status: Status,
    /// What it returned, where it succeeds.
    pub data: Option<Value>,
    /// The kind of its error, where it fails and the kind is known.
    pub error: Option<&'static str>,
    /// What it is called with, `args` and `kwargs`, where it is called.
    pub arguments: Option<(Value, Value)>,
}

/// How a job or a task ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It succeeded.
    Success,
    /// It failed.
    Failed,
    /// It did not run, because a task that it depends on did not succeed. Only tasks end so.
    UpstreamFailed,
    /// It did not run, because its condition or its trigger rule said so. Only tasks end so.
    Skipped,
}

impl Status {
    /// As a record has it.
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
        Self { status: Status::Success, data: Some(data), error: None, arguments: None }
    }

    pub(super) const fn failed(error: Option<&'static str>) -> Self {
        Self { status: Status::Failed, data: None, error, arguments: None }
    }

    /// It does not run, for this reason.
    pub(super) const fn unrun(status: Status) -> Self {
        Self { status, data: None, error: None, arguments: None }
    }

    pub(super) fn called_with(self, args: Value, kwargs: Value) -> Self {
        Self { arguments: Some((args, kwargs)), ..self }
    }
}
