//! Where jobs are kept, behind one trait.

mod fold;
mod memory;

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use hub_core::JobId;
use hub_core::action::Change;
use hub_core::id::Family;
use hub_core::state::{JobSnapshot, JobSummary};

use crate::operations::{JobFilter, JobPage};

pub use fold::{Folded, Write, fold};
pub use memory::MemoryStore;

/// How many jobs a page holds where the filter does not say.
const DEFAULT_PAGE: u32 = 100;
/// How many jobs a page holds at most.
const MAX_PAGE: u32 = 1000;

/// Keeps jobs and their tasks.
///
/// The dispatcher is the only writer. What `commit` has returned for is there after a crash, where the
/// store promises to outlive one ([`Store::is_durable`]).
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Whether what was committed outlives the process.
    fn is_durable(&self) -> bool;

    /// Counts this start of the dispatcher and returns its number, from 1, never the same twice.
    ///
    /// # Errors
    /// Where the count cannot be kept.
    async fn begin_incarnation(&self) -> Result<u64, StoreError>;

    /// Makes all `changes` at once, or none of them, with the effect that they have one after the other. [`fold()`] computes the
    /// rows to write. Committing a batch again that was committed before changes nothing.
    ///
    /// # Errors
    /// Where they cannot be kept. Nothing that they caused may then be acknowledged.
    async fn commit(&self, changes: Arc<Vec<Change>>) -> Result<(), StoreError>;

    /// Every job that has not ended, oldest first.
    ///
    /// # Errors
    /// Where they cannot be read.
    async fn load_unfinished(&self) -> Result<Vec<JobSnapshot>, StoreError>;

    /// One job as last committed.
    ///
    /// # Errors
    /// Where it cannot be read.
    async fn get(&self, id: JobId) -> Result<Option<JobSnapshot>, StoreError>;

    /// The job whose id has these twelve bytes, as last committed: from a task's id, its job. The states of its tasks are
    /// not read: all of them are pending.
    ///
    /// # Errors
    /// Where it cannot be read.
    async fn find_family(&self, family: Family) -> Result<Option<JobSnapshot>, StoreError>;

    /// The job that was submitted with this key, as [`Store::find_family`].
    ///
    /// # Errors
    /// Where it cannot be read.
    async fn find_key(&self, key: &str) -> Result<Option<JobSnapshot>, StoreError>;

    /// The line of a job in a listing.
    ///
    /// # Errors
    /// Where it cannot be read.
    async fn summary(&self, id: JobId) -> Result<Option<JobSummary>, StoreError> {
        Ok(self.get(id).await?.map(|job| job.summary()))
    }

    /// About how many bytes [`Store::get`] would bring into memory; without `data`, [`Store::get_part`] of all tasks without
    /// their values.
    ///
    /// # Errors
    /// Where it cannot be read.
    async fn weight(&self, id: JobId, data: bool) -> Result<Option<usize>, StoreError> {
        let part = Part { tasks: 0..u32::MAX, bytes: usize::MAX, data };
        Ok(self.get_part(id, part).await?.map(|part| part.job.weight()))
    }

    /// A job as last committed, with some of its tasks.
    ///
    /// # Errors
    /// Where it cannot be read.
    async fn get_part(&self, id: JobId, part: Part) -> Result<Option<JobPart>, StoreError> {
        let Some(mut job) = self.get(id).await? else { return Ok(None) };
        if !part.data {
            for task in job.tasks.iter_mut().map(Arc::make_mut) {
                (task.data, task.log, task.error) = (None, None, None);
            }
        }
        Ok(Some(JobPart { end: part.tasks.end.min(job.tasks.len() as u32), job }))
    }

    /// Jobs that pass `filter`, newest first, a page at a time.
    ///
    /// # Errors
    /// Where they cannot be read, or the cursor is not one of this store's.
    async fn list(&self, filter: &JobFilter) -> Result<JobPage, StoreError>;

    /// Forgets the oldest finished jobs beyond `keep` of them, at most `limit` at once. Returns how many.
    ///
    /// # Errors
    /// Where they cannot be removed.
    async fn prune(&self, keep: u64, limit: u32) -> Result<u64, StoreError>;

    /// Brings to an end what was begun, and lets go of the medium. What is asked afterwards fails.
    async fn close(&self) {}
}

/// Some of a job's tasks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Their positions.
    pub tasks: Range<u32>,
    /// Read no further once their values have more than so many bytes. One task is read in any case.
    pub bytes: usize,
    /// Whether their values are wanted: results, logs, errors, and what their arguments are filled with.
    pub data: bool,
}

/// A job of which only a part was read.
#[derive(Clone, Debug)]
pub struct JobPart {
    /// The job; tasks that were not read are pending.
    pub job: JobSnapshot,
    /// The position behind the last task that was read.
    pub end: u32,
}

/// Why the store could not do as asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The listing's cursor is not one that this store gave out.
    #[error("unknown cursor {0:?}: take it from the \"next\" of the page before")]
    UnknownCursor(String),
    /// The listing's page is too large, or has no jobs.
    #[error("limit must be from 1 to {MAX_PAGE}, not {0}")]
    BadLimit(u32),
    /// The store is closed: its dispatcher stops.
    #[error("the store is closed")]
    Closed,
    /// The medium will never take one of the changes, however often it is asked. None of the batch was made.
    #[error("the store can never keep this")]
    Refused {
        /// Which one of the batch.
        change: usize,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The store is of no use until it is repaired. The error is the backend's own, and says what to do.
    #[error(transparent)]
    Unusable(Box<dyn std::error::Error + Send + Sync>),
    /// The store cannot be used now. The error is the backend's own, and says what to do.
    #[error(transparent)]
    Unavailable(Box<dyn std::error::Error + Send + Sync>),
    /// The medium failed.
    #[error("failed to {operation} in the store")]
    Failed {
        /// What was being done.
        operation: &'static str,
        /// Why it failed.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl StoreError {
    /// Whether the store is of no use until it is repaired.
    #[must_use]
    pub const fn is_final(&self) -> bool {
        matches!(self, Self::Unusable(_))
    }
}

impl fmt::Debug for dyn Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Store")
    }
}

/// The cursor that a page of a listing begins after (jobs added before it) and the maximum number of jobs on the page: for
/// stores whose cursors are numbers.
///
/// # Errors
/// Where the cursor is no number, or the limit is out of bounds.
pub fn page_of(filter: &JobFilter) -> Result<(i64, usize), StoreError> {
    let before = match &filter.after {
        None => i64::MAX,
        Some(cursor) => cursor.parse().map_err(|_| StoreError::UnknownCursor(cursor.clone()))?,
    };
    match filter.limit.unwrap_or(DEFAULT_PAGE) {
        limit @ 1..=MAX_PAGE => Ok((before, limit as usize)),
        limit => Err(StoreError::BadLimit(limit)),
    }
}
