//! The store in one SQLite file, in the journal mode WAL with `synchronous=FULL`. Committed changes survive a crash of
//! the process and of the machine.
//!
//! One thread writes, with one transaction for each batch, and the dispatcher's batches grow while it syncs. Readers
//! have separate connections and see the last commit. The schema is `schema.sql`; docs/store.md explains it to users of
//! the `sqlite3` shell.

mod definitions;
mod document;
mod error;
mod failure;
mod filesystem;
mod identity;
mod kept_results;
mod known;
mod lock;
mod log;
mod log_path;
mod migrations;
mod read;
mod readers;
mod removal;
mod rows;
mod schedules;
mod schema;
mod search;
mod settings;
mod store;
mod write;
mod writer;

pub use error::SqliteError;
pub use settings::SqliteSettings;
pub use store::SqliteStore;
