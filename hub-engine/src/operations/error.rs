//! Why a request was refused.

use hub_core::job::Problem;
use hub_core::text::cut;
use serde::{Deserialize, Serialize};

/// Maximum length of the message of a refusal, in bytes: it may quote the request. The beginning and the end are kept.
const MAXIMUM_MESSAGE: usize = 8 * 1024;

/// Why a request was not carried out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct RequestError {
    /// For programs.
    pub kind: RequestErrorKind,
    /// For people: what happened, and what to do next.
    pub message: String,
    /// Every problem of a refused job.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<Problem>,
}

/// Kinds of refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RequestErrorKind {
    /// The job breaks the format; see `problems`.
    InvalidJob,
    /// The request itself is wrong.
    InvalidRequest,
    /// No such job or task.
    NotFound,
    /// It is in a state that does not allow this, or its id is taken.
    Conflict,
    /// Larger than a limit.
    TooLarge,
    /// A token is needed, or the given one is wrong.
    Unauthorized,
    /// There is no answer at the address.
    Unreachable,
    /// No answer came in time. The request may have been carried out all the same.
    TimedOut,
    /// The dispatcher stops, or cannot take more at present. Try again.
    Unavailable,
    /// Hub's own fault.
    Internal,
}

impl From<hub_core::record::UnknownField> for RequestError {
    fn from(error: hub_core::record::UnknownField) -> Self {
        Self::new(RequestErrorKind::InvalidRequest, error.to_string())
    }
}

impl RequestError {
    /// A refusal without problems to list.
    #[must_use]
    pub fn new(kind: RequestErrorKind, message: impl Into<String>) -> Self {
        let message: String = message.into();
        let is_long = message.len() > MAXIMUM_MESSAGE;
        let message = if is_long { cut(message.into(), MAXIMUM_MESSAGE).as_ref().to_owned() } else { message };
        Self { kind, message, problems: Vec::new() }
    }
}
