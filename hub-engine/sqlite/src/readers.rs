//! Connections for reading.
//!
//! They are closed before the writer's connection: SQLite checkpoints its log when the last connection is closed, and a
//! read-only connection cannot do that.

use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::Connection;

use super::failure::{failed, meaning};
use super::identity::Identity;
use super::log::Doubt;
use super::schema;
use hub_engine::store::StoreError;

/// The pool of read connections. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct Readers {
    path: Arc<Path>,
    identity: Identity,
    doubt: Doubt,
    pool: Arc<(Mutex<Pool>, Condvar)>,
}

#[derive(Debug, Default)]
struct Pool {
    idle: Vec<Connection>,
    busy: usize,
    closed: bool,
}

impl Readers {
    /// Creates a pool for this file.
    pub(super) fn new(path: Arc<Path>, identity: Identity, doubt: Doubt) -> Self {
        Self { path, identity, doubt, pool: Arc::default() }
    }

    /// Executes a query on a blocking thread.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        operation: &'static str,
        read: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let readers = self.clone();
        let reading = tokio::task::spawn_blocking(move || readers.read_here(operation, read));
        reading.await.map_err(failed(operation))?
    }

    fn read_here<T>(
        &self,
        operation: &'static str,
        read: impl FnOnce(&mut Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let (idle, busy) = self.begin()?;
        let mut connection = match idle {
            Some(connection) => connection,
            None => {
                self.identity.check_store()?;
                schema::open_to_read(&self.path)?
            }
        };
        // A connection that has failed is not used again.
        let found = read(&mut connection).map_err(|error| {
            let error = meaning(operation, &self.path, error);
            self.doubt.note(&error);
            error
        })?;
        busy.end_with(connection);
        Ok(found)
    }

    fn begin(&self) -> Result<(Option<Connection>, Busy<'_>), StoreError> {
        let mut pool = self.pool();
        if pool.closed {
            return Err(StoreError::Closed);
        }
        pool.busy += 1;
        Ok((pool.idle.pop(), Busy(self)))
    }

    /// Refuses further queries, and waits for running ones, at most for `limit`.
    pub(super) fn close(&self, limit: Duration) {
        let mut pool = self.pool();
        pool.closed = true;
        pool.idle.clear();
        let waited = self.pool.1.wait_timeout_while(pool, limit, |pool| pool.busy > 0);
        if waited.is_ok_and(|(_, waited)| waited.timed_out()) {
            tracing::warn!("the store is closed while it is being read: its log is checkpointed at the next start");
        }
    }

    fn pool(&self) -> MutexGuard<'_, Pool> {
        // No code panics while holding this lock.
        self.pool.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A busy connection, until this is dropped.
struct Busy<'a>(&'a Readers);

impl Busy<'_> {
    /// Returns the connection to the pool.
    fn end_with(self, connection: Connection) {
        let mut pool = self.0.pool();
        if !pool.closed {
            pool.idle.push(connection);
        }
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        let mut pool = self.0.pool();
        pool.busy -= 1;
        if pool.busy == 0 {
            self.0.pool.1.notify_all();
        }
    }
}
