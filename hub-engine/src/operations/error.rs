//! Why a request was refused.

use hub_core::job::Problem;
use hub_core::text::cut;
use serde::{Deserialize, Serialize};

/// Maximum length of the message in bytes, because it may quote the request. The beginning and the end are kept.
const MAXIMUM_MESSAGE: usize = 8 * 1024;

/// Why a request was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct RequestError {
    /// The kind of refusal, for programs.
    pub kind: RequestErrorKind,
    /// The message for users: what happened, and what to do next.
    pub message: String,
    /// All problems of a refused job.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<Problem>,
}

/// Kinds of refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RequestErrorKind {
    /// The job is invalid: see `problems`.
    InvalidJob,
    /// The request is invalid.
    InvalidRequest,
    /// No such job or task.
    NotFound,
    /// The state of the job or task does not allow the request, or the id is taken.
    Conflict,
    /// The job is being cancelled for this request and has not ended yet. Repeat the same request.
    NotEnded,
    /// A limit is exceeded.
    TooLarge,
    /// There are too many of something that is kept until it is used.
    TooMany,
    /// The token is missing or wrong.
    Unauthorized,
    /// No Hub answers at the address.
    Unreachable,
    /// No answer arrived in time. The request may have been executed nevertheless.
    TimedOut,
    /// The dispatcher is stopping or has reached a limit. Try again.
    Unavailable,
    /// An internal error of Hub.
    Internal,
}

impl From<hub_core::record::UnknownField> for RequestError {
    fn from(error: hub_core::record::UnknownField) -> Self {
        Self::new(RequestErrorKind::InvalidRequest, error.to_string())
    }
}

impl RequestError {
    /// Creates a refusal without problems.
    #[must_use]
    pub fn new(kind: RequestErrorKind, message: impl Into<String>) -> Self {
        let message: String = message.into();
        let is_long = message.len() > MAXIMUM_MESSAGE;
        let message = if is_long { cut(message.into(), MAXIMUM_MESSAGE).as_ref().to_owned() } else { message };
        Self { kind, message, problems: Vec::new() }
    }
}
