//! Limits of the size of jobs and values.

/// Limits of a job. The problem that reports an exceeded limit contains its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Maximum size of the text in bytes.
    pub max_bytes: usize,
    /// Maximum number of tasks in one job.
    pub max_tasks: usize,
    /// Maximum nesting depth of arrays and objects; the job itself is the first level. Values above
    /// [`Limits::MAX_DEPTH`] are reduced to it.
    pub max_depth: usize,
    /// Maximum size of a value in bytes. It applies to the arguments of a task (positional and keyword arguments
    /// together) and the output of the job after their references are replaced, and to results. Larger limits are
    /// reduced to [`Limits::MAX_VALUE_BYTES`]. A dispatcher also respects the maximum message size of its broker.
    pub max_value_bytes: usize,
    /// Whether the job is a sub-job: it has inputs, to which it can refer.
    pub is_sub_job: bool,
}

impl Limits {
    /// Maximum of `max_depth`. JSON parsers commonly stop at 128 levels, and a status record nests the job's values a
    /// few levels deeper.
    pub const MAX_DEPTH: usize = 120;
    /// Maximum of `max_value_bytes`. SQLite stores rows of up to 1,000,000,000 bytes, and a row may contain a value, a
    /// log and an error.
    pub const MAX_VALUE_BYTES: usize = 128 * 1024 * 1024;
    /// The name of the limit `max_value_bytes` in messages.
    pub(crate) const VALUE_BYTES: &'static str = "max_value_bytes";

    /// The limits of a text that was accepted before, perhaps with other limits, or as a part of another text.
    #[must_use]
    pub fn of_accepted() -> Self {
        Self {
            max_bytes: usize::MAX,
            max_tasks: usize::MAX,
            max_depth: Self::MAX_DEPTH,
            is_sub_job: true,
            ..Self::default()
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        let mib = 1024 * 1024;
        Self { max_bytes: 16 * mib, max_tasks: 1_000_000, max_depth: 64, max_value_bytes: 12 * mib, is_sub_job: false }
    }
}
