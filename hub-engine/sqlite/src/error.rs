//! Why a file cannot be used, and what to do about it.

use std::path::{Path, PathBuf};

use hub_engine::store::StoreError;

use super::log_path::log_path;

/// A cause of another kind.
type Cause = Box<dyn std::error::Error + Send + Sync>;

/// What is wrong with the file of a store.
#[derive(Debug, thiserror::Error)]
pub enum SqliteError {
    /// The file is damaged.
    #[error(
        "the store {} is damaged, and nothing can be kept in it: stop the dispatcher, put a back-up of the file in its \
         place (docs/operations.md), and start the dispatcher again", path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was found.
        source: Cause,
    },
    /// SQLite's log beside the file is damaged.
    #[error(
        "{} is damaged, and the store {} cannot be used with it: copy both files elsewhere, end other programs that have \
         the store open (such as the sqlite3 shell or a back-up), and start the dispatcher again, which reads the log as \
         far as it is whole. If that fails, put a back-up of the store in the place of both (docs/operations.md)",
        log.display(), path.display()
    )]
    DamagedLog {
        /// The file.
        path: PathBuf,
        /// Its log.
        log: PathBuf,
        /// What was found.
        source: Cause,
    },
    /// The file that is open is not the one at its path any more.
    #[error(
        "{} was deleted or replaced while the dispatcher uses it: nothing is kept until the file that was opened is there \
         again; to go on with what is there now, restart the dispatcher", _0.display()
    )]
    Replaced(PathBuf),
    /// Another process has the file open.
    #[error(
        "the store {} is in use by another dispatcher (process {holder}): stop that one, or use another file", path.display()
    )]
    InUse {
        /// The file.
        path: PathBuf,
        /// The id of the process that has it, as far as known.
        holder: String,
    },
    /// The file is something else.
    #[error("{} is no store of Hub's: use another file", _0.display())]
    NotAStore(PathBuf),
    /// The file was written by a newer Hub.
    #[error(
        "the store {} is of version {version}, this program knows versions up to {known}: use the newer Hub, or a copy \
         of the store from before the upgrade", path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        version: i64,
        /// The newest that this program knows.
        known: i64,
    },
}

/// An error of SQLite's that neither the file nor the disk explains.
#[derive(Debug, thiserror::Error)]
#[error("this is a bug of Hub's, or something was added to the file: report it with the cause that follows")]
pub(super) struct Unexpected(#[source] pub(super) rusqlite::Error);

impl SqliteError {
    /// The log beside the store at `path` is damaged.
    pub(super) fn damaged_log(path: &Path, found: impl Into<Cause>) -> Self {
        Self::DamagedLog { path: path.to_owned(), log: log_path(path), source: found.into() }
    }

    /// What is wrong with the file, if that is why the store fails.
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
