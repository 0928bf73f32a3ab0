//! What failures of SQLite and of the file system mean for the store.

use std::path::Path;

use hub_engine::store::StoreError;
use rusqlite::ffi::SQLITE_IOERR_SHORT_READ;

use super::error::SqliteError;

/// What an error of SQLite's means.
pub(super) fn meaning(operation: &'static str, path: &Path, error: rusqlite::Error) -> StoreError {
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase, Unknown};
    let is_short = |error: &rusqlite::Error| {
        error.sqlite_error().is_some_and(|error| error.extended_code == SQLITE_IOERR_SHORT_READ)
    };
    match code_of(&error) {
        // Only the log can end within a page: where it was cut off while it is in use.
        _ if is_short(&error) => SqliteError::damaged_log(path, error).into(),
        // The last: a table or column that is not there.
        Some(DatabaseCorrupt | NotADatabase | Unknown) => {
            SqliteError::Damaged { path: path.to_owned(), source: Box::new(error) }.into()
        }
        _ => StoreError::Failed { operation, source: Box::new(error) },
    }
}

/// SQLite's code of an error. `None` where the error is not SQLite's.
fn code_of(error: &rusqlite::Error) -> Option<rusqlite::ErrorCode> {
    match error {
        // `sqlite_error_code` does not know this one: an error that has a position in the statement.
        rusqlite::Error::SqlInputError { error, .. } => Some(error.code),
        other => other.sqlite_error_code(),
    }
}

/// Whether the same change would fail again, in whatever state the file and the disk are.
pub(super) fn is_refusal(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{ConstraintViolation, TooBig, TypeMismatch};
    match code_of(error) {
        Some(code) => matches!(code, ConstraintViolation | TooBig | TypeMismatch),
        // It did not even come to SQLite.
        None => true,
    }
}

/// A failure of this operation.
pub(super) fn failed<E: std::error::Error + Send + Sync + 'static>(
    operation: &'static str,
) -> impl FnOnce(E) -> StoreError {
    move |source| StoreError::Failed { operation, source: Box::new(source) }
}
