//! What failures of SQLite and of the file system mean for the store.

use std::path::Path;

use hub_engine::store::StoreError;
use rusqlite::ffi::SQLITE_IOERR_SHORT_READ;

use super::error::{SqliteError, Unexpected};
use super::migrations::missing_column;

/// What an error of SQLite's means.
pub(super) fn meaning(operation: &'static str, path: &Path, error: rusqlite::Error) -> StoreError {
    use rusqlite::ErrorCode::{
        ApiMisuse, DatabaseCorrupt, InternalMalfunction, NotADatabase, ParameterOutOfRange, Unknown,
    };
    let is_short = |error: &rusqlite::Error| {
        error.sqlite_error().is_some_and(|error| error.extended_code == SQLITE_IOERR_SHORT_READ)
    };
    match code_of(&error) {
        // Only the log can end within a page: where it was cut off while it is in use.
        _ if is_short(&error) => SqliteError::damaged_log(path, error).into(),
        Some(DatabaseCorrupt | NotADatabase) => {
            SqliteError::Damaged { path: path.to_owned(), source: Box::new(error) }.into()
        }
        // The first is the generic code: the tables were altered, or the statement is wrong.
        Some(Unknown | InternalMalfunction | ApiMisuse | ParameterOutOfRange) => match missing_column(path) {
            Some(column) => {
                let source = format!("its column {column} is missing").into();
                SqliteError::Damaged { path: path.to_owned(), source }.into()
            }
            None => StoreError::Failed { operation, source: Box::new(Unexpected(error)) },
        },
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

#[cfg(test)]
mod tests {
    use rusqlite::Connection;
    use rusqlite::ffi::{self, SQLITE_CORRUPT, SQLITE_FULL, SQLITE_INTERNAL, SQLITE_IOERR, SQLITE_NOTADB};

    use super::super::{SqliteSettings, SqliteStore};
    use super::*;

    /// The whole text of an error.
    fn text(error: &dyn std::error::Error) -> String {
        let mut text = error.to_string();
        let mut next = error.source();
        while let Some(cause) = next {
            text = format!("{text}: {cause}");
            next = cause.source();
        }
        text
    }

    #[test]
    fn a_wrong_statement_is_a_bug_and_the_store_is_not_called_damaged() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("hub.db");
        drop(SqliteStore::open(SqliteSettings::new(path.clone())).unwrap());
        let wrong = |path: &Path| {
            let connection = Connection::open(path).unwrap();
            let statement = "SELECT no_such_column FROM jobs";
            meaning("list jobs", path, connection.query_row(statement, [], |_| Ok(())).unwrap_err())
        };
        let error = wrong(&path);
        assert!(matches!(error, StoreError::Failed { operation: "list jobs", .. }), "{error:?}");
        assert!(text(&error).contains("bug") && text(&error).contains("no_such_column"), "{}", text(&error));
        // The same statement in a file whose tables are not Hub's.
        Connection::open(&path)
            .unwrap()
            .execute_batch("DROP VIEW task_list; ALTER TABLE documents DROP COLUMN document")
            .unwrap();
        let error = wrong(&path);
        assert!(matches!(SqliteError::of(&error), Some(SqliteError::Damaged { .. })), "{error:?}");
        assert!(text(&error).contains("documents.document"), "{}", text(&error));
    }

    #[test]
    fn only_damage_is_called_damage() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("hub.db");
        let of = |code| meaning("commit", &path, rusqlite::Error::SqliteFailure(ffi::Error::new(code), None));
        for code in [SQLITE_CORRUPT, SQLITE_NOTADB] {
            assert!(of(code).is_final(), "{code}");
        }
        for (code, is_bug) in
            [(SQLITE_IOERR, false), (SQLITE_FULL, false), (SQLITE_INTERNAL, true), (ffi::SQLITE_ERROR, true)]
        {
            let error = of(code);
            assert!(!error.is_final() && text(&error).contains("bug") == is_bug, "{code}: {}", text(&error));
        }
    }
}
