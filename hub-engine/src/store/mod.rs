//! The trait of stores.

mod definitions;
mod fold;
mod memory;
mod schedules;

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use hub_core::action::Change;
use hub_core::cache::KeptResult;
use hub_core::definition::{Definition, Reference, VersionSummary};
use hub_core::digest::Digest;
use hub_core::id::Family;
use hub_core::job_details::PauseRecord;
use hub_core::schedule::ScheduleSnapshot;
use hub_core::state::{JobSnapshot, JobSummary};
use hub_core::{JobId, Timestamp};

use crate::operations::{DefinitionPage, JobFilter, JobPage};

pub use fold::{Folded, Write, fold};
pub use memory::MemoryStore;

/// Default number of jobs on a page.
const DEFAULT_PAGE: u32 = 100;
/// Maximum number of jobs on a page.
const MAX_PAGE: u32 = 1000;

/// Stores jobs and their tasks.
///
/// The dispatcher is the only writer. In a durable store ([`Store::is_durable`]), changes survive a crash once `commit`
/// has returned.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Whether committed changes survive the end of the process.
    fn is_durable(&self) -> bool;

    /// Counts this start of the dispatcher and returns its unique number, from 1.
    ///
    /// # Errors
    /// If the count cannot be stored.
    async fn begin_incarnation(&self) -> Result<u64, StoreError>;

    /// Commits all `changes` atomically, with the same effect as one after another. [`fold()`] computes the rows to
    /// write. Committing the same batch again has no effect.
    ///
    /// # Errors
    /// If they cannot be stored. Then none of their deliveries may be acknowledged.
    async fn commit(&self, changes: Arc<Vec<Change>>) -> Result<(), StoreError>;

    /// All jobs that have not ended, oldest first.
    ///
    /// # Errors
    /// If they cannot be read.
    async fn load_unfinished(&self) -> Result<Vec<JobSnapshot>, StoreError>;

    /// The paused pools, by name.
    ///
    /// # Errors
    /// If they cannot be read.
    async fn paused_pools(&self) -> Result<Vec<(Arc<str>, PauseRecord)>, StoreError>;

    /// The kept results, by key.
    ///
    /// # Errors
    /// If they cannot be read.
    async fn kept_results(&self) -> Result<Vec<(Digest, KeptResult)>, StoreError>;

    /// The schedules, by name.
    ///
    /// # Errors
    /// If they cannot be read.
    async fn schedules(&self) -> Result<Vec<ScheduleSnapshot>, StoreError>;

    /// What a reference stands for.
    ///
    /// # Errors
    /// If it cannot be read.
    async fn definition(&self, reference: &Reference) -> Result<Option<Arc<Definition>>, StoreError>;

    /// The versions of a definition with numbers below `before`, newest first, at most `limit`.
    ///
    /// # Errors
    /// If they cannot be read.
    async fn definition_versions(
        &self,
        name: &str,
        before: u32,
        limit: usize,
    ) -> Result<Vec<VersionSummary>, StoreError>;

    /// The definitions with names after `after`, by name, at most `limit`.
    ///
    /// # Errors
    /// If they cannot be read.
    async fn definitions(&self, after: Option<&str>, limit: usize) -> Result<DefinitionPage, StoreError>;

    /// One job as last committed. The states of items may be missing.
    ///
    /// # Errors
    /// If it cannot be read.
    async fn get(&self, id: JobId) -> Result<Option<JobSnapshot>, StoreError>;

    /// Like [`Store::get`], also with the states of items.
    ///
    /// # Errors
    /// If it cannot be read.
    async fn get_with_items(&self, id: JobId) -> Result<Option<JobSnapshot>, StoreError> {
        self.get(id).await
    }

    /// The job whose id begins with these twelve bytes, as last committed. This finds the job of a task's id. The
    /// states of its tasks are not read, and are shown as pending.
    ///
    /// # Errors
    /// If it cannot be read.
    async fn find_family(&self, family: Family) -> Result<Option<JobSnapshot>, StoreError>;

    /// The job with this key, like [`Store::find_family`].
    ///
    /// # Errors
    /// If it cannot be read.
    async fn find_key(&self, key: &str) -> Result<Option<JobSnapshot>, StoreError>;

    /// The summary of a job.
    ///
    /// # Errors
    /// If it cannot be read.
    async fn summary(&self, id: JobId) -> Result<Option<JobSummary>, StoreError> {
        Ok(self.get(id).await?.map(|job| job.summary()))
    }

    /// The approximate memory of the result of [`Store::get`] in bytes; without `data`, of [`Store::get_part`] with all
    /// tasks and without their values.
    ///
    /// # Errors
    /// If it cannot be read.
    async fn weight(&self, id: JobId, data: bool) -> Result<Option<usize>, StoreError> {
        let part = Part { tasks: 0..u32::MAX, bytes: usize::MAX, data };
        Ok(self.get_part(id, part).await?.map(|part| part.job.weight()))
    }

    /// A job as last committed, with some of its tasks.
    ///
    /// # Errors
    /// If it cannot be read.
    async fn get_part(&self, id: JobId, part: Part) -> Result<Option<JobPart>, StoreError> {
        let Some(mut job) = self.get(id).await? else { return Ok(None) };
        if !part.data {
            for task in job.tasks.iter_mut().chain(job.items.values_mut()).map(Arc::make_mut) {
                (task.data, task.log, task.error) = (None, None, None);
                if let Some(details) = &mut task.details {
                    **details = details.without_values();
                }
            }
        }
        Ok(Some(JobPart { end: part.tasks.end.min(job.end_of(part.tasks.start)), job }))
    }

    /// A page of the jobs that match `filter` at `now`, newest first.
    ///
    /// # Errors
    /// If they cannot be read, or the cursor is unknown.
    async fn list(&self, filter: &JobFilter, now: Timestamp) -> Result<JobPage, StoreError>;

    /// Removes the oldest finished jobs beyond `keep`, at most `limit` in one call. Returns the number of removed jobs. Sub-jobs whose
    /// [root](hub_core::state::JobState::root) is in the store do not count, and are removed with it when they have ended.
    ///
    /// # Errors
    /// If they cannot be removed.
    async fn prune(&self, keep: u64, limit: u32) -> Result<u64, StoreError>;

    /// Completes operations in progress and closes the store. Later operations fail.
    async fn close(&self) {}
}

/// Selects tasks of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The positions of the tasks.
    pub tasks: Range<u32>,
    /// Maximum size of their values in bytes, after which reading stops. At least one task is read.
    pub bytes: usize,
    /// Whether their values are read: results, logs, errors, and the values that fill their arguments.
    pub data: bool,
}

/// A partially read job.
#[derive(Clone, Debug)]
pub struct JobPart {
    /// The job. Tasks that were not read are shown as pending.
    pub job: JobSnapshot,
    /// The position after the last task that was read.
    pub end: u32,
}

/// Why an operation of the store failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The cursor of the listing is unknown.
    #[error("unknown cursor {0:?}: use the \"next\" of the previous page")]
    UnknownCursor(String),
    /// The limit of the listing is out of range.
    #[error("limit must be from 1 to {MAX_PAGE}, not {0}")]
    BadLimit(u32),
    /// The store is closed, because its dispatcher is stopping.
    #[error("the store is closed")]
    Closed,
    /// A change is refused permanently. Nothing of the batch was committed.
    #[error("the store refuses the change permanently")]
    Refused {
        /// The position of the change in the batch.
        change: usize,
        /// The reason.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The store cannot be used until it is repaired. The error of the backend explains what to do.
    #[error(transparent)]
    Unusable(Box<dyn std::error::Error + Send + Sync>),
    /// The store cannot be used now. The error of the backend explains what to do.
    #[error(transparent)]
    Unavailable(Box<dyn std::error::Error + Send + Sync>),
    /// The medium failed.
    #[error("failed to {operation} in the store")]
    Failed {
        /// The operation.
        operation: &'static str,
        /// The error.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl StoreError {
    /// Whether the store cannot be used until it is repaired.
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

/// The cursor of a page (the page contains jobs that were added before it) and the maximum number of jobs on it. For
/// stores whose cursors are numbers.
///
/// # Errors
/// If the cursor is not a number or the limit is out of range.
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
