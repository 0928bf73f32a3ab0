//! Conversion between rows and states.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::Arc;

use hub_core::details::TaskDetails;
use hub_core::job::Job;
use hub_core::job_details::{JobDetails, PauseRecord};
use hub_core::state::{ErrorKind, FirstFailure, JobSnapshot, JobState, JobSummary, TaskError, TaskState};
use hub_core::{Issue, JobId, Json, Timestamp};
use rusqlite::types::Type;
use rusqlite::{Row, Statement, ToSql};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The columns of [`Head::read`], in order.
pub(super) const JOB_COLUMNS: &str = "jobs.serial, jobs.id, jobs.status, jobs.output, jobs.msg, jobs.submitted_at, \
     jobs.started_at, jobs.ended_at, jobs.failed_task, jobs.failed_msg, jobs.failed_kind, jobs.failed_type, jobs.details";
/// The column `details` in [`JOB_COLUMNS`].
pub(super) const DETAILS: usize = 12;
/// The columns after [`JOB_COLUMNS`].
pub(super) const DOCUMENT_COLUMNS: &str = "documents.document, documents.pins";
pub(super) const DOCUMENT: usize = 13;
pub(super) const PINS: usize = 14;
/// The columns of [`read_task`], in order.
pub(super) const TASK_COLUMNS: &str = "position, status, issue, incarnation, confirmed, launched, deaths, worker, \
     submitted_at, started_at, ended_at, msg, error, log, data, details";
/// [`TASK_COLUMNS`] without values, which may be large.
pub(super) const TASK_COLUMNS_WITHOUT_DATA: &str = "position, status, issue, incarnation, confirmed, launched, deaths, \
     worker, submitted_at, started_at, ended_at, msg, NULL, NULL, NULL, json_remove(details, '$.attempts', '$.repairs', \
     '$.progress', '$.signals', '$.answer')";

/// The statement of [`write_task`], with the columns of [`TASK_COLUMNS`].
pub(super) const WRITE_TASK: &str = "REPLACE INTO tasks (job, position, status, issue, incarnation, confirmed, launched, \
     deaths, worker, submitted_at, started_at, ended_at, msg, error, log, data, details) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)";

/// The row of a job.
pub(super) struct Head {
    pub(super) serial: i64,
    pub(super) id: JobId,
    pub(super) state: JobState,
}

impl Head {
    pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            serial: row.get(0)?,
            id: parsed(row, 1)?,
            state: JobState {
                status: parsed(row, 2)?,
                output: json(row, 3)?,
                msg: text(row, 4)?,
                first_failure: first_failure(row, 8)?,
                submitted_at: time(row, 5)?.unwrap_or_default(),
                started_at: time(row, 6)?,
                ended_at: time(row, 7)?,
                details: object::<JobDetails>(row, DETAILS)?.map(Arc::new),
            },
        })
    }

    /// The complete job, with all tasks in the initial state.
    pub(super) fn with_job(self, job: Arc<Job>) -> JobSnapshot {
        let tasks = TaskState::all_pending(job.tasks().len());
        // The key in the text belongs to the first job.
        let job = if self.state.origin().is_some() { job.without_key() } else { job };
        JobSnapshot { id: self.id, job, state: self.state, tasks, items: BTreeMap::new(), waiting: Vec::new() }
    }
}

/// Reads the row of a task: its position and state.
pub(super) fn read_task(row: &Row<'_>) -> rusqlite::Result<(u32, TaskState)> {
    let issue = match (row.get::<_, Option<u32>>(2)?, row.get::<_, Option<i64>>(3)?) {
        (Some(number), Some(incarnation)) => Some(Issue { number, incarnation: incarnation.cast_unsigned() }),
        _ => None,
    };
    let state = TaskState {
        status: parsed(row, 1)?,
        issue,
        confirmed: row.get(4)?,
        launched: row.get(5)?,
        deaths: row.get(6)?,
        worker: text(row, 7)?,
        submitted_at: time(row, 8)?,
        started_at: time(row, 9)?,
        ended_at: time(row, 10)?,
        msg: text(row, 11)?,
        error: object::<TaskError>(row, 12)?.map(Arc::new),
        log: text(row, 13)?,
        data: json(row, 14)?,
        details: object::<TaskDetails>(row, 15)?.map(Box::new),
    };
    Ok((row.get(0)?, state))
}

/// Writes the row of a task: `job` and [`TASK_COLUMNS`].
pub(super) fn write_task(
    statement: &mut Statement<'_>,
    serial: i64,
    index: u32,
    state: &TaskState,
) -> rusqlite::Result<usize> {
    let error = written(state.error.as_deref(), 12)?;
    let details = written(state.details.as_deref(), 15)?;
    let values: [&dyn ToSql; 17] = [
        &serial,
        &index,
        &state.status.as_str(),
        &state.issue.map(|issue| issue.number),
        &state.issue.map(|issue| issue.incarnation.cast_signed()),
        &state.confirmed,
        &state.launched,
        &state.deaths,
        &state.worker.as_deref(),
        &state.submitted_at.map(millis),
        &state.started_at.map(millis),
        &state.ended_at.map(millis),
        &state.msg.as_deref(),
        &error,
        &state.log.as_deref(),
        &state.data.as_ref().map(Json::get),
        &details,
    ];
    statement.execute(values.as_slice())
}

/// The columns of [`read_summary`], in order.
pub(super) const SUMMARY_COLUMNS: &str = "serial, id, name, status, tasks, \
     iif(ended_at IS NULL, (SELECT count(*) FROM tasks WHERE job = serial AND position < jobs.tasks AND ended_at IS NOT NULL), tasks), \
     submitted_at, ended_at, msg, failed_task, failed_msg, failed_kind, failed_type";

/// Reads the summary and the serial of a job.
pub(super) fn read_summary(row: &Row<'_>) -> rusqlite::Result<(i64, JobSummary)> {
    let summary = JobSummary {
        id: parsed(row, 1)?,
        name: row.get::<_, String>(2)?.into(),
        status: parsed(row, 3)?,
        tasks: row.get(4)?,
        tasks_ended: row.get(5)?,
        submitted_at: time(row, 6)?.unwrap_or_default(),
        ended_at: time(row, 7)?,
        msg: text(row, 8)?,
        first_failure: first_failure(row, 9)?,
    };
    Ok((row.get(0)?, summary))
}

/// The first failure. Its task, message, kind and type are in the columns from `at` on.
fn first_failure(row: &Row<'_>, at: usize) -> rusqlite::Result<Option<Arc<FirstFailure>>> {
    let Some((task, msg)) = text(row, at)?.zip(text(row, at + 1)?) else { return Ok(None) };
    let kind = text(row, at + 2)?.as_deref().and_then(ErrorKind::from_word);
    Ok(Some(Arc::new(FirstFailure { task, msg, kind, type_name: text(row, at + 3)? })))
}

/// Reads a paused pool: its name and the pause.
pub(super) fn read_paused_pool(row: &Row<'_>) -> rusqlite::Result<(Arc<str>, PauseRecord)> {
    let pause = serde_json::from_str(row.get_ref(1)?.as_str()?).map_err(|error| malformed(1, error))?;
    Ok((row.get::<_, String>(0)?.into(), pause))
}

/// A time as stored in the file.
pub(super) fn millis(time: Timestamp) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

pub(super) fn time(row: &Row<'_>, at: usize) -> rusqlite::Result<Option<Timestamp>> {
    Ok(row.get::<_, Option<i64>>(at)?.map(|millis| Timestamp::from_millis(millis.unsigned_abs())))
}

pub(super) fn text(row: &Row<'_>, at: usize) -> rusqlite::Result<Option<Arc<str>>> {
    Ok(row.get_ref(at)?.as_str_or_null()?.map(Into::into))
}

fn json(row: &Row<'_>, at: usize) -> rusqlite::Result<Option<Json>> {
    // This store has written it from a checked value.
    Ok(text(row, at)?.map(Json::from_checked))
}

/// An object that is kept as JSON text.
pub(super) fn object<T: DeserializeOwned>(row: &Row<'_>, at: usize) -> rusqlite::Result<Option<T>> {
    let text = row.get_ref(at)?.as_str_or_null()?;
    text.map(|text| serde_json::from_str(text).map_err(|error| malformed(at, error))).transpose()
}

/// The text of such an object.
pub(super) fn written<T: Serialize>(object: Option<&T>, at: usize) -> rusqlite::Result<Option<String>> {
    object.map(|object| serde_json::to_string(object).map_err(|error| malformed(at, error))).transpose()
}

pub(super) fn parsed<T: FromStr>(row: &Row<'_>, at: usize) -> rusqlite::Result<T>
where
    T::Err: std::error::Error + Send + Sync + 'static,
{
    let text = row.get_ref(at)?.as_str()?;
    text.parse().map_err(|error| malformed(at, error))
}

fn malformed(at: usize, error: impl std::error::Error + Send + Sync + 'static) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(at, Type::Text, Box::new(error))
}
