//! The lock that allows one dispatcher per file.
//!
//! A separate lock file is locked as long as the store is open. The system releases the lock when the process ends in
//! any way. The store itself is not locked, so that the `sqlite3` shell can read it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use super::error::SqliteError;
use super::failure::failed;
use hub_engine::store::StoreError;

/// The lock, held until it is dropped.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock of the store at `path`.
    pub(super) fn take(path: &Path) -> Result<Self, StoreError> {
        let beside = lock_path(path);
        let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&beside);
        let mut file = open.map_err(failed("open the lock file beside the store"))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                // Only for the error message.
                let _ = file.read_to_string(&mut holder);
                let holder = holder.trim().to_owned();
                return Err(SqliteError::InUse { path: path.to_owned(), holder }.into());
            }
            Err(TryLockError::Error(error)) => return Err(failed("lock the store")(error)),
        }
        let note = |file: &mut File| {
            file.set_len(0)?;
            write!(file, "{}", std::process::id())
        };
        note(&mut file).map_err(failed("write the lock file beside the store"))?;
        Ok(Self { _file: file })
    }
}

fn lock_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    name.into()
}
