//! The events of the target `features`.

use std::sync::Arc;
use std::time::Duration;

use hub_core::action::Assignment;
use hub_core::details::RepairAction;
use hub_core::digest::Digest;
use hub_core::job::ModuleDefaults;
use hub_core::machine::{
    Cancel, DeadLetter, Handlers, Outcome, Published, Remark, Repair, RetriedJob, Retry, Returned, TaskResult, Update,
    WorkerId, WorkerReport,
};
use hub_core::state::{ErrorKind, RetryAdvice, TaskError, TaskState};
use hub_core::{IssueId, JobId, Json, RetryFrom, TaskId, TaskStatus};
use uuid::Uuid;

use super::plan::{self, MODULES, POOLS};
use super::world::{World, choice, helper, signal};
use crate::fuzzing::choices::Choices;
use crate::fuzzing::reports;

const WORKERS: [&str; 2] = ["w0", "w1"];
/// Results of tasks. Some of them are lists of items.
const VALUES: [&str; 4] = ["null", r#"{"x": 1.0}"#, "[1, [2], 3]", r#""_t0.data""#];
const PAUSES: [Duration; 7] = [
    Duration::ZERO,
    Duration::from_millis(20),
    Duration::from_secs(1),
    Duration::from_secs(6),
    Duration::from_secs(15),
    Duration::from_secs(31),
    Duration::from_secs(3600),
];
/// Maximum number of jobs that a client submits, and of those that a retry makes.
const MAX_JOBS: u8 = 4;
/// Maximum size of a value.
const VALUE_LIMIT: usize = 1 << 20;

/// Applies one event, selected by the next choices.
pub(super) fn happen(world: &mut World, choices: &mut Choices<'_>) {
    match choices.bits() % 32 {
        0..=2 => submit(world, choices),
        3..=8 => result(world, choices),
        9 => returned(world, choices),
        10 | 11 => started(world, choices),
        12 | 13 => heartbeat(world, choices),
        14 => world.machine.handle_worker_left(&worker(choices)),
        15 => published(world, choices),
        16 => dead_letter(world, choices),
        17 => cancel(world, choices),
        18 => post(world, choices),
        19 => world.machine.handle_link(choices.yes(), world.now),
        20 | 21 => world.pass(*choices.of(&PAUSES)),
        22 => {
            let (pool, asked) = (*choices.of(&POOLS), world.now.steady.before(*choices.of(&PAUSES)));
            let _ = world.machine.handle_depth(pool, 0, asked);
        }
        23 => world.crash(choices.yes()),
        24 => pause(world, choices),
        25 => send_signal(world, choices),
        26 => answer(world, choices),
        27 => repair(world, choices),
        28 => retry(world, choices),
        29 => ask(world, choices),
        _ => world.turn(),
    }
}

fn id(number: u8) -> JobId {
    JobId::new(Uuid::from_u128((1 + u128::from(number)) << 64))
}

/// A live job, which may be a sub-job, or one that is not live.
fn job(world: &World, choices: &mut Choices<'_>) -> JobId {
    let jobs: Vec<JobId> = world.jobs().into_iter().collect();
    choices.latest(&jobs).copied().unwrap_or_else(|| id(0))
}

/// A live task or item.
fn task(world: &World, choices: &mut Choices<'_>) -> TaskId {
    let tasks: Vec<TaskId> = world.tasks().into_iter().map(|(id, _)| id).collect();
    choices.latest(&tasks).copied().unwrap_or_else(|| id(0).task(99))
}

/// A task of which `is_meant` holds, or any other.
fn one_of(world: &World, choices: &mut Choices<'_>, is_meant: impl Fn(&TaskState) -> bool) -> TaskId {
    let meant = world.tasks().into_iter().filter(|(_, state)| is_meant(state));
    let meant: Vec<TaskId> = meant.map(|(id, _)| id).collect();
    choices.latest(&meant).copied().unwrap_or_else(|| task(world, choices))
}

fn worker(choices: &mut Choices<'_>) -> WorkerId {
    Arc::from(*choices.of(&WORKERS))
}

/// An issue that was published: one that is awaited, or any other.
fn issue(world: &World, choices: &mut Choices<'_>) -> Option<Assignment> {
    let awaited: Vec<Assignment> = world.issued.iter().filter(|task| world.is_awaited(task.issue)).cloned().collect();
    let any = choices.bits() >= 240 || awaited.is_empty();
    choices.latest(if any { &world.issued } else { &awaited }).cloned()
}

/// Some recently published issues.
fn some_issues(world: &World, choices: &mut Choices<'_>) -> Vec<IssueId> {
    let wanted = choices.bits();
    let lately = world.issued.iter().rev().take(8).enumerate();
    lately.filter(|(at, _)| wanted >> at & 1 == 1).map(|(_, task)| task.issue).collect()
}

fn submit(world: &mut World, choices: &mut Choices<'_>) {
    let (id, job) = (id(choices.bits() % MAX_JOBS), plan::job(choices));
    world.turn();
    // The dispatcher answers requests about ended jobs from its store, without the machine.
    if let Some(job) = job.filter(|_| !world.store.jobs.contains_key(&id)) {
        world.machine.submit(id, job, world.now).expect("the id is free");
    }
}

fn result(world: &mut World, choices: &mut Choices<'_>) {
    let Some(task) = issue(world, choices) else { return };
    let kind = choices.bits();
    let data = Json::from_checked(VALUES[usize::from(kind >> 6)]);
    let outcome = match kind & 7 {
        0 => Outcome::failed(ErrorKind::TaskFailed, "as it happens"),
        1 => {
            let error = TaskError { retry: Some(RetryAdvice::Never), ..TaskError::new(ErrorKind::TaskFailed) };
            Outcome::Failed { msg: "never again".into(), error: Some(Arc::new(error)) }
        }
        2 => Outcome::failed(ErrorKind::TimedOut, "too slow"),
        3 => Outcome::Launched { data },
        _ => Outcome::Success { data },
    };
    let result = TaskResult {
        progress: (kind & 8 == 8).then(|| Json::from_checked("[10]")),
        content: task.wants_content.then(|| Digest::of(&[kind & 16])),
        defaults: (task.awaits_defaults && kind & 32 == 32).then(defaults),
        ..reports::result(&task, outcome)
    };
    let _ = world.machine.handle_result(result.clone(), world.now);
    let again = world.machine.handle_result(result, world.now);
    assert!(again != hub_core::machine::Verdict::Applied, "{task:?} counted twice");
}

fn returned(world: &mut World, choices: &mut Choices<'_>) {
    let Some(task) = issue(world, choices) else { return };
    let reasons = [Returned::UnknownModule, Returned::Busy, Returned::Draining, Returned::Stopped];
    let (why, worker) = (*choices.of(&reasons), worker(choices));
    let _ = world.machine.handle_returned(task.issue, why, &worker, world.now);
}

fn started(world: &mut World, choices: &mut Choices<'_>) {
    let (worker, held) = (worker(choices), some_issues(world, choices));
    world.machine.handle_started(&worker, &held, world.now);
    if let Some(task) = issue(world, choices) {
        world.machine.handle_running(&worker, task.issue, *choices.of(&PAUSES), world.now);
    }
}

fn heartbeat(world: &mut World, choices: &mut Choices<'_>) {
    let (id, has) = (worker(choices), choices.bits());
    let chosen = |at: &usize| has >> at & 1 == 1;
    let modules = || (0..3).filter(chosen).map(|at| Arc::from(MODULES[at]));
    let progress = issue(world, choices).map(|task| (task.issue, Json::from_checked("[20]")));
    let report = WorkerReport {
        id,
        pools: POOLS[..1 + usize::from(has >> 7)].iter().copied().map(Arc::from).collect(),
        slots: u32::from(has >> 3 & 3),
        tasks: modules().map(|module| (module, None)).collect(),
        contents: modules().map(|module| (module, Digest::of(&[has & 32]))).collect(),
        defaults: if has & 64 == 64 { modules().map(|module| (module, defaults())).collect() } else { [].into() },
        progress: progress.into_iter().collect(),
        held: some_issues(world, choices),
        present: some_issues(world, choices),
        ..helper()
    };
    let _ = world.machine.handle_heartbeat(report, world.now);
}

fn defaults() -> Arc<ModuleDefaults> {
    let text = Json::from_checked(r#"{"retry": 2, "timeout": "10s"}"#);
    Arc::new(ModuleDefaults::read(text).expect("they are valid"))
}

fn published(world: &mut World, choices: &mut Choices<'_>) {
    let Some(task) = issue(world, choices) else { return };
    let how = match choices.bits() % 4 {
        0 | 1 => Published::Confirmed,
        2 => Published::Unroutable,
        _ => Published::Rejected("too large".into()),
    };
    world.machine.handle_published(task.issue, how, world.now);
}

fn dead_letter(world: &mut World, choices: &mut Choices<'_>) {
    let Some(task) = issue(world, choices) else { return };
    let why = if choices.yes() { DeadLetter::Policy } else { DeadLetter::DeliveryLimit };
    let _ = world.machine.handle_dead_letter(task.issue, why, world.now);
}

fn cancel(world: &mut World, choices: &mut Choices<'_>) {
    let (id, how) = (job(world, choices), choices.bits());
    if how & 4 == 4 {
        let handlers = if how & 1 == 1 { Handlers::Run } else { Handlers::Skip };
        let _ = world.machine.fail_job(id, "by chance".into(), handlers, world.now);
    } else {
        let cancel = Cancel { now: how & 1 == 1, handlers: how & 2 == 2, ..Cancel::default() };
        let _ = world.machine.cancel(id, cancel, world.now);
    }
}

fn post(world: &mut World, choices: &mut Choices<'_>) {
    let task = one_of(world, choices, |state| state.launched);
    let status = if choices.yes() { TaskStatus::Failed } else { TaskStatus::Success };
    let _ = world.machine.post_result(task, Update { status, data: None, msg: None }, world.now);
}

fn pause(world: &mut World, choices: &mut Choices<'_>) {
    let (how, pool) = (choices.bits() % 4, Arc::from(*choices.of(&POOLS)));
    let id = job(world, choices);
    match how {
        0 => _ = world.machine.pause_job(id, Remark::default(), world.now),
        1 => _ = world.machine.resume_job(id, world.now),
        2 => world.machine.pause_pool(pool, Remark::default(), world.now).expect("there are few pools"),
        _ => world.machine.resume_pool(&pool, world.now),
    }
}

fn send_signal(world: &mut World, choices: &mut Choices<'_>) {
    let (id, how) = (job(world, choices), choices.bits());
    let key = (how & 1 == 1).then(|| Arc::from("once"));
    let signal = hub_core::machine::Signal { broadcast: how & 2 == 2, key, ..signal() };
    let _ = world.machine.signal(id, signal, world.now);
}

fn answer(world: &mut World, choices: &mut Choices<'_>) {
    let is_asked = |state: &TaskState| state.details.as_deref().is_some_and(|details| details.waits_until.is_some());
    let task = one_of(world, choices, is_asked);
    let _ = world.machine.choose(task, choice(usize::from(choices.bits())), world.now);
}

fn repair(world: &mut World, choices: &mut Choices<'_>) {
    let task = one_of(world, choices, |state| {
        state.details.as_deref().is_some_and(|details| details.held_until.or(details.retry_at).is_some())
    });
    let action = *choices.of(&RepairAction::ALL);
    let data = (action == RepairAction::Skip && choices.yes()).then(Json::null);
    let _ = world.machine.repair(task, Repair { action, data, by: None, reason: None }, world.now);
}

/// Retries a job that has ended, under another id.
fn retry(world: &mut World, choices: &mut Choices<'_>) {
    let how = choices.bits();
    let (ended, new) = (id(how % MAX_JOBS), id(MAX_JOBS + how % MAX_JOBS));
    world.turn();
    let is_free = !world.store.jobs.contains_key(&new);
    let ended = world.store.jobs.get(&ended).filter(|job| is_free && job.state.status.is_terminal());
    let Some(ended) = ended.cloned() else { return };
    let from = if how & 128 == 128 { RetryFrom::Start } else { RetryFrom::Failure };
    if let Ok(retried) = RetriedJob::new(ended, Retry { from, ..Retry::default() }, VALUE_LIMIT, world.now.wall) {
        world.machine.submit_retry(new, retried, world.now).expect("the id is free");
    }
}

/// Reads what the machine tells about jobs, and changes a priority.
fn ask(world: &mut World, choices: &mut Choices<'_>) {
    let id = job(world, choices);
    let _ = world.machine.set_priority(id, i32::from(choices.bits()), Remark::default(), world.now);
    let Some(snapshot) = world.machine.job(id) else { return };
    let record = snapshot.record();
    assert!(serde_json::from_str::<serde_json::Value>(record.get()).is_ok(), "{record}");
    world.machine.explain(id, None).expect("it is live").expect("all tasks are known");
}
