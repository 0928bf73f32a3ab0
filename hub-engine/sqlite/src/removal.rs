//! Removes jobs in steps that each occupy the writer for a short time.
//!
//! A job can have a million tasks, and a task can have values of megabytes. One transaction removes the job for
//! readers, and deletes tasks within its budget. The other tasks are deleted in later transactions, when the writer is
//! idle. `counters` has a row for each such job, so that the next start continues.
//!
//! A job takes its sub-jobs that have ended with it. There can be any number of them, so `counters` has a row for a removed job
//! with sub-jobs, and these are removed in later transactions, too.

use hub_core::id::Family;
use rusqlite::{Connection, OptionalExtension, Row, Transaction};

use super::known::Gone;

/// Prefix of the names of the rows in `counters` of removed jobs with remaining tasks.
const LEFT: &str = "removed job";
/// Prefix of the names of the rows in `counters` of removed jobs with remaining sub-jobs. The rest is the id of the job.
const ROOT: &str = "removed root ";
/// Maximum number of tasks that one transaction deletes.
const MAXIMUM_ROWS: u32 = 10_000;
/// Maximum size of their values in bytes. The last task may exceed it.
const MAXIMUM_BYTES: u64 = 32 * 1024 * 1024;

/// The remaining budget of deletions of one transaction.
#[derive(Debug)]
pub(super) struct DeletionBudget {
    rows: u32,
    bytes: u64,
}

impl DeletionBudget {
    pub(super) const fn new() -> Self {
        Self { rows: MAXIMUM_ROWS, bytes: MAXIMUM_BYTES }
    }

    pub(super) const fn is_spent(&self) -> bool {
        self.rows == 0 || self.bytes == 0
    }
}

/// Removes a job, with its tasks within the budget.
pub(super) fn remove(
    transaction: &Transaction<'_>,
    serial: i64,
    budget: &mut DeletionBudget,
) -> rusqlite::Result<Option<Gone>> {
    // A job that is added under the same id later has sub-jobs with greater serials.
    transaction
        .prepare_cached(
            "INSERT INTO counters (name, value) SELECT ?2 || id, (SELECT max(serial) FROM jobs) FROM jobs
                 WHERE serial = ?1 AND EXISTS (SELECT 1 FROM jobs AS parts WHERE parts.root = jobs.id)
             ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        )?
        .execute((serial, ROOT))?;
    transaction.prepare_cached("DELETE FROM documents WHERE job = ?1")?.execute([serial])?;
    transaction.prepare_cached("DELETE FROM labels WHERE job = ?1")?.execute([serial])?;
    let gone = |row: &Row<'_>| {
        let key = row.get_ref(1)?.as_str_or_null()?.map(Into::into);
        Ok(Gone { family: Family::from_bytes(row.get(0)?), key, has_returned: false, left: None })
    };
    let gone = transaction
        .prepare_cached("DELETE FROM jobs WHERE serial = ?1 RETURNING family, key")?
        .query_row([serial], gone)
        .optional()?;
    let Some(mut gone) = gone else { return Ok(None) };
    if !delete_tasks(transaction, serial, budget)? {
        transaction
            .prepare_cached("INSERT INTO counters (name, value) VALUES (?1, ?2)")?
            .execute((name(serial), serial))?;
        gone.left = Some(serial);
    }
    Ok(Some(gone))
}

/// Removes some sub-jobs whose root was removed, and returns them. Empty if there are no more.
pub(super) fn remove_orphans(connection: &mut Connection, limit: i64) -> rusqlite::Result<Vec<Gone>> {
    // Otherwise the note about a root would be deleted, as if it had no sub-jobs any more.
    if limit <= 0 {
        return Ok(Vec::new());
    }
    let transaction = connection.transaction()?;
    let (mut gone, mut budget) = (Vec::new(), DeletionBudget::new());
    for serial in orphans(&transaction, limit)? {
        if budget.is_spent() {
            break;
        }
        gone.extend(remove(&transaction, serial, &mut budget)?);
    }
    transaction.commit()?;
    Ok(gone)
}

/// Some sub-jobs that have ended, and whose root was removed. Those that have not ended are jobs like all others from now on.
fn orphans(transaction: &Transaction<'_>, limit: i64) -> rusqlite::Result<Vec<i64>> {
    let roots = "SELECT name, substr(name, 1 + length(?1)), value FROM counters WHERE name LIKE ?1 || '%' LIMIT 1";
    let parts = "SELECT serial, ended_at IS NULL FROM jobs WHERE root = ?1 AND serial <= ?2 ORDER BY serial LIMIT ?3";
    loop {
        let root = |row: &Row<'_>| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get::<_, i64>(2)?));
        let Some((name, root, last)) = transaction.prepare_cached(roots)?.query_row([ROOT], root).optional()? else {
            return Ok(Vec::new());
        };
        let part = |row: &Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, bool>(1)?));
        let mut statement = transaction.prepare_cached(parts)?;
        let found: Vec<_> = statement.query_map((root, last, limit), part)?.collect::<rusqlite::Result<_>>()?;
        if found.is_empty() {
            transaction.prepare_cached("DELETE FROM counters WHERE name = ?1")?.execute([name])?;
        }
        let (live, ended): (Vec<_>, Vec<_>) = found.into_iter().partition(|(_, is_live)| *is_live);
        for (serial, _) in live {
            transaction.prepare_cached("UPDATE jobs SET root = NULL WHERE serial = ?1")?.execute([serial])?;
        }
        if !ended.is_empty() {
            return Ok(ended.into_iter().map(|(serial, _)| serial).collect());
        }
    }
}

/// Deletes remaining tasks of a removed job. Returns whether all are deleted.
pub(super) fn delete_left(connection: &mut Connection, serial: i64) -> rusqlite::Result<bool> {
    let transaction = connection.transaction()?;
    let is_done = delete_tasks(&transaction, serial, &mut DeletionBudget::new())?;
    if is_done {
        transaction.prepare_cached("DELETE FROM counters WHERE name = ?1")?.execute([name(serial)])?;
    }
    transaction.commit()?;
    Ok(is_done)
}

/// The removed jobs with remaining tasks.
pub(super) fn left(connection: &Connection) -> rusqlite::Result<Vec<i64>> {
    let mut statement = connection.prepare("SELECT value FROM counters WHERE name LIKE ?1 || ' %' ORDER BY value")?;
    statement.query_map([LEFT], |row| row.get(0))?.collect()
}

fn name(serial: i64) -> String {
    format!("{LEFT} {serial}")
}

fn delete_tasks(transaction: &Transaction<'_>, serial: i64, budget: &mut DeletionBudget) -> rusqlite::Result<bool> {
    // The lengths are stored in the headers of the rows, so no value is read.
    let mut statement = transaction.prepare_cached(
        "SELECT position, coalesce(octet_length(data), 0) + coalesce(octet_length(log), 0)
             + coalesce(octet_length(error), 0) + coalesce(octet_length(msg), 0)
         FROM tasks WHERE job = ?1 ORDER BY position",
    )?;
    let (mut rows, mut last) = (statement.query([serial])?, None);
    let mut is_done = true;
    while let Some(row) = rows.next()? {
        if budget.is_spent() {
            is_done = false;
            break;
        }
        last = Some(row.get::<_, u32>(0)?);
        budget.rows -= 1;
        budget.bytes = budget.bytes.saturating_sub(row.get::<_, i64>(1)?.unsigned_abs());
    }
    if let Some(last) = last {
        transaction.prepare_cached("DELETE FROM tasks WHERE job = ?1 AND position <= ?2")?.execute((serial, last))?;
    }
    Ok(is_done)
}

#[cfg(test)]
mod tests {
    use super::super::migrations::MIGRATIONS;
    use super::*;

    #[test]
    fn sub_jobs_of_a_removed_root_are_not_forgotten_by_a_limit_of_none() {
        let mut connection = Connection::open_in_memory().unwrap();
        MIGRATIONS.iter().for_each(|step| connection.execute_batch(step).unwrap());
        let root = "0190b4c2-7b1a-7000-8000-00000000fff0";
        let part = "INSERT INTO jobs (serial, id, family, name, status, tasks, submitted_at, ended_at, root)
                        VALUES (1, ?1, zeroblob(12), 'j', 'FAILED', 1, 0, 1, ?2)";
        connection.execute(part, ["0190b4c2-7b1a-7000-8000-00010000fff0", root]).unwrap();
        connection.execute("INSERT INTO counters (name, value) VALUES (?1 || ?2, 1)", [ROOT, root]).unwrap();
        assert_eq!(remove_orphans(&mut connection, 0).unwrap().len(), 0);
        assert_eq!(remove_orphans(&mut connection, 5).unwrap().len(), 1);
        assert_eq!(remove_orphans(&mut connection, 5).unwrap().len(), 0);
    }
}
