//! How large a job may be.

/// What a job may be at most. Each limit is named in the problem that exceeding it makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The text, in bytes.
    pub max_bytes: usize,
    /// Tasks in one job.
    pub max_tasks: usize,
    /// Arrays and objects within each other, the job itself being the first. Values above
    /// [`Limits::DEEPEST`] count as that.
    pub max_depth: usize,
}

impl Limits {
    /// No job is nested deeper, whatever the limits say: readers of JSON commonly stop at 128, and a status
    /// record puts the job's values a few levels further in.
    pub const DEEPEST: usize = 120;
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_bytes: 16 * 1024 * 1024, max_tasks: 1_000_000, max_depth: 64 }
    }
}
