//! The thread that writes: one order after the other.

use std::collections::VecDeque;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use hub_core::action::Change;
use rusqlite::Connection;
use rusqlite::config::DbConfig;
use tokio::sync::oneshot;

use super::error::SqliteError;
use super::failure::{failed, is_refusal, meaning};
use super::identity::Identity;
use super::known::{Gone, Known};
use super::log::{self, Doubt};
use super::log_path::log_path;
use super::settings::SqliteSettings;
use super::write::{self, CommitError, Serials};
use super::{removal, schema};
use hub_engine::store::{Folded, StoreError, fold};

/// How often the writer looks whether its files are still where they were opened.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Something for the writer to do.
pub(super) enum Order {
    Begin(oneshot::Sender<Result<u64, StoreError>>),
    Commit(Arc<Vec<Change>>, oneshot::Sender<Result<(), StoreError>>),
    Prune { keep: u64, limit: u64, done: oneshot::Sender<Result<u64, StoreError>> },
    Close(oneshot::Sender<Result<(), StoreError>>),
}

/// The thread that writes.
pub(super) struct Writer {
    settings: SqliteSettings,
    /// `None` after a failure: the next order begins with a new one.
    connection: Option<Connection>,
    /// The files that were opened, and when they were looked at last.
    identity: Identity,
    looked_at: Instant,
    serials: Serials,
    known: Known,
    /// Removed jobs of which tasks are left.
    left: VecDeque<i64>,
    /// These could not be deleted: they are tried again when something else has been written.
    left_failed: bool,
    /// Length of the log when it was looked at last, in bytes.
    log_length: u64,
    /// Where the log has been cut off, as when another program folds it in, or damages it. The next transaction shows which.
    log_cut_at: Option<u64>,
    /// Nothing is written any more: SQLite would write the damage into the store.
    log_is_damaged: bool,
    doubt: Doubt,
}

impl Writer {
    /// With a connection to the files of `identity`.
    ///
    /// # Errors
    /// Where they cannot be read.
    pub(super) fn new(
        settings: SqliteSettings,
        connection: Connection,
        identity: Identity,
        known: Known,
        doubt: Doubt,
    ) -> Result<Self, StoreError> {
        let left = removal::left(&connection)
            .map_err(|error| meaning("read which jobs were removed", &settings.path, error))?;
        Ok(Self {
            settings,
            connection: Some(connection),
            identity,
            looked_at: Instant::now(),
            serials: Serials::new(),
            known,
            left: left.into(),
            left_failed: false,
            log_length: 0,
            log_cut_at: None,
            log_is_damaged: false,
            doubt,
        })
    }

    /// Carries out orders until it is told to close, or no further order can come.
    pub(super) fn run(mut self, orders: &mpsc::Receiver<Order>) {
        // The order is carried out also when its sender has gone meanwhile.
        while let Ok(order) = self.next(orders) {
            match order {
                Order::Begin(done) => {
                    let begin = |connection: &mut Connection, _: &mut Serials| write::begin_incarnation(connection);
                    let _ = done.send(self.with("count this start", begin));
                }
                Order::Commit(changes, done) => {
                    let writes = fold(&changes);
                    self.known.note(&writes);
                    let gone = self.commit(&writes);
                    let _ = done.send(self.forget(gone).map(drop));
                }
                Order::Prune { keep, limit, done } => {
                    let prune = |connection: &mut Connection, _: &mut Serials| write::prune(connection, keep, limit);
                    let gone = self.with("forget old jobs", prune);
                    let _ = done.send(self.forget(gone));
                }
                Order::Close(done) => {
                    self.close();
                    let _ = done.send(Ok(()));
                    return;
                }
            }
        }
        self.close();
    }

    /// Closes the file. With the last connection SQLite folds the log into it, without a look at what the log holds: a damaged one
    /// stays as it is, for the next start.
    fn close(&mut self) {
        let connection = self.connection.take();
        self.look_at_log();
        // Of a log that was cut off at its beginning SQLite takes nothing.
        if self.doubt.is_there() || self.log_cut_at.is_some_and(|at| at > 0) {
            tracing::warn!("{} is left beside the store: it may be damaged", log_path(&self.settings.path).display());
        } else if let Some(connection) = connection
            && let Err(error) = connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)
        {
            tracing::debug!(%error, "the store's log is left beside it");
        }
    }

    /// The next order. Until there is one, what is left of removed jobs is deleted.
    fn next(&mut self, orders: &mpsc::Receiver<Order>) -> Result<Order, mpsc::RecvError> {
        while let Some(serial) = self.left.front().copied().filter(|_| !self.left_failed) {
            match orders.try_recv() {
                Ok(order) => return Ok(order),
                Err(mpsc::TryRecvError::Disconnected) => return Err(mpsc::RecvError),
                Err(mpsc::TryRecvError::Empty) => {}
            }
            match self.with("delete tasks of a removed job", |connection, _| removal::delete_left(connection, serial)) {
                Ok(true) => drop(self.left.pop_front()),
                Ok(false) => {}
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "tasks of a removed job are left for now");
                    self.left_failed = true;
                }
            }
        }
        orders.recv()
    }

    fn commit(&mut self, writes: &[Folded<'_>]) -> Result<Vec<Gone>, StoreError> {
        if self.looked_at.elapsed() >= LOOK_EVERY {
            self.identity.check()?;
            self.looked_at = Instant::now();
        }
        let mut refused = None;
        let commit = |connection: &mut Connection, serials: &mut Serials| {
            write::commit(connection, serials, writes).map_err(|CommitError { change, source }| {
                refused = change.filter(|_| is_refusal(&source));
                source
            })
        };
        let outcome = self.with("commit", commit);
        match (outcome, refused) {
            (Err(StoreError::Failed { source, .. }), Some(change)) => Err(StoreError::Refused { change, source }),
            (outcome, _) => outcome,
        }
    }

    fn look_at_log(&mut self) {
        let length = log::length(&self.settings.path);
        if length < self.log_length && !log::is_own_cut(length) {
            self.log_cut_at = Some(length);
        }
        self.log_length = length;
    }

    /// Called after a transaction: that has begun the log anew, or stands behind a hole.
    ///
    /// # Errors
    /// `DamagedLog` where it stands behind a hole. SQLite would write the hole into the store.
    fn check_log(&mut self) -> Result<(), StoreError> {
        let cut_at = self.log_cut_at.take();
        self.look_at_log();
        if cut_at.is_some_and(|at| log::has_hole(&self.settings.path, at)) {
            return Err(SqliteError::damaged_log(&self.settings.path, "it was cut off while it was in use").into());
        }
        Ok(())
    }

    /// Notes which jobs are gone; returns how many.
    fn forget(&mut self, gone: Result<Vec<Gone>, StoreError>) -> Result<u64, StoreError> {
        let gone = gone?;
        let count = gone.len() as u64;
        self.left.extend(gone.iter().filter_map(|gone| gone.left));
        self.left_failed = false;
        self.known.forget(gone);
        Ok(count)
    }

    /// Does something with a connection that is known to be good. After an error nothing is known of the
    /// connection's state, nor whether its page cache holds what the disk has: it is closed.
    fn with<T>(
        &mut self,
        operation: &'static str,
        write: impl FnOnce(&mut Connection, &mut Serials) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        if self.log_is_damaged {
            let found = "this was found when something was written before";
            return Err(SqliteError::damaged_log(&self.settings.path, found).into());
        }
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.open_again()?,
        };
        self.look_at_log();
        let written = write(&mut connection, &mut self.serials);
        let written = written.map_err(|error| meaning(operation, &self.settings.path, error));
        match written.and_then(|done| self.check_log().map(|()| done)) {
            Ok(done) => {
                self.connection = Some(connection);
                Ok(done)
            }
            Err(error) => {
                self.serials.clear();
                self.log_is_damaged = matches!(SqliteError::of(&error), Some(SqliteError::DamagedLog { .. }));
                self.doubt.note(&error);
                Err(error)
            }
        }
    }

    /// Opens the same file once more: never a new one in its place.
    fn open_again(&mut self) -> Result<Connection, StoreError> {
        self.identity.check_store()?;
        let connection = schema::open_to_write(&self.settings.path, self.settings.max_bytes)?;
        self.identity = Identity::of(&self.settings.path).map_err(failed("look at the file"))?;
        (self.log_length, self.log_cut_at) = (0, None);
        Ok(connection)
    }
}
