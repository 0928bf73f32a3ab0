//! How large a job may be, and the values that pass through it.

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
    /// A value on its way through a job, in bytes: the arguments of a task (positional and named together) and the
    /// output of the job, once their references are replaced; a result when it comes in. More than
    /// [`Limits::LARGEST_VALUE`] counts as that. A dispatcher also stays below what its broker carries.
    pub max_value_bytes: usize,
}

impl Limits {
    /// No job is nested deeper, whatever the limits say: readers of JSON commonly stop at 128, and a status
    /// record puts the job's values a few levels further in.
    pub const DEEPEST: usize = 120;
    /// No value is larger, whatever the limits say: SQLite keeps rows of up to 1,000,000,000 bytes, and a row may hold
    /// a value, its log and its error.
    pub const LARGEST_VALUE: usize = 128 * 1024 * 1024;
    /// The name of the limit in messages.
    pub(crate) const VALUE_BYTES: &'static str = "max_value_bytes";
}

impl Default for Limits {
    fn default() -> Self {
        let mib = 1024 * 1024;
        Self { max_bytes: 16 * mib, max_tasks: 1_000_000, max_depth: 64, max_value_bytes: 12 * mib }
    }
}
