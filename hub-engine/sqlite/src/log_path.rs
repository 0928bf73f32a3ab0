//! Where SQLite has its log, and how large that becomes.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Size to which the file of the log is cut when SQLite has emptied it, in bytes.
pub(super) const LOG_BYTES: u32 = 64 * 1024 * 1024;

/// The log of the store at `path`.
pub(super) fn log_path(path: &Path) -> PathBuf {
    beside(path, "-wal")
}

/// The file beside another one whose name has this end in addition.
pub(super) fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(end);
    name.into()
}
