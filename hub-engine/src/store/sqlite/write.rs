//! What the writer does: one transaction for each batch.

use std::collections::HashMap;

use hub_core::JobId;
use hub_core::action::Change;
use hub_core::job::Job;
use hub_core::state::JobState;
use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::rows::{TASK_COLUMNS, job_word, millis, write_task};

/// How many jobs one transaction forgets at most, so that commits get their turn in between.
const PRUNE_STEP: u64 = 200;

/// Where the rows of jobs are, as far as known: of those that have not ended.
pub(super) type Serials = HashMap<JobId, i64>;

/// Makes all changes, or none.
pub(super) fn commit(connection: &mut Connection, serials: &mut Serials, changes: &[Change]) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    // Of a task that changed several times in one batch only the last state counts.
    let mut last = HashMap::with_capacity(changes.len());
    for (at, change) in changes.iter().enumerate() {
        if let Change::TaskChanged { job, index, .. } = change {
            last.insert((*job, *index), at);
        }
    }
    for (at, change) in changes.iter().enumerate() {
        match change {
            Change::JobAdded { id, job, submitted_at } => {
                if let Some(serial) = add(&transaction, *id, job, millis(*submitted_at))? {
                    serials.insert(*id, serial);
                }
            }
            Change::TaskChanged { job, index, state } if last.get(&(*job, *index)) == Some(&at) => {
                if let Some(serial) = serial(&transaction, serials, *job)? {
                    let mut statement = transaction.prepare_cached(&format!(
                        "REPLACE INTO tasks (job, {TASK_COLUMNS})
                         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)"
                    ))?;
                    write_task(&mut statement, serial, *index, state)?;
                }
            }
            Change::TaskChanged { .. } => {}
            Change::JobChanged { id, state } => change_job(&transaction, *id, state)?,
            Change::JobRemoved { id } => {
                if let Some(serial) = serial(&transaction, serials, *id)? {
                    remove(&transaction, serial)?;
                }
            }
        }
    }
    transaction.commit()?;
    for change in changes {
        match change {
            Change::JobChanged { id, state } if state.status.is_terminal() => drop(serials.remove(id)),
            Change::JobRemoved { id } => drop(serials.remove(id)),
            _ => {}
        }
    }
    Ok(())
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

/// Forgets some of the oldest finished jobs beyond `keep`; returns how many, 0 when there are no more.
pub(super) fn prune(connection: &mut Connection, keep: u64, limit: u64) -> rusqlite::Result<u64> {
    let transaction = connection.transaction()?;
    let finished: i64 =
        transaction.query_row("SELECT count(*) FROM jobs WHERE ended_at IS NOT NULL", [], |row| row.get(0))?;
    let doomed = finished.unsigned_abs().saturating_sub(keep).min(limit).min(PRUNE_STEP);
    let serials: Vec<i64> = transaction
        .prepare_cached("SELECT serial FROM jobs WHERE ended_at IS NOT NULL ORDER BY serial LIMIT ?1")?
        .query_map([doomed.cast_signed()], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    for serial in serials {
        remove(&transaction, serial)?;
    }
    transaction.commit()?;
    Ok(doomed)
}

/// Adds a job. `None`: it is there already.
fn add(transaction: &Transaction<'_>, id: JobId, job: &Job, submitted_at: i64) -> rusqlite::Result<Option<i64>> {
    let known = serial_in_file(transaction, id)?;
    if known.is_some() {
        return Ok(known);
    }
    let mut statement = transaction.prepare_cached(
        "INSERT INTO jobs (id, family, key, name, status, tasks, submitted_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    let tasks = i64::try_from(job.tasks().len()).unwrap_or(i64::MAX);
    let status = job_word(hub_core::JobStatus::Pending);
    let family = id.family();
    statement.execute(params![id.to_string(), family.bytes(), job.key(), job.name(), status, tasks, submitted_at])?;
    let serial = transaction.last_insert_rowid();
    transaction
        .prepare_cached("INSERT INTO documents (job, document) VALUES (?1, ?2)")?
        .execute(params![serial, job.source()])?;
    Ok(Some(serial))
}

fn change_job(transaction: &Transaction<'_>, id: JobId, state: &JobState) -> rusqlite::Result<()> {
    let mut statement = transaction.prepare_cached(
        "UPDATE jobs SET status = ?2, output = ?3, msg = ?4, started_at = ?5, ended_at = ?6 WHERE id = ?1",
    )?;
    statement.execute(params![
        id.to_string(),
        job_word(state.status),
        state.output.as_ref().map(hub_core::Json::get),
        state.msg.as_deref(),
        state.started_at.map(millis),
        state.ended_at.map(millis),
    ])?;
    Ok(())
}

fn remove(transaction: &Transaction<'_>, serial: i64) -> rusqlite::Result<()> {
    for statement in [
        "DELETE FROM tasks WHERE job = ?1",
        "DELETE FROM documents WHERE job = ?1",
        "DELETE FROM jobs WHERE serial = ?1",
    ] {
        transaction.prepare_cached(statement)?.execute([serial])?;
    }
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
