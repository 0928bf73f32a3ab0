//! What readers do, each with a connection beside the writer's.

use hub_core::JobId;
use hub_core::id::Family;
use hub_core::state::JobSnapshot;
use rusqlite::{Connection, OptionalExtension, Params, ToSql};

use super::rows::{Head, JOB_COLUMNS, TASK_COLUMNS, job_word, read_summary, read_task};
use crate::operations::{JobFilter, JobPage};

/// Every job that has not ended, oldest first.
pub(super) fn unfinished(connection: &mut Connection) -> rusqlite::Result<Vec<JobSnapshot>> {
    let connection = connection.transaction()?;
    let mut jobs = connection.prepare(&format!(
        "SELECT {JOB_COLUMNS}, document FROM jobs JOIN documents ON documents.job = jobs.serial
         WHERE ended_at IS NULL ORDER BY serial"
    ))?;
    let mut rows = jobs.query([])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let head = Head::read(row)?;
        let serial = head.serial;
        let job = head.with_document(row.get_ref(8)?.as_str()?)?;
        found.push(with_tasks(&connection, serial, job)?);
    }
    Ok(found)
}

/// The job of this id.
pub(super) fn by_id(connection: &mut Connection, id: JobId) -> rusqlite::Result<Option<JobSnapshot>> {
    one(connection, "id = ?1", [id.to_string()])
}

/// The job whose id has these bytes.
pub(super) fn by_family(connection: &mut Connection, family: Family) -> rusqlite::Result<Option<JobSnapshot>> {
    one(connection, "family = ?1", [family.bytes()])
}

/// The job that was submitted with this key.
pub(super) fn by_key(connection: &mut Connection, key: &str) -> rusqlite::Result<Option<JobSnapshot>> {
    one(connection, "key = ?1", [key])
}

/// A page of a listing: jobs before `before`, newest first.
pub(super) fn page(
    connection: &mut Connection,
    filter: &JobFilter,
    before: i64,
    limit: usize,
) -> rusqlite::Result<JobPage> {
    let mut conditions = vec!["serial < ?".to_owned()];
    let mut values: Vec<Box<dyn ToSql>> = vec![Box::new(before)];
    if !filter.status.is_empty() {
        conditions.push(format!("status IN ({})", vec!["?"; filter.status.len()].join(", ")));
        values.extend(filter.status.iter().map(|status| Box::new(job_word(*status)) as Box<dyn ToSql>));
    }
    if let Some(name) = &filter.name {
        conditions.push("name = ?".to_owned());
        values.push(Box::new(name.clone()));
    }
    // One more than wanted tells whether there is another page.
    values.push(Box::new(i64::try_from(limit + 1).unwrap_or(i64::MAX)));
    let mut statement = connection.prepare_cached(&format!(
        "SELECT serial, id, name, status, tasks,
             iif(ended_at IS NULL, (SELECT count(*) FROM tasks WHERE job = serial AND ended_at IS NOT NULL), tasks),
             submitted_at, ended_at
         FROM jobs WHERE {} ORDER BY serial DESC LIMIT ?",
        conditions.join(" AND ")
    ))?;
    let values: Vec<&dyn ToSql> = values.iter().map(|value| &**value).collect();
    let mut found = statement.query_map(values.as_slice(), read_summary)?.collect::<rusqlite::Result<Vec<_>>>()?;
    let is_last = found.len() <= limit;
    found.truncate(limit);
    let next = if is_last { None } else { found.last().map(|(serial, _)| serial.to_string()) };
    Ok(JobPage { jobs: found.into_iter().map(|(_, summary)| summary).collect(), next })
}

fn one(connection: &mut Connection, condition: &str, values: impl Params) -> rusqlite::Result<Option<JobSnapshot>> {
    // One transaction: the job and its tasks as of the same moment.
    let transaction = connection.transaction()?;
    let found = transaction
        .prepare_cached(&format!(
            "SELECT {JOB_COLUMNS}, document FROM jobs JOIN documents ON documents.job = jobs.serial
             WHERE {condition} ORDER BY serial LIMIT 1"
        ))?
        .query_row(values, |row| {
            let head = Head::read(row)?;
            Ok((head.serial, head.with_document(row.get_ref(8)?.as_str()?)?))
        })
        .optional()?;
    found.map(|(serial, job)| with_tasks(&transaction, serial, job)).transpose()
}

fn with_tasks(connection: &Connection, serial: i64, mut job: JobSnapshot) -> rusqlite::Result<JobSnapshot> {
    let mut statement = connection.prepare_cached(&format!("SELECT {TASK_COLUMNS} FROM tasks WHERE job = ?1"))?;
    for task in statement.query_map([serial], read_task)? {
        let (index, state) = task?;
        if let Some(task) = job.tasks.get_mut(index) {
            *task = state;
        }
    }
    Ok(job)
}
