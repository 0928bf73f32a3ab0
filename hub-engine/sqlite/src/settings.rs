//! How a store is opened.

use std::path::PathBuf;

/// How a store is opened.
#[derive(Clone, Debug)]
pub struct SqliteSettings {
    /// The file. It is created where there is none; its directory must be there.
    pub path: PathBuf,
    /// How large the file may become, in bytes. A store that is full takes no further changes until
    /// something in it is forgotten.
    pub max_bytes: Option<u64>,
}

impl SqliteSettings {
    /// This file, without a limit of its size.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), max_bytes: None }
    }
}
