//! The transactions of the writer: one for each batch.

use std::borrow::Cow;
use std::collections::HashSet;

use hub_core::id::Family;
use hub_core::job::Job;
use hub_core::job_details::PauseRecord;
use hub_core::state::{ErrorKind, JobState};
use hub_core::{IdMap, JobId, JobStatus, Json, Timestamp};
use hub_engine::store::{Folded, Write};
use rusqlite::{CachedStatement, Connection, OptionalExtension, Transaction, params};

use super::definitions;
use super::kept_results::set_result;
use super::known::Gone;
use super::removal::{DeletionBudget, remove, remove_orphans};
use super::rows::{DETAILS, PINS, WRITE_TASK, millis, write_task, written};
use super::schedules;

/// Maximum number of jobs that one transaction removes, so that commits can run in between.
const PRUNE_STEP: u64 = 200;

/// A cache of the serials of jobs that have not ended.
pub(super) type Serials = IdMap<JobId, i64>;

/// Why a batch was not committed.
#[derive(Debug)]
pub(super) struct CommitError {
    /// The change that failed, if the error is about one.
    pub(super) change: Option<usize>,
    pub(super) source: rusqlite::Error,
}

impl From<rusqlite::Error> for CommitError {
    fn from(source: rusqlite::Error) -> Self {
        Self { change: None, source }
    }
}

/// Executes all writes or none. Returns the removed jobs.
pub(super) fn commit(
    connection: &mut Connection,
    serials: &mut Serials,
    writes: &[Folded<'_>],
) -> Result<Vec<Gone>, CommitError> {
    let transaction = connection.transaction()?;
    let mut gone = {
        let (tasks, gone, budget) = (transaction.prepare_cached(WRITE_TASK)?, Vec::new(), DeletionBudget::new());
        let mut batch = BatchWriter { transaction: &transaction, tasks, serials, gone, budget };
        for Folded { change, write } in writes {
            batch.write(write).map_err(|source| CommitError { change: Some(*change), source })?;
        }
        batch.gone
    };
    transaction.commit()?;
    for Folded { write, .. } in writes {
        match write {
            Write::SetJob { id, state } | Write::AddJob { id, state: Some(state), .. } => {
                if state.status.is_terminal() {
                    serials.remove(id);
                }
            }
            Write::AddJob { state: None, .. }
            | Write::RemoveJob { .. }
            | Write::SetTask { .. }
            | Write::SetPool { .. }
            | Write::SetResult { .. }
            | Write::AddDefinition { .. }
            | Write::SetAlias { .. }
            | Write::SetSchedule { .. }
            | Write::SetScheduleState { .. }
            | Write::RemoveSchedule { .. } => {}
        }
    }
    note_returned(&mut gone, writes);
    Ok(gone)
}

/// Marks the removed jobs that were added again.
fn note_returned(gone: &mut [Gone], writes: &[Folded<'_>]) {
    if gone.is_empty() {
        return;
    }
    let added = writes.iter().filter_map(|folded| match folded.write {
        Write::AddJob { id, .. } => Some(id.family()),
        Write::RemoveJob { .. }
        | Write::SetJob { .. }
        | Write::SetTask { .. }
        | Write::SetPool { .. }
        | Write::SetResult { .. }
        | Write::AddDefinition { .. }
        | Write::SetAlias { .. }
        | Write::SetSchedule { .. }
        | Write::SetScheduleState { .. }
        | Write::RemoveSchedule { .. } => None,
    });
    let added: HashSet<Family> = added.collect();
    gone.iter_mut().for_each(|gone| gone.has_returned = added.contains(&gone.family));
}

/// A batch that is being written.
struct BatchWriter<'a> {
    transaction: &'a Transaction<'a>,
    /// The statement of [`write_task`]. Looking it up for each task takes a tenth of the time of a commit.
    tasks: CachedStatement<'a>,
    serials: &'a mut Serials,
    /// The removed jobs.
    gone: Vec<Gone>,
    /// The budget of deletions.
    budget: DeletionBudget,
}

impl BatchWriter<'_> {
    fn write(&mut self, write: &Write<'_>) -> rusqlite::Result<()> {
        match *write {
            Write::RemoveJob { id } => {
                if let Some(serial) = self.serial(id)? {
                    self.gone.extend(remove(self.transaction, serial, &mut self.budget)?);
                    // The same id may be added again.
                    self.serials.remove(&id);
                }
            }
            Write::AddJob { id, job, submitted_at, state } => {
                let found = serial_in_file(self.transaction, id)?;
                let serial = match (found, state) {
                    (None, state) => add(self.transaction, id, job, submitted_at, state)?,
                    (Some(serial), Some(state)) => {
                        change_job(self.transaction, serial, state)?;
                        serial
                    }
                    (Some(serial), None) => serial,
                };
                self.serials.insert(id, serial);
            }
            Write::SetJob { id, state } => {
                if let Some(serial) = self.serial(id)? {
                    change_job(self.transaction, serial, state)?;
                }
            }
            Write::SetTask { job, index, state } => {
                if let Some(serial) = self.serial(job)? {
                    write_task(&mut self.tasks, serial, index, state)?;
                }
            }
            Write::AddDefinition { definition } => definitions::add(self.transaction, definition)?,
            Write::SetAlias { name, alias, version } => definitions::set_alias(self.transaction, name, alias, version)?,
            Write::SetSchedule { kept } => schedules::set(self.transaction, kept)?,
            Write::SetScheduleState { name, state } => schedules::set_state(self.transaction, name, state)?,
            Write::RemoveSchedule { name } => schedules::remove(self.transaction, name)?,
            Write::SetPool { pool, pause } => set_pool(self.transaction, pool, pause)?,
            Write::SetResult { key, kept } => set_result(self.transaction, key, kept)?,
        }
        Ok(())
    }

    /// The serial of a job.
    fn serial(&mut self, id: JobId) -> rusqlite::Result<Option<i64>> {
        if let Some(serial) = self.serials.get(&id) {
            return Ok(Some(*serial));
        }
        let found = serial_in_file(self.transaction, id)?;
        if let Some(serial) = found {
            self.serials.insert(id, serial);
        }
        Ok(found)
    }
}

/// Counts a start of the dispatcher.
pub(super) fn begin_incarnation(connection: &mut Connection) -> rusqlite::Result<u64> {
    connection.query_row(
        "INSERT INTO counters (name, value) VALUES ('incarnation', 1)
         ON CONFLICT (name) DO UPDATE SET value = value + 1 RETURNING value",
        [],
        |row| row.get::<_, i64>(0).map(i64::unsigned_abs),
    )
}

/// Removes some of the oldest finished jobs beyond `keep`, and returns them. Empty if there are no more. Sub-jobs do not count, and are
/// removed after their roots.
pub(super) fn prune(connection: &mut Connection, keep: u64, limit: u64) -> rusqlite::Result<Vec<Gone>> {
    let limit = limit.min(PRUNE_STEP).cast_signed();
    let orphans = remove_orphans(connection, limit)?;
    if !orphans.is_empty() {
        return Ok(orphans);
    }
    let transaction = connection.transaction()?;
    let count = "SELECT count(*) FROM jobs WHERE ended_at IS NOT NULL AND root IS NULL";
    let finished: i64 = transaction.query_row(count, [], |row| row.get(0))?;
    let beyond = finished.unsigned_abs().saturating_sub(keep).cast_signed();
    let oldest: Vec<i64> = transaction
        .prepare_cached("SELECT serial FROM jobs WHERE ended_at IS NOT NULL AND root IS NULL ORDER BY serial LIMIT ?1")?
        .query_map([beyond.min(limit)], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    let (mut gone, mut budget) = (Vec::with_capacity(oldest.len()), DeletionBudget::new());
    for serial in oldest {
        if budget.is_spent() {
            break;
        }
        gone.extend(remove(&transaction, serial, &mut budget)?);
    }
    transaction.commit()?;
    Ok(gone)
}

/// Adds a job in its state after the batch. Returns its serial.
fn add(
    transaction: &Transaction<'_>,
    id: JobId,
    job: &Job,
    submitted_at: Timestamp,
    state: Option<&JobState>,
) -> rusqlite::Result<i64> {
    let mut statement = transaction.prepare_cached(
        // Does not reuse a serial with remaining tasks of a removed job.
        "INSERT INTO jobs (serial, id, family, key, name, tasks, submitted_at, status, output, msg, started_at, ended_at,
             failed_task, failed_msg, failed_kind, failed_type, details, definition, root)
         VALUES (1 + max(coalesce((SELECT max(serial) FROM jobs), 0), coalesce((SELECT max(job) FROM tasks), 0)), ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17,
             (SELECT id FROM jobs WHERE id = ?18))",
    )?;
    let first_failure = state.and_then(|state| state.first_failure.as_deref());
    let tasks = i64::try_from(job.tasks().len()).unwrap_or(i64::MAX);
    statement.execute(params![
        id.to_string(),
        id.family().bytes(),
        job.key(),
        job.name(),
        tasks,
        millis(submitted_at),
        state.map_or(JobStatus::Pending, |state| state.status).as_str(),
        state.and_then(|state| state.output.as_ref()).map(Json::get),
        state.and_then(|state| state.msg.as_deref()),
        state.and_then(|state| state.started_at).map(millis),
        state.and_then(|state| state.ended_at).map(millis),
        first_failure.map(|first| &*first.task),
        first_failure.map(|first| &*first.msg),
        first_failure.and_then(|first| first.kind).map(ErrorKind::as_str),
        first_failure.and_then(|first| first.type_name.as_deref()),
        written(state.and_then(|state| state.details.as_deref()), DETAILS)?,
        job.definition().map(ToString::to_string),
        state.and_then(JobState::root).map(|root| root.to_string()),
    ])?;
    let serial = transaction.last_insert_rowid();
    transaction.prepare_cached("INSERT INTO documents (job, document, pins) VALUES (?1, ?2, ?3)")?.execute(params![
        serial,
        job.source(),
        written((!job.pins().is_empty()).then_some(&**job.pins()), PINS)?
    ])?;
    let labels = state.map_or(Cow::Borrowed(&**job.labels()), |state| state.labels(job));
    for (name, value) in &*labels {
        transaction
            .prepare_cached("INSERT INTO labels (job, name, value) VALUES (?1, ?2, ?3)")?
            .execute(params![serial, &**name, &**value])?;
    }
    Ok(serial)
}

fn change_job(transaction: &Transaction<'_>, serial: i64, state: &JobState) -> rusqlite::Result<()> {
    let mut statement = transaction.prepare_cached(
        "UPDATE jobs SET status = ?2, output = ?3, msg = ?4, started_at = ?5, ended_at = ?6, failed_task = ?7,
             failed_msg = ?8, failed_kind = ?9, failed_type = ?10, details = ?11, root = (SELECT id FROM jobs WHERE id = ?12)
         WHERE serial = ?1",
    )?;
    let first_failure = state.first_failure.as_deref();
    statement.execute(params![
        serial,
        state.status.as_str(),
        state.output.as_ref().map(Json::get),
        state.msg.as_deref(),
        state.started_at.map(millis),
        state.ended_at.map(millis),
        first_failure.map(|first| &*first.task),
        first_failure.map(|first| &*first.msg),
        first_failure.and_then(|first| first.kind).map(ErrorKind::as_str),
        first_failure.and_then(|first| first.type_name.as_deref()),
        written(state.details.as_deref(), DETAILS)?,
        state.root().map(|root| root.to_string()),
    ])?;
    Ok(())
}

fn set_pool(transaction: &Transaction<'_>, pool: &str, pause: Option<&PauseRecord>) -> rusqlite::Result<()> {
    match written(pause, 1)? {
        Some(pause) => transaction
            .prepare_cached("REPLACE INTO paused_pools (name, pause) VALUES (?1, ?2)")?
            .execute(params![pool, pause]),
        None => transaction.prepare_cached("DELETE FROM paused_pools WHERE name = ?1")?.execute([pool]),
    }
    .map(drop)
}

fn serial_in_file(transaction: &Transaction<'_>, id: JobId) -> rusqlite::Result<Option<i64>> {
    transaction
        .prepare_cached("SELECT serial FROM jobs WHERE id = ?1")?
        .query_row([id.to_string()], |row| row.get(0))
        .optional()
}
