//! Notices that the store's files were deleted or replaced while they are open.
//!
//! The system lets a process write on into a file that has no name any more, and everything that is written there is
//! lost when the process ends.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::SqliteError;
use super::log_path::log_path;
use hub_engine::store::StoreError;

/// Which file it is, wherever it is moved to: device and number.
type FileId = (u64, u64);

/// The files that were opened: the store and SQLite's log beside it.
#[derive(Clone, Debug)]
pub(super) struct Identity {
    files: Arc<[(PathBuf, FileId)]>,
}

impl Identity {
    /// Notes which files are at `path`. Called while they are open.
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        let mut files = vec![(path.to_owned(), file_id(path)?)];
        let log = log_path(path);
        if let Ok(id) = file_id(&log) {
            files.push((log, id));
        }
        Ok(Self { files: files.into() })
    }

    /// # Errors
    /// `Replaced` where one of the files is not where it was opened, or another one is there.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        match self.files.iter().find(|(path, id)| file_id(path).ok() != Some(*id)) {
            Some((path, _)) => Err(SqliteError::Replaced(path.clone()).into()),
            None => Ok(()),
        }
    }

    /// The same for the store alone: its log comes and goes with the connections.
    pub(super) fn check_store(&self) -> Result<(), StoreError> {
        Self { files: self.files[..1].into() }.check()
    }
}

fn file_id(path: &Path) -> io::Result<FileId> {
    std::fs::metadata(path).map(|metadata| (metadata.dev(), metadata.ino()))
}
