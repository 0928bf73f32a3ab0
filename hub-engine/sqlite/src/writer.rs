//! The thread that writes: executes one command after another.

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

/// Maximum number of sub-jobs that one transaction removes, so that commits can run in between.
const ORPHANS_STEP: i64 = 200;
/// Interval at which the writer checks that its files were not replaced.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// A command for the writer.
pub(super) enum Order {
    Begin(oneshot::Sender<Result<u64, StoreError>>),
    Commit(Arc<Vec<Change>>, oneshot::Sender<Result<(), StoreError>>),
    Prune { keep: u64, limit: u64, done: oneshot::Sender<Result<u64, StoreError>> },
    Close(oneshot::Sender<Result<(), StoreError>>),
}

/// The thread that writes.
pub(super) struct Writer {
    settings: SqliteSettings,
    /// `None` after a failure. The next command opens a new one.
    connection: Option<Connection>,
    /// The open files.
    identity: Identity,
    looked_at: Instant,
    serials: Serials,
    known: Known,
    /// Removed jobs with remaining tasks.
    left: VecDeque<i64>,
    /// Whether there may be sub-jobs whose root was removed.
    may_have_orphans: bool,
    /// Whether deleting these or those has failed. It is tried again after the next successful write.
    left_failed: bool,
    /// Size of the log in bytes at the last check.
    log_length: u64,
    /// The place at which the log was truncated, by a checkpoint of another program or by damage. The next transaction
    /// shows which.
    log_cut_at: Option<u64>,
    /// Whether the log is damaged. Then nothing is written, because SQLite would write the damage into the store.
    log_is_damaged: bool,
    doubt: Doubt,
}

impl Writer {
    /// Creates a writer with a connection to the files of `identity`.
    ///
    /// # Errors
    /// If they cannot be read.
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
            serials: Serials::default(),
            known,
            left: left.into(),
            may_have_orphans: true,
            left_failed: false,
            log_length: 0,
            log_cut_at: None,
            log_is_damaged: false,
            doubt,
        })
    }

    /// Executes commands until it is closed or all senders are dropped.
    pub(super) fn run(mut self, orders: &mpsc::Receiver<Order>) {
        // A command is executed even if its sender was dropped.
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
                    let gone = self.with("remove old jobs", prune);
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

    /// Closes the file. When the last connection is closed, SQLite checkpoints the log without checking it. So a
    /// damaged log is left unchanged for the next start.
    fn close(&mut self) {
        let connection = self.connection.take();
        self.look_at_log();
        // SQLite ignores a log that was truncated at its beginning.
        if self.doubt.is_there() || self.log_cut_at.is_some_and(|at| at > 0) {
            tracing::warn!("{} is left unchanged: it may be damaged", log_path(&self.settings.path).display());
        } else if let Some(connection) = connection
            && let Err(error) = connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)
        {
            tracing::debug!(%error, "the store's log is not checkpointed");
        }
    }

    /// The next command. While there is none, deletes what is left of removed jobs.
    fn next(&mut self, orders: &mpsc::Receiver<Order>) -> Result<Order, mpsc::RecvError> {
        while !self.left_failed && (self.may_have_orphans || !self.left.is_empty()) {
            match orders.try_recv() {
                Ok(order) => return Ok(order),
                Err(mpsc::TryRecvError::Disconnected) => return Err(mpsc::RecvError),
                Err(mpsc::TryRecvError::Empty) => {}
            }
            if let Err(error) = self.delete_left() {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "failed to delete what is left of a removed job; this is tried again later"
                );
                self.left_failed = true;
            }
        }
        orders.recv()
    }

    /// Deletes some tasks or some sub-jobs of removed jobs.
    fn delete_left(&mut self) -> Result<(), StoreError> {
        if let Some(serial) = self.left.front().copied() {
            let delete = |connection: &mut Connection, _: &mut Serials| removal::delete_left(connection, serial);
            if self.with("delete tasks of a removed job", delete)? {
                self.left.pop_front();
            }
            return Ok(());
        }
        let remove = |connection: &mut Connection, _: &mut Serials| removal::remove_orphans(connection, ORPHANS_STEP);
        let gone = self.with("remove sub-jobs of a removed job", remove);
        self.may_have_orphans = self.forget(gone)? > 0;
        Ok(())
    }

    fn commit(&mut self, writes: &[Folded<'_>]) -> Result<Vec<Gone>, StoreError> {
        if self.looked_at.elapsed() >= CHECK_INTERVAL {
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

    /// Checks the log after a transaction, which has either restarted the log or follows a hole.
    ///
    /// # Errors
    /// `DamagedLog` if the transaction follows a hole, which SQLite would write into the store.
    fn check_log(&mut self) -> Result<(), StoreError> {
        let cut_at = self.log_cut_at.take();
        self.look_at_log();
        if cut_at.is_some_and(|at| log::has_hole(&self.settings.path, at)) {
            return Err(SqliteError::damaged_log(&self.settings.path, "it was truncated while it was in use").into());
        }
        Ok(())
    }

    /// Records the removed jobs. Returns their number.
    fn forget(&mut self, gone: Result<Vec<Gone>, StoreError>) -> Result<u64, StoreError> {
        let gone = gone?;
        let count = gone.len() as u64;
        self.left.extend(gone.iter().filter_map(|gone| gone.left));
        self.may_have_orphans |= count > 0;
        self.left_failed = false;
        self.known.forget(gone);
        Ok(count)
    }

    /// Executes an operation with a connection. After an error the connection is closed, because its state and its page
    /// cache may be inconsistent with the disk.
    fn with<T>(
        &mut self,
        operation: &'static str,
        write: impl FnOnce(&mut Connection, &mut Serials) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        if self.log_is_damaged {
            let found = "the damage was found by an earlier write";
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

    /// Opens the same file again, but not a file that has replaced it.
    fn open_again(&mut self) -> Result<Connection, StoreError> {
        self.identity.check_store()?;
        let connection = schema::open_to_write(&self.settings.path, self.settings.max_bytes)?;
        self.identity = Identity::of(&self.settings.path).map_err(failed("look at the file"))?;
        (self.log_length, self.log_cut_at) = (0, None);
        Ok(connection)
    }
}
