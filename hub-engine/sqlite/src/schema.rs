//! Opens the file and migrates its schema.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::error::SqliteError;
use super::failure::{failed, meaning};
use super::log;
use super::log_path::{LOG_BYTES, log_path};
use super::migrations::{MIGRATIONS, current_version};
use super::search::add_functions;
use hub_engine::store::StoreError;

/// The beginning of every SQLite file.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";
/// Marks a file as one of Hub's stores: "hub1".
const APPLICATION_ID: i32 = 0x6875_6231;
/// Maximum time to wait for a lock of another program, such as the `sqlite3` shell.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// Number of pages of 4 KiB in the log at which it is checkpointed.
const CHECKPOINT_PAGES: u32 = 4000;

/// Opens the file for the writer. Creates or migrates it if necessary.
pub(super) fn open_to_write(path: &Path, max_bytes: Option<u64>) -> Result<Connection, StoreError> {
    let log_is_damaged = log::is_damaged(path)?;
    let mut connection = connect(path)?;
    check(&connection, path, log_is_damaged)?;
    use_log(&connection, path)?;
    migrate(&mut connection, path)?;
    drop(connection);
    checkpoint_log(path);
    let connection = connect(path)?;
    use_log(&connection, path)?;
    if let Some(limit) = max_bytes {
        let page: u64 = connection
            .query_row("PRAGMA page_size", [], |row| row.get::<_, i64>(0))
            .map(i64::unsigned_abs)
            .map_err(|error| meaning("open the file", path, error))?;
        connection
            .query_row(&format!("PRAGMA max_page_count = {}", (limit / page.max(1)).max(1)), [], |_| Ok(()))
            .map_err(|error| meaning("open the file", path, error))?;
    }
    connection.set_prepared_statement_cache_capacity(32);
    Ok(connection)
}

/// Opens a connection that does not checkpoint the log when it is closed, unless the writer changes that: see
/// `Writer::close`.
fn connect(path: &Path) -> Result<Connection, StoreError> {
    let connection = Connection::open(path).map_err(failed("open the file"))?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).map_err(failed("open the file"))?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(failed("open the file"))?;
    Ok(connection)
}

fn use_log(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    connection
        .execute_batch(&format!(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES};
             PRAGMA journal_size_limit = {LOG_BYTES}; PRAGMA foreign_keys = OFF; PRAGMA cache_size = -16000;"
        ))
        .map_err(|error| meaning("open the file", path, error))
}

/// Opens the file for reading.
pub(super) fn open_to_read(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(failed("open the file"))?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(failed("open the file"))?;
    connection.set_prepared_statement_cache_capacity(32);
    add_functions(&connection).map_err(failed("open the file"))?;
    Ok(connection)
}

/// Refuses a file that is not a store or has a newer version, and one that cannot be used without the damaged part of
/// its log.
fn check(connection: &Connection, path: &Path, log_is_damaged: bool) -> Result<(), StoreError> {
    let number = |pragma: &str| connection.query_row(&format!("PRAGMA {pragma}"), [], |row| row.get::<_, i64>(0));
    let read = || Ok((number("application_id")?, number("user_version")?, number("schema_version")?));
    let (application, version, schema) = read().map_err(|error: rusqlite::Error| match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::NotADatabase) if !is_of_sqlite(path) => {
            SqliteError::NotAStore(path.to_owned()).into()
        }
        _ => meaning("open the file", path, error),
    })?;
    let is_empty = schema == 0;
    if log_is_damaged && is_empty {
        return Err(SqliteError::damaged_log(path, "the whole store was in the log").into());
    }
    if log_is_damaged {
        check_pages(connection, path)?;
    }
    if application != i64::from(APPLICATION_ID) && !is_empty {
        return Err(SqliteError::NotAStore(path.to_owned()).into());
    }
    let known = current_version() as i64;
    if version > known {
        return Err(SqliteError::Newer { path: path.to_owned(), version, known }.into());
    }
    Ok(())
}

/// Checks the pages, because the readable part of a damaged log may be inconsistent with the file.
fn check_pages(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let found: String = connection
        .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        .map_err(|error| meaning("check the file", path, error))?;
    if found == "ok" {
        Ok(())
    } else {
        Err(SqliteError::Damaged { path: path.to_owned(), source: found.into() }.into())
    }
}

/// Whether the file begins like an SQLite file.
fn is_of_sqlite(path: &Path) -> bool {
    let mut begin = [0; MAGIC.len()];
    File::open(path).and_then(|mut file| file.read_exact(&mut begin)).is_ok() && begin == *MAGIC
}

/// Corrects the error if the store is intact without its log. Then the log was damaged while another program has it
/// open, and SQLite relies on that program's index of the log. Called when no connection is open.
pub(super) fn blame_log(error: StoreError) -> StoreError {
    let StoreError::Unusable(cause) = error else { return error };
    match cause.downcast::<SqliteError>().map(|error| *error) {
        Ok(SqliteError::Damaged { path, source }) if log_path(&path).exists() && is_whole_without_log(&path) => {
            SqliteError::damaged_log(&path, source).into()
        }
        Ok(other) => other.into(),
        Err(cause) => StoreError::Unusable(cause),
    }
}

fn is_whole_without_log(path: &Path) -> bool {
    let Ok(mut uri) = url::Url::from_file_path(path) else { return false };
    uri.set_query(Some("immutable=1"));
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    Connection::open_with_flags(uri.as_str(), flags).is_ok_and(|connection| check_pages(&connection, path).is_ok())
}

/// Checkpoints the log, so that the file is complete without it and frames of an older log are not mistaken for current
/// ones. An error is harmless, for example while the `sqlite3` shell has the store open: then SQLite uses that
/// program's index of the log.
fn checkpoint_log(path: &Path) {
    let checkpoint = || {
        let connection = Connection::open(path)?;
        connection.busy_timeout(Duration::ZERO)?;
        connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
    };
    if let Err(error) = checkpoint() {
        tracing::debug!(%error, "the store's log could not be checkpointed");
    }
}

/// Executes each migration in its own transaction, so that a crash leaves the file at one of the versions.
fn migrate(connection: &mut Connection, path: &Path) -> Result<(), StoreError> {
    let version: i64 = connection
        .query_row("PRAGMA user_version", [], |row| row.get(0))
        .map_err(|error| meaning("read the file's version", path, error))?;
    let done = usize::try_from(version).unwrap_or(0);
    for (at, migration) in MIGRATIONS.iter().enumerate().skip(done) {
        let apply = |connection: &mut Connection| {
            let transaction = connection.transaction()?;
            transaction.execute_batch(migration)?;
            transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
            transaction.pragma_update(None, "user_version", at as i64 + 1)?;
            transaction.commit()
        };
        apply(connection).map_err(|error| meaning("migrate the file", path, error))?;
    }
    Ok(())
}
