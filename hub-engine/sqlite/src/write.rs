//! What the writer does: one transaction for each batch.

use std::collections::{HashMap, HashSet};

use hub_core::action::Change;
use hub_core::job::Job;
use hub_core::state::JobState;
use hub_core::{JobId, JobStatus, Json, Timestamp};
use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::known::Gone;
use super::removal::{Effort, remove};
use super::rows::{WRITE_TASK, job_word, millis, write_task};

/// How many jobs one transaction forgets at most, so that commits get their turn in between.
const PRUNE_STEP: u64 = 200;

/// Where the rows of jobs are, as far as known: of those that have not ended.
pub(super) type Serials = HashMap<JobId, i64>;

/// Why a batch was not committed.
#[derive(Debug)]
pub(super) struct CommitError {
    /// The change at which it failed, where it was one.
    pub(super) change: Option<usize>,
    pub(super) source: rusqlite::Error,
}

impl From<rusqlite::Error> for CommitError {
    fn from(source: rusqlite::Error) -> Self {
        Self { change: None, source }
    }
}

/// Makes all changes, or none. Returns the jobs that are gone by them.
pub(super) fn commit(
    connection: &mut Connection,
    serials: &mut Serials,
    changes: &[Change],
) -> Result<Vec<Gone>, CommitError> {
    let transaction = connection.transaction()?;
    let mut batch = BatchWriter {
        transaction,
        serials,
        last: Last::of(changes),
        gone: Vec::new(),
        fresh: HashSet::new(),
        effort: Effort::new(),
    };
    for (at, change) in changes.iter().enumerate() {
        batch.write(at, change).map_err(|source| CommitError { change: Some(at), source })?;
    }
    let BatchWriter { transaction, serials, gone, .. } = batch;
    transaction.commit()?;
    for change in changes {
        if let Change::JobChanged { id, state } = change
            && state.status.is_terminal()
        {
            serials.remove(id);
        }
    }
    Ok(gone)
}

/// A batch that is being written.
struct BatchWriter<'a> {
    transaction: Transaction<'a>,
    serials: &'a mut Serials,
    last: Last<'a>,
    /// Jobs that it takes out.
    gone: Vec<Gone>,
    /// Jobs that it adds, as they stand at its end.
    fresh: HashSet<JobId>,
    /// What it may still delete.
    effort: Effort,
}

impl BatchWriter<'_> {
    fn write(&mut self, at: usize, change: &Change) -> rusqlite::Result<()> {
        match change {
            Change::JobAdded { id, job, submitted_at } => {
                let serial = match serial_in_file(&self.transaction, *id)? {
                    Some(serial) => serial,
                    None => {
                        self.fresh.insert(*id);
                        add(&self.transaction, *id, job, *submitted_at, self.last.state(*id))?
                    }
                };
                self.serials.insert(*id, serial);
            }
            Change::TaskChanged { job, index, state } if self.last.tasks.get(&(*job, *index)) == Some(&at) => {
                if let Some(serial) = serial(&self.transaction, self.serials, *job)? {
                    let mut statement = self.transaction.prepare_cached(WRITE_TASK)?;
                    write_task(&mut statement, serial, *index, state)?;
                }
            }
            Change::JobChanged { id, state } if self.last.jobs.get(id).is_some_and(|(last, _)| *last == at) => {
                if self.fresh.contains(id) {
                    return Ok(());
                }
                if let Some(serial) = serial(&self.transaction, self.serials, *id)? {
                    change_job(&self.transaction, serial, state)?;
                }
            }
            Change::TaskChanged { .. } | Change::JobChanged { .. } => {}
            Change::JobRemoved { id } => {
                if let Some(serial) = serial(&self.transaction, self.serials, *id)? {
                    self.gone.extend(remove(&self.transaction, serial, &mut self.effort)?);
                    // The same id may come again in this batch.
                    self.serials.remove(id);
                    self.fresh.remove(id);
                }
            }
        }
        Ok(())
    }
}

/// Of what changed several times in one batch only the last state counts.
struct Last<'a> {
    tasks: HashMap<(JobId, u32), usize>,
    jobs: HashMap<JobId, (usize, &'a JobState)>,
}

impl<'a> Last<'a> {
    fn of(changes: &'a [Change]) -> Self {
        let mut last = Self { tasks: HashMap::with_capacity(changes.len()), jobs: HashMap::new() };
        for (at, change) in changes.iter().enumerate() {
            match change {
                Change::TaskChanged { job, index, .. } => drop(last.tasks.insert((*job, *index), at)),
                Change::JobChanged { id, state } => drop(last.jobs.insert(*id, (at, state))),
                // What was before is not this job's.
                Change::JobAdded { id, .. } | Change::JobRemoved { id } => drop(last.jobs.remove(id)),
            }
        }
        last
    }

    /// How a job stands after the batch, if it changes in it.
    fn state(&self, id: JobId) -> Option<&'a JobState> {
        self.jobs.get(&id).map(|(_, state)| *state)
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

/// Forgets some of the oldest finished jobs beyond `keep`; returns them, none when there are no more.
pub(super) fn prune(connection: &mut Connection, keep: u64, limit: u64) -> rusqlite::Result<Vec<Gone>> {
    let transaction = connection.transaction()?;
    let finished: i64 =
        transaction.query_row("SELECT count(*) FROM jobs WHERE ended_at IS NOT NULL", [], |row| row.get(0))?;
    let doomed = finished.unsigned_abs().saturating_sub(keep).min(limit).min(PRUNE_STEP);
    let oldest: Vec<i64> = transaction
        .prepare_cached("SELECT serial FROM jobs WHERE ended_at IS NOT NULL ORDER BY serial LIMIT ?1")?
        .query_map([doomed.cast_signed()], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    let (mut gone, mut effort) = (Vec::with_capacity(oldest.len()), Effort::new());
    for serial in oldest {
        if effort.is_spent() {
            break;
        }
        gone.extend(remove(&transaction, serial, &mut effort)?);
    }
    transaction.commit()?;
    Ok(gone)
}

/// Adds a job as it stands after the batch; returns where it is.
fn add(
    transaction: &Transaction<'_>,
    id: JobId,
    job: &Job,
    submitted_at: Timestamp,
    state: Option<&JobState>,
) -> rusqlite::Result<i64> {
    let mut statement = transaction.prepare_cached(
        // Not where tasks of a removed job are left.
        "INSERT INTO jobs (serial, id, family, key, name, tasks, submitted_at, status, output, msg, started_at, ended_at,
             failed_task, failed_msg)
         VALUES (1 + max(coalesce((SELECT max(serial) FROM jobs), 0), coalesce((SELECT max(job) FROM tasks), 0)), ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
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
        job_word(state.map_or(JobStatus::Pending, |state| state.status)),
        state.and_then(|state| state.output.as_ref()).map(Json::get),
        state.and_then(|state| state.msg.as_deref()),
        state.and_then(|state| state.started_at).map(millis),
        state.and_then(|state| state.ended_at).map(millis),
        first_failure.map(|first| &*first.task),
        first_failure.map(|first| &*first.msg),
    ])?;
    let serial = transaction.last_insert_rowid();
    transaction
        .prepare_cached("INSERT INTO documents (job, document) VALUES (?1, ?2)")?
        .execute(params![serial, job.source()])?;
    Ok(serial)
}

fn change_job(transaction: &Transaction<'_>, serial: i64, state: &JobState) -> rusqlite::Result<()> {
    let mut statement = transaction.prepare_cached(
        "UPDATE jobs SET status = ?2, output = ?3, msg = ?4, started_at = ?5, ended_at = ?6, failed_task = ?7,
             failed_msg = ?8
         WHERE serial = ?1",
    )?;
    statement.execute(params![
        serial,
        job_word(state.status),
        state.output.as_ref().map(Json::get),
        state.msg.as_deref(),
        state.started_at.map(millis),
        state.ended_at.map(millis),
        state.first_failure.as_deref().map(|first| &*first.task),
        state.first_failure.as_deref().map(|first| &*first.msg),
    ])?;
    Ok(())
}

fn serial(transaction: &Transaction<'_>, serials: &mut Serials, id: JobId) -> rusqlite::Result<Option<i64>> {
    if let Some(serial) = serials.get(&id) {
        return Ok(Some(*serial));
    }
    let found = serial_in_file(transaction, id)?;
    if let Some(serial) = found {
        serials.insert(id, serial);
    }
    Ok(found)
}

fn serial_in_file(transaction: &Transaction<'_>, id: JobId) -> rusqlite::Result<Option<i64>> {
    transaction
        .prepare_cached("SELECT serial FROM jobs WHERE id = ?1")?
        .query_row([id.to_string()], |row| row.get(0))
        .optional()
}
