//! The rows of schedules.

use std::sync::Arc;

use hub_core::schedule::{KeptSchedule, ScheduleSnapshot, ScheduleState};
use rusqlite::types::Type;
use rusqlite::{Connection, Row, Transaction, params};
use uuid::Uuid;

use super::rows::{millis, parsed, text, time};

/// Inserts a schedule, or replaces the one with its name, whose state stays.
pub(super) fn set(transaction: &Transaction<'_>, kept: &KeptSchedule) -> rusqlite::Result<()> {
    let KeptSchedule { uid, created_at, changed_at, by, schedule } = kept;
    transaction
        .prepare_cached(
            "INSERT INTO schedules (name, uid, created_at, changed_at, made_by, document, state) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, '{}') \
             ON CONFLICT (name) DO UPDATE SET uid = ?2, created_at = ?3, changed_at = ?4, made_by = ?5, document = ?6",
        )?
        .execute(params![
            schedule.name(),
            uid.to_string(),
            millis(*created_at),
            millis(*changed_at),
            by,
            schedule.source()
        ])
        .map(drop)
}

/// Sets the state of a schedule, if it exists.
pub(super) fn set_state(transaction: &Transaction<'_>, name: &str, state: &ScheduleState) -> rusqlite::Result<()> {
    let state = serde_json::to_string(state).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
    transaction
        .prepare_cached("UPDATE schedules SET state = ?2 WHERE name = ?1")?
        .execute(params![name, state])
        .map(drop)
}

/// Deletes a schedule, if it exists.
pub(super) fn remove(transaction: &Transaction<'_>, name: &str) -> rusqlite::Result<()> {
    transaction.prepare_cached("DELETE FROM schedules WHERE name = ?1")?.execute([name]).map(drop)
}

/// All schedules, by name.
pub(super) fn all(connection: &mut Connection) -> rusqlite::Result<Vec<ScheduleSnapshot>> {
    let mut statement = connection
        .prepare("SELECT uid, created_at, changed_at, made_by, document, state FROM schedules ORDER BY name")?;
    statement.query_map([], read)?.collect()
}

fn read(row: &Row<'_>) -> rusqlite::Result<ScheduleSnapshot> {
    let unreadable = |at, why: String| rusqlite::Error::FromSqlConversionFailure(at, Type::Text, why.into());
    let uid: Uuid = parsed(row, 0)?;
    let (created_at, changed_at) = (time(row, 1)?.unwrap_or_default(), time(row, 2)?.unwrap_or_default());
    let document = text(row, 4)?.unwrap_or_default();
    let kept = KeptSchedule::read(uid, &document, (created_at, changed_at), text(row, 3)?);
    let kept = kept.map_err(|problems| unreadable(4, problems.to_string()))?;
    let state: ScheduleState =
        serde_json::from_str(&text(row, 5)?.unwrap_or_default()).map_err(|error| unreadable(5, error.to_string()))?;
    Ok(ScheduleSnapshot { kept: Arc::new(kept), state: Arc::new(state) })
}
