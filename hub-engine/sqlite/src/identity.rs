//! Detects that the files of the store were deleted or replaced while they are open.
//!
//! A process can continue to write to a deleted file, and everything written to it is lost when the process ends.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::SqliteError;
use super::log_path::log_path;
use hub_engine::store::StoreError;

/// The identity of a file, independent of its path: device and inode.
type FileId = (u64, u64);

/// The open files: the store and its WAL file.
#[derive(Clone, Debug)]
pub(super) struct Identity {
    files: Arc<[(PathBuf, FileId)]>,
}

impl Identity {
    /// Records the files at `path`. Must be called while they are open.
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        let mut files = vec![(path.to_owned(), file_id(path)?)];
        let log = log_path(path);
        if let Ok(id) = file_id(&log) {
            files.push((log, id));
        }
        Ok(Self { files: files.into() })
    }

    /// Checks that the files were not replaced.
    ///
    /// # Errors
    /// `Replaced` if a file was moved, deleted or replaced.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        match self.files.iter().find(|(path, id)| file_id(path).ok() != Some(*id)) {
            Some((path, _)) => Err(SqliteError::Replaced(path.clone()).into()),
            None => Ok(()),
        }
    }

    /// Checks only the store, because its WAL file is created and removed with the connections.
    pub(super) fn check_store(&self) -> Result<(), StoreError> {
        Self { files: self.files[..1].into() }.check()
    }
}

fn file_id(path: &Path) -> io::Result<FileId> {
    std::fs::metadata(path).map(|metadata| (metadata.dev(), metadata.ino()))
}
