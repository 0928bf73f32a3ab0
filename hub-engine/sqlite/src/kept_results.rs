//! The rows of kept results.

use hub_core::Json;
use hub_core::cache::{CachedFrom, KeptResult};
use hub_core::digest::Digest;
use rusqlite::{Connection, Transaction, params};

use super::rows::{millis, parsed, text, time};

/// Keeps a result in place of the one before, or removes it.
pub(super) fn set_result(
    transaction: &Transaction<'_>,
    key: Digest,
    kept: Option<&KeptResult>,
) -> rusqlite::Result<()> {
    let key = key.to_string();
    match kept {
        Some(KeptResult { from, kept_at, until, data }) => transaction
            .prepare_cached(
                "REPLACE INTO kept_results (key, job, task, kept_at, kept_until, data) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute(params![
                key,
                from.job.to_string(),
                from.task.to_string(),
                millis(*kept_at),
                millis(*until),
                data.get()
            ]),
        None => transaction.prepare_cached("DELETE FROM kept_results WHERE key = ?1")?.execute([key]),
    }
    .map(drop)
}

/// All kept results, by key.
pub(super) fn kept_results(connection: &mut Connection) -> rusqlite::Result<Vec<(Digest, KeptResult)>> {
    let mut statement =
        connection.prepare("SELECT key, job, task, kept_at, kept_until, data FROM kept_results ORDER BY key")?;
    let read = |row: &rusqlite::Row<'_>| {
        let kept = KeptResult {
            from: CachedFrom { job: parsed(row, 1)?, task: parsed(row, 2)? },
            kept_at: time(row, 3)?.unwrap_or_default(),
            until: time(row, 4)?.unwrap_or_default(),
            // This store has written it from a checked value.
            data: Json::from_checked(text(row, 5)?.unwrap_or_default()),
        };
        Ok((parsed(row, 0)?, kept))
    };
    statement.query_map([], read)?.collect()
}
