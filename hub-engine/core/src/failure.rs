//! Why a task failed.

use std::sync::Arc;

use serde::de::IntoDeserializer;
use serde::de::value::StrDeserializer;
use serde::{Deserialize, Serialize};

use crate::job::Timeout;

/// Why a task failed, for programs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskError {
    /// The kind of error.
    pub kind: ErrorKind,
    /// The type of the exception that the task raised (`ZeroDivisionError`); `panic` for a panic in Rust.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub type_name: Option<Arc<str>>,
    /// The names of the classes that the exception's type is derived from, the nearest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bases: Vec<Arc<str>>,
    /// What the task itself says of another attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<RetryAdvice>,
    /// The traceback, or the end of the program's standard error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceback: Option<Arc<str>>,
    /// The time limit that was exceeded, if the kind is `TIMED_OUT`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub which: Option<Timeout>,
    /// The failure of the attempt before, if the kind is `TIMED_OUT` and an attempt had failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Box<Cause>>,
}

/// The failure of an earlier attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// The kind of its error.
    pub kind: ErrorKind,
    /// The type of the exception.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub type_name: Option<Arc<str>>,
    /// Its message.
    pub msg: Arc<str>,
}

/// What a task that failed says of another attempt. It decides for this failure, within the number of attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RetryAdvice {
    /// Another attempt is of no use.
    Never,
    /// Another attempt may succeed, after the interval of the retry policy.
    Again,
    /// Another attempt may succeed, after this number of milliseconds.
    AfterMs(u64),
    /// The retry policy decides. If there is another attempt, it begins after this number of milliseconds at the earliest.
    NotBeforeMs(u64),
}

impl TaskError {
    /// An error of this kind, of which nothing more is known.
    #[must_use]
    pub const fn new(kind: ErrorKind) -> Self {
        Self { kind, type_name: None, bases: Vec::new(), retry: None, traceback: None, which: None, cause: None }
    }

    /// Whether this is its kind, its type, or a class that its type is derived from.
    #[must_use]
    pub fn is_called(&self, name: &str) -> bool {
        self.kind.as_str() == name || self.type_name.iter().chain(&self.bases).any(|known| **known == *name)
    }
}

/// The kind of error when a task fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ErrorKind {
    /// The task's code raised an exception or ended with a non-zero exit code.
    TaskFailed,
    /// The arguments do not match the task's parameters.
    BadArguments,
    /// The return value cannot be serialised as JSON.
    BadResult,
    /// The result is larger than the limit.
    ResultTooLarge,
    /// The arguments are larger than the limit after their references are replaced.
    ArgumentsTooLarge,
    /// A value (the result, or the arguments after their references are replaced) is nested more than
    /// [`Json::MAX_DEPTH`](crate::Json::MAX_DEPTH) levels deep.
    ValueTooDeep,
    /// The process that ran the task died.
    ChildDied,
    /// The module could not be loaded.
    BrokenModule,
    /// The task exceeded its time limit.
    TimedOut,
    /// The condition compared values of types that it cannot compare, or was not a boolean.
    BadCondition,
    /// The path of a reference leads to no value.
    MissingValue,
    /// `crash_limit` workers were lost while they ran the task.
    WorkerLost,
    /// The broker rejected the task, for example because it is too large.
    Undeliverable,
    /// A failure was posted from outside.
    Posted,
    /// More items failed than are tolerated.
    ItemsFailed,
    /// There are more items than a task can have.
    TooManyItems,
    /// A server refused an HTTP request in a way that the same request would meet again.
    RequestRefused,
    /// A person has given an answer that fails the approval.
    Rejected,
    /// What the task waited for did not come in time.
    WaitTimeout,
    /// The sub-job of the task failed.
    JobFailed,
    /// The sub-job of the task was cancelled, and not because of the task.
    JobCancelled,
    /// The job has as many sub-jobs at the same time as it may have.
    TooManyJobs,
}

impl ErrorKind {
    /// The kind of this word, as it stands in records.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        let word: StrDeserializer<'_, serde::de::value::Error> = word.into_deserializer();
        Self::deserialize(word).ok()
    }

    /// The word as it stands in records.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TaskFailed => "TASK_FAILED",
            Self::BadArguments => "BAD_ARGUMENTS",
            Self::BadResult => "BAD_RESULT",
            Self::ResultTooLarge => "RESULT_TOO_LARGE",
            Self::ArgumentsTooLarge => "ARGUMENTS_TOO_LARGE",
            Self::ValueTooDeep => "VALUE_TOO_DEEP",
            Self::ChildDied => "CHILD_DIED",
            Self::BrokenModule => "BROKEN_MODULE",
            Self::TimedOut => "TIMED_OUT",
            Self::BadCondition => "BAD_CONDITION",
            Self::MissingValue => "MISSING_VALUE",
            Self::WorkerLost => "WORKER_LOST",
            Self::Undeliverable => "UNDELIVERABLE",
            Self::Posted => "POSTED",
            Self::ItemsFailed => "ITEMS_FAILED",
            Self::TooManyItems => "TOO_MANY_ITEMS",
            Self::RequestRefused => "REQUEST_REFUSED",
            Self::Rejected => "REJECTED",
            Self::WaitTimeout => "WAIT_TIMEOUT",
            Self::JobFailed => "JOB_FAILED",
            Self::JobCancelled => "JOB_CANCELLED",
            Self::TooManyJobs => "TOO_MANY_JOBS",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_called_by_its_kind_its_type_and_the_bases_of_that() {
        let error = TaskError {
            type_name: Some("ConnectionResetError".into()),
            bases: vec!["ConnectionError".into(), "OSError".into()],
            ..TaskError::new(ErrorKind::TaskFailed)
        };
        for name in ["TASK_FAILED", "ConnectionResetError", "ConnectionError", "OSError"] {
            assert!(error.is_called(name), "{name}");
        }
        assert!(!error.is_called("Error") && !error.is_called("TaskFailed") && !error.is_called(""));
        let written = serde_json::to_value(error.kind).unwrap();
        assert_eq!(written, error.kind.as_str());
        assert_eq!(ErrorKind::from_word(error.kind.as_str()), Some(error.kind));
        assert_eq!(ErrorKind::from_word("TaskFailed"), None);
    }
}
