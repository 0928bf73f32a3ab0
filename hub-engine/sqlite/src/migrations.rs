//! The versions of the file, and whether a file still has the tables of its version.

use std::collections::BTreeSet;
use std::path::Path;

use rusqlite::{Connection, OpenFlags};

/// What makes a file of version n one of version n + 1, from the empty file on. None is changed once a store may have it.
pub(super) const MIGRATIONS: [&str; 9] = [
    include_str!("schema.sql"),
    "ALTER TABLE tasks RENAME COLUMN attempt TO issue;",
    "ALTER TABLE tasks ADD COLUMN details TEXT; ALTER TABLE jobs ADD COLUMN details TEXT;",
    "CREATE TABLE paused_pools (name TEXT NOT NULL PRIMARY KEY, pause TEXT NOT NULL) STRICT, WITHOUT ROWID;",
    "CREATE TABLE kept_results (key TEXT NOT NULL PRIMARY KEY, job TEXT NOT NULL, task TEXT NOT NULL, \
     kept_at INTEGER NOT NULL, kept_until INTEGER NOT NULL, data TEXT NOT NULL) STRICT;",
    "ALTER TABLE jobs ADD COLUMN root TEXT; \
     UPDATE jobs SET root = json_extract(details, '$.parent.root') \
         WHERE json_extract(details, '$.parent.root') IN (SELECT id FROM jobs); \
     DROP INDEX jobs_finished; \
     CREATE INDEX jobs_finished ON jobs (serial) WHERE ended_at IS NOT NULL AND root IS NULL; \
     CREATE INDEX jobs_roots ON jobs (serial) WHERE root IS NULL; \
     CREATE INDEX jobs_by_root ON jobs (root, serial) WHERE root IS NOT NULL;",
    "ALTER TABLE jobs ADD COLUMN failed_kind TEXT; ALTER TABLE jobs ADD COLUMN failed_type TEXT; \
     CREATE TABLE labels (job INTEGER NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (name, value, job)) \
         STRICT, WITHOUT ROWID; \
     CREATE INDEX labels_by_job ON labels (job); \
     DROP INDEX jobs_by_name; DROP INDEX jobs_by_status; \
     CREATE INDEX jobs_by_name ON jobs (name, serial, root); \
     CREATE INDEX jobs_by_status ON jobs (status, serial, root); \
     CREATE INDEX jobs_search ON jobs (serial, root, status, submitted_at, started_at, ended_at, name, failed_task, failed_kind, \
         failed_type, key);",
    "CREATE TABLE definitions (name TEXT NOT NULL, version INTEGER NOT NULL, created_at INTEGER NOT NULL, made_by TEXT, \
         document TEXT NOT NULL, PRIMARY KEY (name, version)) STRICT; \
     CREATE TABLE aliases (name TEXT NOT NULL, alias TEXT NOT NULL, version INTEGER NOT NULL, PRIMARY KEY (name, alias)) \
         STRICT, WITHOUT ROWID; \
     ALTER TABLE documents ADD COLUMN pins TEXT; \
     ALTER TABLE jobs ADD COLUMN definition TEXT; \
     DROP INDEX jobs_search; \
     CREATE INDEX jobs_search ON jobs (serial, root, status, submitted_at, started_at, ended_at, name, failed_task, failed_kind, \
         failed_type, key, definition);",
    "CREATE TABLE schedules (name TEXT NOT NULL PRIMARY KEY, uid TEXT NOT NULL, created_at INTEGER NOT NULL, \
         changed_at INTEGER NOT NULL, made_by TEXT, document TEXT NOT NULL, state TEXT NOT NULL) STRICT;",
];

/// The version that this program writes.
pub(super) const fn current_version() -> usize {
    MIGRATIONS.len()
}

/// A column of Hub's that the file at `path` does not have, as `table.column`: somebody has altered its tables. `None` where all
/// are there, or the file cannot be read.
pub(super) fn missing_column(path: &Path) -> Option<String> {
    let missing = || -> rusqlite::Result<Option<String>> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let file = Connection::open_with_flags(path, flags)?;
        let version: i64 = file.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        let expected = Connection::open_in_memory()?;
        MIGRATIONS
            .iter()
            .take(usize::try_from(version).unwrap_or(0))
            .try_for_each(|step| expected.execute_batch(step))?;
        let present = columns(&file)?;
        Ok(columns(&expected)?.difference(&present).next().cloned())
    };
    missing().ok().flatten()
}

/// The columns of every table, as `table.column`.
fn columns(connection: &Connection) -> rusqlite::Result<BTreeSet<String>> {
    let columns = "SELECT tables.name || '.' || columns.name \
         FROM sqlite_schema AS tables JOIN pragma_table_info(tables.name) AS columns WHERE tables.type = 'table'";
    connection.prepare(columns)?.query_map([], |row| row.get(0))?.collect()
}
