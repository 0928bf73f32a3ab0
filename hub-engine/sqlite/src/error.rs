//! Errors about the file of a store, with what to do.

use std::path::{Path, PathBuf};

use hub_engine::store::StoreError;

use super::log_path::log_path;

/// An underlying error.
type Cause = Box<dyn std::error::Error + Send + Sync>;

/// An error about the file of a store.
#[derive(Debug, thiserror::Error)]
pub enum SqliteError {
    /// The file is damaged.
    #[error(
        "the store {} is damaged and cannot be written: stop the dispatcher, replace the file by a back-up \
         (docs/operations.md), and start the dispatcher again", path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The underlying error.
        source: Cause,
    },
    /// The WAL file of SQLite is damaged.
    #[error(
        "{} is damaged, and the store {} cannot be used with it: copy both files elsewhere, end other programs that have \
         the store open (such as the sqlite3 shell or a back-up), and start the dispatcher again, which reads the intact \
         part of the log. If that fails, replace both files by a back-up of the store (docs/operations.md)",
        log.display(), path.display()
    )]
    DamagedLog {
        /// The file.
        path: PathBuf,
        /// Its log.
        log: PathBuf,
        /// The underlying error.
        source: Cause,
    },
    /// The open file was deleted or replaced.
    #[error(
        "{} was deleted or replaced while the dispatcher uses it: nothing is stored until the original file is restored; \
         to continue with the current file, restart the dispatcher", _0.display()
    )]
    Replaced(PathBuf),
    /// Another process has the file open.
    #[error(
        "the store {} is in use by another dispatcher (process {holder}): stop it, or use another file", path.display()
    )]
    InUse {
        /// The file.
        path: PathBuf,
        /// The id of the other process, if known.
        holder: String,
    },
    /// The file is not a store.
    #[error("{} is not a store of Hub: use another file", _0.display())]
    NotAStore(PathBuf),
    /// The file was written by a newer Hub.
    #[error(
        "the store {} has version {version}, this program supports versions up to {known}: use the newer Hub, or a copy \
         of the store from before the upgrade", path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        version: i64,
        /// The newest version that this program supports.
        known: i64,
    },
}

/// An error of SQLite's that neither the file nor the disk explains.
#[derive(Debug, thiserror::Error)]
#[error("this is a bug of Hub's, or something was added to the file: report it with the cause that follows")]
pub(super) struct Unexpected(#[source] pub(super) rusqlite::Error);

impl SqliteError {
    /// The WAL file of the store at `path` is damaged.
    pub(super) fn damaged_log(path: &Path, found: impl Into<Cause>) -> Self {
        Self::DamagedLog { path: path.to_owned(), log: log_path(path), source: found.into() }
    }

    /// The error about the file, if that is the cause of the store's error.
    #[must_use]
    pub fn of(error: &StoreError) -> Option<&Self> {
        match error {
            StoreError::Unusable(cause) | StoreError::Unavailable(cause) => cause.downcast_ref(),
            _ => None,
        }
    }
}

impl From<SqliteError> for StoreError {
    fn from(error: SqliteError) -> Self {
        match error {
            SqliteError::Damaged { .. }
            | SqliteError::DamagedLog { .. }
            | SqliteError::NotAStore(_)
            | SqliteError::Newer { .. } => Self::Unusable(Box::new(error)),
            SqliteError::Replaced(_) | SqliteError::InUse { .. } => Self::Unavailable(Box::new(error)),
        }
    }
}
