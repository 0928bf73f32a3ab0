//! A status record on its way to a client: whole, or in parts that are written when they are taken.

use std::sync::Arc;

use hub_core::Json;
use hub_core::record::{RecordParts, View};
use hub_core::state::{JobSnapshot, TASK_WEIGHT};
use tokio::sync::OwnedSemaphorePermit;

use super::error::{RequestError, RequestErrorKind};

/// A record is written at once, where it is asked for, if it has at most so many tasks.
const SMALL_TASKS: usize = 100;
/// And if it can have at most so many bytes.
const SMALL_BYTES: usize = 1024 * 1024;
/// The size of a record that is too large is counted up to so many times the limit.
const COUNTED: usize = 16;

/// A status record.
#[derive(Debug)]
pub struct Record {
    source: Source,
    is_small: bool,
    /// What the record holds is counted among all open answers, until this is dropped.
    _hold: Option<OwnedSemaphorePermit>,
}

#[derive(Debug)]
enum Source {
    /// Text that is there, until it is taken.
    Whole(Option<Json>),
    Parts(RecordParts),
}

impl Record {
    /// The record of `job`, as far as `view` shows it. `hold`: its place among all open answers.
    #[must_use]
    pub fn new(job: Arc<JobSnapshot>, view: View, hold: Option<OwnedSemaphorePermit>) -> Self {
        let tasks = job.tasks.len();
        let is_small = tasks <= SMALL_TASKS && {
            let text = job.job.source().len();
            let values = job.weight().saturating_sub(text + tasks * TASK_WEIGHT);
            // Each task may repeat all that the others returned.
            values.saturating_mul(tasks + 1).saturating_add(text) <= SMALL_BYTES
        };
        Self { source: Source::Parts(RecordParts::new(job, view)), is_small, _hold: hold }
    }

    /// Whether it can be written without keeping others waiting.
    #[must_use]
    pub const fn is_small(&self) -> bool {
        self.is_small
    }

    /// The next part of its text. May take milliseconds where the record is not small.
    pub fn next_part(&mut self) -> Option<String> {
        match &mut self.source {
            Source::Whole(json) => json.take().map(|json| json.get().to_owned()),
            Source::Parts(parts) => parts.next(),
        }
    }

    /// The whole record, whatever its size.
    ///
    /// # Errors
    /// Where it could not be written.
    pub async fn into_json(self) -> Result<Json, RequestError> {
        match self.written(usize::MAX, usize::MAX).await? {
            Ok(json) => Ok(json),
            Err(_) => Err(not_written()),
        }
    }

    /// The whole record, if it has at most `limit` bytes.
    ///
    /// # Errors
    /// Where it could not be written.
    pub async fn within(self, limit: usize) -> Result<Option<Json>, RequestError> {
        self.written(limit, limit).await.map(Result::ok)
    }

    /// The whole record, or how many bytes it has, where those are more than `limit`. (Of a record that is very much
    /// larger, at least how many.)
    ///
    /// # Errors
    /// Where it could not be written.
    pub async fn sized(self, limit: usize) -> Result<Result<Json, usize>, RequestError> {
        self.written(limit, limit.saturating_mul(COUNTED)).await
    }

    async fn written(self, limit: usize, counted: usize) -> Result<Result<Json, usize>, RequestError> {
        if self.is_small {
            return Ok(self.write(limit, counted));
        }
        tokio::task::spawn_blocking(move || self.write(limit, counted)).await.map_err(|_| not_written())
    }

    fn write(mut self, limit: usize, counted: usize) -> Result<Json, usize> {
        if let Source::Whole(Some(json)) = self.source {
            return if json.get().len() <= limit { Ok(json) } else { Err(json.get().len()) };
        }
        if let Source::Parts(parts) = self.source {
            if limit == usize::MAX {
                return Ok(Json::from_checked(parts.rest()));
            }
            let least = parts.minimum_bytes();
            if least > counted {
                return Err(least);
            }
            self.source = Source::Parts(parts);
        }
        let (mut text, mut size) = (String::new(), 0);
        while let Some(part) = self.next_part() {
            size += part.len();
            if size > counted {
                break;
            }
            if size > limit {
                text = String::new();
            } else if text.is_empty() {
                text = part;
            } else {
                text.push_str(&part);
            }
        }
        if size > limit { Err(size) } else { Ok(Json::from_checked(text)) }
    }
}

/// A record that is there as text.
impl From<Json> for Record {
    fn from(json: Json) -> Self {
        Self { source: Source::Whole(Some(json)), is_small: true, _hold: None }
    }
}

fn not_written() -> RequestError {
    RequestError::new(RequestErrorKind::Internal, "the record could not be written; the log says more")
}
