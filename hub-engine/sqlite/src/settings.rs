//! Settings of a store.

use std::path::PathBuf;

/// Settings of a store.
#[derive(Clone, Debug)]
pub struct SqliteSettings {
    /// The path of the file. The file is created if necessary; its directory must exist.
    pub path: PathBuf,
    /// Maximum size of the file in bytes. A full store accepts no further changes until jobs are removed.
    pub max_bytes: Option<u64>,
}

impl SqliteSettings {
    /// Settings for this file without a maximum size.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), max_bytes: None }
    }
}
