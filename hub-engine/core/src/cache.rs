//! Kept results of tasks.

use serde::{Deserialize, Serialize};

use crate::{JobId, Json, TaskId, Timestamp};

/// The task whose result another one has taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CachedFrom {
    /// Its job, which may have been removed since.
    pub job: JobId,
    /// The task.
    pub task: TaskId,
}

/// A result that is kept for later tasks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptResult {
    /// The task that computed it.
    pub from: CachedFrom,
    /// When it was kept.
    pub kept_at: Timestamp,
    /// Until when later tasks take it.
    pub until: Timestamp,
    /// The result.
    pub data: Json,
}
