//! Jobs, states and changes for tests of stores.

use std::sync::Arc;

use hub_core::action::Change;
use hub_core::cache::{CachedFrom, KeptResult};
use hub_core::definition::{Definition, Pin};
use hub_core::details::{Attempt, CacheDetails, ItemCounts, RareDetails, RepairAction, RepairRecord, TaskDetails};
use hub_core::digest::Digest;
use hub_core::job::{Job, Limits, ModuleDefaults, Phase};
use hub_core::job_clock::JobClock;
use hub_core::job_details::{
    CancelRecord, HandlerStop, JobDetails, Origin, Parent, PauseCause, PauseRecord, PriorityRecord,
};
use hub_core::received::{ApprovalAnswer, ReceivedSignal, SignalKey};
use hub_core::schedule::{KeptSchedule, Run, ScheduleState};
use hub_core::state::{ErrorKind, FirstFailure, JobState, RetryAdvice, TaskError, TaskState};
use hub_core::{Issue, JobId, JobStatus, Json, TaskStatus, Timestamp};
use serde_json::json;
use uuid::Uuid;

use crate::store::Store;

/// The submission time of all jobs.
const SUBMITTED_AT: Timestamp = Timestamp::from_millis(1);

/// When stores are asked.
pub const NOW: Timestamp = Timestamp::from_millis(1_000_000);

/// The id of the test's job with this number.
#[must_use]
pub fn id(number: u128) -> JobId {
    JobId::new(Uuid::from_u128(0x0190_b4c2_7b1a_7000_8000_0000_0000_0000 | number << 32 | 0xffff_fff0))
}

/// A job of independent tasks.
///
/// # Panics
/// If there are no tasks or too many.
#[must_use]
pub fn job(name: &str, tasks: usize, key: Option<&str>) -> Arc<Job> {
    let tasks: Vec<_> = (0..tasks).map(|at| json!({"name": format!("t{at}"), "task_name": "run"})).collect();
    let mut text = json!({"name": name, "tasks": tasks});
    if let Some(key) = key {
        text["key"] = key.into();
    }
    Arc::new(Job::parse(&text.to_string(), &Limits::default()).unwrap_or_else(|problems| panic!("{problems}")))
}

/// The job with this number is added.
#[must_use]
pub fn job_added(number: u128, job: Arc<Job>) -> Change {
    Change::JobAdded { id: id(number), job, submitted_at: SUBMITTED_AT }
}

/// The job with this number has this state.
#[must_use]
pub fn job_changed(number: u128, state: JobState) -> Change {
    Change::JobChanged { id: id(number), state }
}

/// The job with this number is removed.
#[must_use]
pub fn job_removed(number: u128) -> Change {
    Change::JobRemoved { id: id(number) }
}

/// A task of the job with this number has this state.
#[must_use]
pub fn task_changed(number: u128, index: u32, state: TaskState) -> Change {
    Change::TaskChanged { job: id(number), index, state: Arc::new(state) }
}

/// The pool was paused at this time, or is resumed.
#[must_use]
pub fn pool_changed(pool: &str, paused_at: Option<u64>) -> Change {
    Change::PoolChanged { pool: pool.into(), pause: paused_at.map(pause) }
}

/// A result that was kept at this time under the key with this number, or is not kept any more.
#[must_use]
pub fn result_kept(number: u8, kept_at: Option<u64>) -> Change {
    Change::ResultKept { key: result_key(number), kept: kept_at.map(kept_result) }
}

/// A version of a definition is made, with a text.
#[must_use]
pub fn definition_added(name: &str, version: u32, text: &str) -> Change {
    let pin = Pin { name: name.into(), version };
    let created_at = Timestamp::from_millis(u64::from(version) * 1000);
    let by = (version > 1).then(|| "\u{1f600}".into());
    Change::DefinitionAdded { definition: Arc::new(Definition { pin, text: text.into(), created_at, by }) }
}

/// An alias of a definition stands for this version, or is removed.
#[must_use]
pub fn alias_changed(name: &str, alias: &str, version: Option<u32>) -> Change {
    Change::AliasChanged { name: name.into(), alias: alias.into(), version }
}

/// A schedule has this identity and this interval in seconds.
///
/// # Panics
/// If the interval is not valid.
#[must_use]
pub fn schedule_set(name: &str, uid: u128, seconds: u64) -> Change {
    let text = format!(r#"{{"name": "{name}", "job": "etl", "every": "{seconds}s"}}"#);
    let times = (Timestamp::from_millis(1000), Timestamp::from_millis(seconds * 1000));
    let by = (seconds > 30).then(|| "ops".into());
    let kept = KeptSchedule::read(Uuid::from_u128(uid), &text, times, by);
    Change::ScheduleSet { kept: Arc::new(kept.unwrap_or_else(|problems| panic!("{problems}"))) }
}

/// A schedule has come this far.
#[must_use]
pub fn schedule_changed(name: &str, state: ScheduleState) -> Change {
    Change::ScheduleChanged { name: name.into(), state: Arc::new(state) }
}

/// A schedule is removed.
#[must_use]
pub fn schedule_removed(name: &str) -> Change {
    Change::ScheduleRemoved { name: name.into() }
}

/// The key of a result with this number.
#[must_use]
pub fn result_key(number: u8) -> Digest {
    Digest::of(&[number])
}

/// A kept result, with every field filled.
#[must_use]
pub fn kept_result(kept_at: u64) -> KeptResult {
    KeptResult {
        from: CachedFrom { job: id(8), task: id(8).task(3) },
        kept_at: Timestamp::from_millis(kept_at),
        until: Timestamp::from_millis(kept_at + 10),
        data: Json::from_checked("[1.0, \"\u{1f600}\"]"),
    }
}

/// A pause, with every field filled.
#[must_use]
pub fn pause(at: u64) -> PauseRecord {
    PauseRecord { at: Timestamp::from_millis(at), by: Some("ops".into()), reason: Some("\u{1f600} no".into()) }
}

/// The state of a job that runs.
#[must_use]
pub fn running() -> JobState {
    JobState {
        status: JobStatus::Running,
        started_at: Some(Timestamp::from_millis(2)),
        ..JobState::pending(SUBMITTED_AT)
    }
}

/// The state of a job that has ended, with every field filled.
#[must_use]
pub fn ended(status: JobStatus) -> JobState {
    let first_failure = FirstFailure {
        task: "t0".into(),
        msg: "bad".into(),
        kind: Some(ErrorKind::TaskFailed),
        type_name: Some("ValueError".into()),
    };
    let first_failure = Some(Arc::new(first_failure));
    JobState {
        status,
        output: Some(Json::from(json!([1]))),
        msg: Some("because".into()),
        first_failure,
        details: Some(Arc::new(job_details())),
        ended_at: Some(Timestamp::from_millis(9)),
        ..running()
    }
}

/// Details of a job, with every field filled.
fn job_details() -> JobDetails {
    let cancel = CancelRecord {
        at: Timestamp::from_millis(7),
        now: true,
        handlers: true,
        by: Some("ops".into()),
        reason: Some("no".into()),
    };
    JobDetails {
        run: Some(Arc::new(Run { name: "nightly".into(), uid: Uuid::from_u128(7), at: SUBMITTED_AT, triggered: true })),
        labels: Some(Arc::new([("team".into(), "größe".into())].into())),
        parent: Some(Parent { job: id(6), task: id(6).task(2), root: id(5), detached: true, priority: -3 }),
        inputs: Some(Json::from(json!({"day": "ä"}))),
        origin: Some(origin()),
        retry_digest: Some(u64::MAX),
        cancel: Some(cancel),
        phase: Phase::Finally,
        verdict: Some(JobStatus::Failed),
        handlers_until: Some(Timestamp::from_millis(9)),
        handler_stop: Some(HandlerStop { why: "they took too long".into(), now: true, is_cancel: true }),
        failure: Some(Json::from(json!({"status": "FAILED", "tasks": []}))),
        pauses: [(PauseCause::Own, pause(5)), (PauseCause::Parent, pause(6))].into(),
        priority: Some(PriorityRecord {
            priority: -7,
            at: Timestamp::from_millis(6),
            by: Some("ops".into()),
            reason: Some("ä".into()),
        }),
        clock: JobClock { paused_since: Some(Timestamp::from_millis(5)), paused_ms: -3 },
        signals: vec![signal()],
        signal_keys: vec![SignalKey { name: "ä".into(), key: "once".into() }],
    }
}

/// The state of a sub-job of `root` that runs.
#[must_use]
pub fn sub_job(root: u128) -> JobState {
    let parent = Parent { job: id(root), task: id(root).task(0), root: id(root), detached: false, priority: 0 };
    let details = JobDetails { parent: Some(parent), ..JobDetails::default() };
    JobState { status: JobStatus::Running, details: Some(Arc::new(details)), ..JobState::pending(SUBMITTED_AT) }
}

/// The origin of a retry, with every field filled.
fn origin() -> Origin {
    Origin { job: id(8), root: id(7), number: 3, by: Some("ops".into()), reason: Some("again".into()) }
}

/// The state of a new job that is a retry.
#[must_use]
pub fn retry() -> JobState {
    let details = JobDetails { origin: Some(origin()), ..JobDetails::default() };
    JobState { details: Some(Arc::new(details)), ..JobState::pending(SUBMITTED_AT) }
}

/// A signal, with every field filled.
fn signal() -> ReceivedSignal {
    ReceivedSignal {
        name: "ä".into(),
        at: Timestamp::from_millis(7),
        by: Some("ops".into()),
        data: Some(Json::from(json!({"n": 1}))),
    }
}

/// The state of a task, with every field filled.
#[must_use]
pub fn task_state(status: TaskStatus) -> TaskState {
    let error = TaskError {
        type_name: Some("ValueError".into()),
        bases: vec!["Exception".into()],
        retry: Some(RetryAdvice::AfterMs(5)),
        traceback: Some("File \"x\"\n".into()),
        ..TaskError::new(ErrorKind::TaskFailed)
    };
    TaskState {
        status,
        issue: Some(Issue { number: 3, incarnation: u64::MAX }),
        confirmed: true,
        launched: true,
        deaths: 2,
        worker: Some("host-1".into()),
        data: Some(Json::from(json!([1, 2]))),
        msg: Some("no".into()),
        error: Some(Arc::new(error)),
        log: Some("printed".into()),
        submitted_at: Some(Timestamp::from_millis(1)),
        started_at: Some(Timestamp::from_millis(2)),
        ended_at: status.is_terminal().then(|| Timestamp::from_millis(3)),
        details: Some(Box::new(task_details())),
    }
}

/// Details of a task, with every field filled.
fn task_details() -> TaskDetails {
    let attempt = Attempt {
        number: 1,
        started_at: Some(Timestamp::from_millis(1)),
        ended_at: Timestamp::from_millis(2),
        worker: Some("host-2".into()),
        msg: "no\n".into(),
        error: Some(Arc::new(TaskError::new(ErrorKind::TimedOut))),
        log: Some("\u{1f600}".into()),
    };
    let rare = RareDetails {
        grants: 1,
        child: Some(id(9)),
        kept_from: Some(id(8)),
        cache: Some(CacheDetails {
            from: Some(CachedFrom { job: id(8), task: id(8).task(3) }),
            content: Some(result_key(1)),
            not_kept: Some("too large".into()),
        }),
        signals: vec![signal()],
        answer: Some(ApprovalAnswer {
            choice: "approve".into(),
            by: None,
            at: Timestamp::from_millis(8),
            input: Json::null(),
        }),
        progress: Some(Json::from_checked("[10]")),
        items: Some(ItemCounts { total: 9, success: 1, failed: 2, skipped: 3, cancelled: 4, data_bytes: Some(5) }),
        repairs: vec![RepairRecord {
            action: RepairAction::Retry,
            at: Timestamp::from_millis(7),
            by: Some("ops".into()),
            reason: Some("the server is back".into()),
        }],
    };
    TaskDetails {
        failures: 1,
        first: Some(1),
        overridden: true,
        defaults: Some(Arc::new(ModuleDefaults::read(Json::from_checked(r#"{"retry": 5}"#)).expect("it is valid"))),
        awaits_defaults: true,
        delayed_until: Some(Timestamp::from_millis(6)),
        retry_at: Some(Timestamp::from_millis(4)),
        held_until: Some(Timestamp::from_millis(5)),
        waits_until: Some(Timestamp::from_millis(9)),
        recovered: true,
        wait_ms: Some(8),
        ready_at: Some(Timestamp::from_millis(9)),
        has_started: true,
        attempts: vec![attempt],
        rare: rare.into(),
    }
}

/// Commits the addition of a job.
///
/// # Panics
/// If the commit fails.
pub async fn add(store: &dyn Store, number: u128, name: &str, tasks: usize) {
    commit(store, vec![job_added(number, job(name, tasks, None))]).await;
}

/// Commits.
///
/// # Panics
/// If the commit fails.
pub async fn commit(store: &dyn Store, changes: Vec<Change>) {
    store.commit(Arc::new(changes)).await.unwrap_or_else(|error| panic!("{error}: {error:?}"));
}
