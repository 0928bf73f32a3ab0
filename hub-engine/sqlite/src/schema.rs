//! The file's form: which versions there are, and how one becomes the next.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::{failed, meaning};
use hub_engine::store::StoreError;

/// Marks a file as one of Hub's stores: "hub1".
const APPLICATION_ID: i32 = 0x6875_6231;
/// What makes a file of version n one of version n + 1, from the empty file on.
const MIGRATIONS: [&str; 1] = [include_str!("schema.sql")];
/// How long someone with the `sqlite3` shell may hold the file before it counts as failing.
const PATIENCE: Duration = Duration::from_secs(10);
/// The log is folded into the file when it has so many pages of 4 KiB.
const CHECKPOINT_PAGES: u32 = 4000;
/// So much of the log's file is kept for its next use, in bytes.
const LOG_BYTES: u32 = 64 * 1024 * 1024;

/// The version that this program writes.
const fn current_version() -> usize {
    MIGRATIONS.len()
}

/// Opens the file for the writer; creates it, or brings it to the current version.
pub(super) fn open_to_write(path: &Path, max_bytes: Option<u64>) -> Result<Connection, StoreError> {
    let mut connection = Connection::open(path).map_err(failed("open the file"))?;
    check(&connection, path)?;
    connection.busy_timeout(PATIENCE).map_err(failed("open the file"))?;
    connection
        .execute_batch(&format!(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES};
             PRAGMA journal_size_limit = {LOG_BYTES}; PRAGMA foreign_keys = OFF; PRAGMA cache_size = -16000;"
        ))
        .map_err(failed("open the file"))?;
    migrate(&mut connection, path)?;
    if let Some(limit) = max_bytes {
        let page: u64 = connection
            .query_row("PRAGMA page_size", [], |row| row.get::<_, i64>(0))
            .map(i64::unsigned_abs)
            .map_err(failed("open the file"))?;
        connection
            .query_row(&format!("PRAGMA max_page_count = {}", (limit / page.max(1)).max(1)), [], |_| Ok(()))
            .map_err(failed("open the file"))?;
    }
    connection.set_prepared_statement_cache_capacity(32);
    Ok(connection)
}

/// Opens the file beside the writer.
pub(super) fn open_to_read(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(failed("open the file"))?;
    connection.busy_timeout(PATIENCE).map_err(failed("open the file"))?;
    connection.set_prepared_statement_cache_capacity(32);
    Ok(connection)
}

/// Refuses a file that is somebody else's, or of a version that this program does not know.
fn check(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let number = |pragma: &str| connection.query_row(&format!("PRAGMA {pragma}"), [], |row| row.get::<_, i64>(0));
    let read = || Ok((number("application_id")?, number("user_version")?, number("schema_version")?));
    let (application, version, schema) = read().map_err(|error: rusqlite::Error| match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::NotADatabase) => StoreError::NotAStore(path.to_owned()),
        _ => meaning("open the file", path, error),
    })?;
    let is_empty = schema == 0;
    if application != i64::from(APPLICATION_ID) && !is_empty {
        return Err(StoreError::NotAStore(path.to_owned()));
    }
    let known = current_version() as i64;
    if version > known {
        return Err(StoreError::Newer { path: path.to_owned(), version, known });
    }
    Ok(())
}

/// Each version in a transaction of its own: a crash leaves the file at one of them.
fn migrate(connection: &mut Connection, path: &Path) -> Result<(), StoreError> {
    let version: i64 =
        connection.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(failed("read the file's version"))?;
    let done = usize::try_from(version).unwrap_or(0);
    for (at, migration) in MIGRATIONS.iter().enumerate().skip(done) {
        let bring = |connection: &mut Connection| {
            let transaction = connection.transaction()?;
            transaction.execute_batch(migration)?;
            transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
            transaction.pragma_update(None, "user_version", at as i64 + 1)?;
            transaction.commit()
        };
        bring(connection).map_err(|error| meaning("bring the file to this version's form", path, error))?;
    }
    Ok(())
}
