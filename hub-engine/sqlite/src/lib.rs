//! The store in one SQLite file, in the journal mode WAL with `synchronous=FULL`: what was committed is there
//! after a crash of the process and of the machine.
//!
//! One thread writes. What waits for it is one transaction for each batch, and the dispatcher's batches grow
//! while it syncs. Readers have connections of their own and see the last commit. The form of the file is
//! `schema.sql`; docs/store.md explains it to users of the `sqlite3` shell.

mod error;
mod failure;
mod filesystem;
mod identity;
mod known;
mod lock;
mod log;
mod log_path;
mod migrations;
mod read;
mod readers;
mod removal;
mod rows;
mod schema;
mod settings;
mod store;
mod write;
mod writer;

pub use error::SqliteError;
pub use settings::SqliteSettings;
pub use store::SqliteStore;
