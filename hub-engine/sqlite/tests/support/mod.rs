//! What the tests of the store in a file share: where its files are, and a crash.

#![allow(dead_code, reason = "each test program uses a part")]

use std::path::{Path, PathBuf};

use hub_engine::store::StoreError;
use hub_sqlite::{SqliteSettings, SqliteStore};

/// The store of this directory.
pub(crate) fn file(directory: &Path) -> PathBuf {
    directory.join("hub.db")
}

/// SQLite's log beside the store.
pub(crate) fn log(directory: &Path) -> PathBuf {
    directory.join("hub.db-wal")
}

/// Opens the store of this directory.
pub(crate) fn try_open(directory: &Path) -> Result<SqliteStore, StoreError> {
    SqliteStore::open(SqliteSettings::new(file(directory)))
}

/// The same, where nothing is in its way.
pub(crate) fn open(directory: &Path) -> SqliteStore {
    try_open(directory).unwrap()
}

/// Copies what a crash leaves: the files as they are while the store is open.
pub(crate) fn crash(from: &Path, to: &Path) {
    for place in [file, log] {
        std::fs::copy(place(from), place(to)).unwrap();
    }
}
