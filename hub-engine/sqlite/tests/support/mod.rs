//! Helpers for tests of the store in a file: paths, and a simulated crash.

#![allow(dead_code, reason = "each test program uses a part")]

use std::path::{Path, PathBuf};

use hub_engine::store::StoreError;
use hub_sqlite::{SqliteSettings, SqliteStore};

/// The store of this directory.
pub(crate) fn file(directory: &Path) -> PathBuf {
    directory.join("hub.db")
}

/// The path of SQLite's log.
pub(crate) fn log(directory: &Path) -> PathBuf {
    directory.join("hub.db-wal")
}

/// Opens the store of this directory.
pub(crate) fn try_open(directory: &Path) -> Result<SqliteStore, StoreError> {
    SqliteStore::open(SqliteSettings::new(file(directory)))
}

/// Opens the store, which must succeed.
pub(crate) fn open(directory: &Path) -> SqliteStore {
    try_open(directory).unwrap()
}

/// Simulates a crash by copying the files while the store is open.
pub(crate) fn crash(from: &Path, to: &Path) {
    for place in [file, log] {
        std::fs::copy(place(from), place(to)).unwrap();
    }
}
