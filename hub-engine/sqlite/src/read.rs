//! The queries of readers.

use std::collections::HashSet;
use std::sync::Arc;

use hub_core::JobId;
use hub_core::id::Family;
use hub_core::job::ItemPlace;
use hub_core::job_details::PauseRecord;
use hub_core::state::{JobSnapshot, JobSummary, TASK_WEIGHT};
use rusqlite::{Connection, OptionalExtension, Params, Rows};

use super::document::Document;
use super::rows::{
    DOCUMENT_COLUMNS, Head, JOB_COLUMNS, SUMMARY_COLUMNS, TASK_COLUMNS, TASK_COLUMNS_WITHOUT_DATA, read_paused_pool,
    read_summary, read_task,
};
use hub_engine::store::{JobPart, Part};

/// All jobs that have not ended, oldest first.
pub(super) fn unfinished(connection: &mut Connection) -> rusqlite::Result<Vec<JobSnapshot>> {
    let connection = connection.transaction()?;
    let mut jobs = connection.prepare(&format!(
        "SELECT {JOB_COLUMNS}, {DOCUMENT_COLUMNS} FROM jobs JOIN documents ON documents.job = jobs.serial
         WHERE ended_at IS NULL ORDER BY serial"
    ))?;
    let mut rows = jobs.query([])?;
    let mut found: Vec<JobSnapshot> = Vec::new();
    while let Some(row) = rows.next()? {
        let head = Head::read(row)?;
        let serial = head.serial;
        let document = Document::read(row)?;
        // The sub-jobs of the items of a task follow each other. They have one text, which has no key.
        let last = found.last().filter(|_| head.state.root().is_some()).map(|last| &last.job);
        let same = last.filter(|last| document.is_of(last));
        let job = match same.map(Arc::clone) {
            Some(job) => head.with_job(job),
            None => document.job_of(head, &connection)?,
        };
        found.push(with_tasks(&connection, serial, job, true)?);
    }
    Ok(found)
}

/// The paused pools, by name.
pub(super) fn paused_pools(connection: &mut Connection) -> rusqlite::Result<Vec<(Arc<str>, PauseRecord)>> {
    connection.prepare("SELECT name, pause FROM paused_pools ORDER BY name")?.query_map([], read_paused_pool)?.collect()
}

/// The job with this id, and the states of its items if `items` is set.
pub(super) fn by_id(connection: &mut Connection, id: JobId, items: bool) -> rusqlite::Result<Option<JobSnapshot>> {
    // One transaction, so that the job and its tasks are consistent.
    let transaction = connection.transaction()?;
    let found = head(&transaction, "id = ?1", [id.to_string()])?;
    found.map(|(serial, job)| with_tasks(&transaction, serial, job, items)).transpose()
}

/// The job whose id has these bytes, without the states of its tasks.
pub(super) fn by_family(connection: &mut Connection, family: Family) -> rusqlite::Result<Option<JobSnapshot>> {
    Ok(head(connection, "family = ?1", [family.bytes()])?.map(|(_, job)| job))
}

/// The job that was submitted with this key, without the states of its tasks.
pub(super) fn by_key(connection: &mut Connection, key: &str) -> rusqlite::Result<Option<JobSnapshot>> {
    Ok(head(connection, "key = ?1", [key])?.map(|(_, job)| job))
}

/// The summary of this job.
pub(super) fn summary(connection: &mut Connection, id: JobId) -> rusqlite::Result<Option<JobSummary>> {
    let mut statement = connection.prepare_cached(&format!("SELECT {SUMMARY_COLUMNS} FROM jobs WHERE id = ?1"))?;
    statement.query_row([id.to_string()], |row| Ok(read_summary(row)?.1)).optional()
}

/// The approximate memory of this job in bytes, with or without the values of its tasks. The lengths are stored in the
/// headers of the rows, so no value is read.
pub(super) fn weight(connection: &mut Connection, id: JobId, data: bool) -> rusqlite::Result<Option<usize>> {
    let columns: &[&str] = if data { &["msg", "data", "log", "error", "details"] } else { &["msg"] };
    let lengths: Vec<String> = columns.iter().map(|column| format!("coalesce(octet_length({column}), 0)")).collect();
    let mut statement = connection.prepare_cached(&format!(
        "SELECT octet_length(document) + coalesce(octet_length(output), 0) + tasks * {TASK_WEIGHT}
             + coalesce((SELECT sum({}) FROM tasks WHERE job = serial AND position < jobs.tasks), 0)
         FROM jobs JOIN documents ON documents.job = jobs.serial WHERE id = ?1",
        lengths.join(" + ")
    ))?;
    let weight = statement.query_row([id.to_string()], |row| row.get::<_, i64>(0)).optional()?;
    Ok(weight.map(|weight| usize::try_from(weight).unwrap_or(usize::MAX)))
}

/// Selected tasks of this job. If values are read, also the tasks that they depend on.
pub(super) fn part(connection: &mut Connection, id: JobId, part: &Part) -> rusqlite::Result<Option<JobPart>> {
    let transaction = connection.transaction()?;
    let Some((serial, mut job)) = head(&transaction, "id = ?1", [id.to_string()])? else { return Ok(None) };
    let spec = Arc::clone(&job.job);
    if let Some(ItemPlace { task, .. }) = spec.item(part.tasks.start) {
        // It has the number of its items.
        let mut statement = transaction.prepare_cached(&format!(
            "SELECT {TASK_COLUMNS_WITHOUT_DATA} FROM tasks WHERE job = ?1 AND position = ?2"
        ))?;
        take_in(&mut job, statement.query((serial, task))?)?;
    }
    let end = part.tasks.end.min(job.end_of(part.tasks.start));
    if !part.data {
        let mut statement = transaction.prepare_cached(&format!(
            "SELECT {TASK_COLUMNS_WITHOUT_DATA} FROM tasks WHERE job = ?1 AND position >= ?2 AND position < ?3"
        ))?;
        take_in(&mut job, statement.query((serial, part.tasks.start, end))?)?;
        return Ok(Some(JobPart { job, end }));
    }
    let mut statement =
        transaction.prepare_cached(&format!("SELECT {TASK_COLUMNS} FROM tasks WHERE job = ?1 AND position = ?2"))?;
    let (mut read, mut bytes) = (HashSet::new(), 0);
    for index in part.tasks.start..end {
        for wanted in std::iter::once(index).chain(spec.reads(index).into_owned()) {
            if read.insert(wanted) {
                take_in(&mut job, statement.query((serial, wanted))?)?;
                bytes += job.state_of(wanted).data.as_ref().map_or(0, |data| data.get().len());
            }
        }
        if bytes > part.bytes {
            return Ok(Some(JobPart { job, end: index + 1 }));
        }
    }
    Ok(Some(JobPart { job, end }))
}

/// The serial of a job, and the job without the states of its tasks.
fn head(connection: &Connection, condition: &str, values: impl Params) -> rusqlite::Result<Option<(i64, JobSnapshot)>> {
    connection
        .prepare_cached(&format!(
            "SELECT {JOB_COLUMNS}, {DOCUMENT_COLUMNS} FROM jobs JOIN documents ON documents.job = jobs.serial
             WHERE {condition} ORDER BY serial LIMIT 1"
        ))?
        .query_row(values, |row| {
            let head = Head::read(row)?;
            Ok((head.serial, Document::read(row)?.job_of(head, connection)?))
        })
        .optional()
}

/// The job with the states of its tasks, and of its items if `items` is set.
fn with_tasks(
    connection: &Connection,
    serial: i64,
    mut job: JobSnapshot,
    items: bool,
) -> rusqlite::Result<JobSnapshot> {
    let end = if items { u32::MAX } else { job.tasks.len() as u32 };
    let mut statement =
        connection.prepare_cached(&format!("SELECT {TASK_COLUMNS} FROM tasks WHERE job = ?1 AND position < ?2"))?;
    take_in(&mut job, statement.query((serial, end))?)?;
    Ok(job)
}

/// Sets the states of tasks in a job.
fn take_in(job: &mut JobSnapshot, mut rows: Rows<'_>) -> rusqlite::Result<()> {
    while let Some(row) = rows.next()? {
        let (index, state) = read_task(row)?;
        if let Some(task) = job.tasks.get_mut(index as usize) {
            *task = Arc::new(state);
        } else {
            job.items.insert(index, Arc::new(state));
        }
    }
    Ok(())
}
