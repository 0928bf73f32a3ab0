//! A status record for a client: at once, or in parts that are written on demand.

use std::sync::Arc;

use hub_core::Json;
use hub_core::record::{RecordParts, View};
use hub_core::state::{JobSnapshot, TASK_WEIGHT};
use tokio::sync::OwnedSemaphorePermit;

use super::error::{RequestError, RequestErrorKind};

/// Maximum number of tasks of a small record, which is written at once on the current thread.
const MAXIMUM_SMALL_TASKS: usize = 100;
/// Maximum size of a small record in bytes.
const MAXIMUM_SMALL_BYTES: usize = 1024 * 1024;
/// The size of a record that is too large is counted up to this multiple of the limit.
const COUNTING_FACTOR: usize = 16;

/// A status record.
#[derive(Debug)]
pub struct Record {
    source: Source,
    is_small: bool,
    /// The memory reserved among all open answers, released when this is dropped.
    _hold: Option<OwnedSemaphorePermit>,
}

#[derive(Debug)]
enum Source {
    /// The complete text, until it is taken.
    Whole(Option<Json>),
    Parts(RecordParts),
}

impl Record {
    /// The parts of the record of `job` that `view` selects. `hold` is its memory among all open answers.
    #[must_use]
    pub fn new(job: Arc<JobSnapshot>, view: View, hold: Option<OwnedSemaphorePermit>) -> Self {
        let tasks = job.tasks.len();
        let is_small = tasks <= MAXIMUM_SMALL_TASKS && {
            let text = job.job.source().len();
            let values = job.weight().saturating_sub(text + tasks * TASK_WEIGHT);
            // Each task may repeat the results of all others.
            values.saturating_mul(tasks + 1).saturating_add(text) <= MAXIMUM_SMALL_BYTES
        };
        Self { source: Source::Parts(RecordParts::new(job, view)), is_small, _hold: hold }
    }

    /// Whether it can be written on the current thread without delaying others.
    #[must_use]
    pub const fn is_small(&self) -> bool {
        self.is_small
    }

    /// The next part of its text. May take milliseconds if the record is not small.
    pub fn next_part(&mut self) -> Option<String> {
        match &mut self.source {
            Source::Whole(json) => json.take().map(|json| json.get().to_owned()),
            Source::Parts(parts) => parts.next(),
        }
    }

    /// The complete record, without a limit of its size.
    ///
    /// # Errors
    /// If the record could not be written.
    pub async fn into_json(self) -> Result<Json, RequestError> {
        match self.written(usize::MAX, usize::MAX).await? {
            Ok(json) => Ok(json),
            Err(_) => Err(not_written()),
        }
    }

    /// The complete record, if it has at most `limit` bytes.
    ///
    /// # Errors
    /// If the record could not be written.
    pub async fn within(self, limit: usize) -> Result<Option<Json>, RequestError> {
        self.written(limit, limit).await.map(Result::ok)
    }

    /// The complete record, or its size if that exceeds `limit`. The size of a very large record is a lower bound.
    ///
    /// # Errors
    /// If the record could not be written.
    pub async fn sized(self, limit: usize) -> Result<Result<Json, usize>, RequestError> {
        self.written(limit, limit.saturating_mul(COUNTING_FACTOR)).await
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

/// A record as text.
impl From<Json> for Record {
    fn from(json: Json) -> Self {
        Self { source: Source::Whole(Some(json)), is_small: true, _hold: None }
    }
}

fn not_written() -> RequestError {
    RequestError::new(RequestErrorKind::Internal, "the record could not be written: see the log")
}
