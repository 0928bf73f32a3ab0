//! The path and the maximum size of SQLite's log, its WAL file.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Size in bytes to which SQLite truncates the log after a checkpoint.
pub(super) const LOG_BYTES: u32 = 64 * 1024 * 1024;

/// The log of the store at `path`.
pub(super) fn log_path(path: &Path) -> PathBuf {
    beside(path, "-wal")
}

/// The path with this suffix.
pub(super) fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(end);
    name.into()
}
