//! The events of the target `machine`, and the expected response of the machine to each.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use hub_core::action::Assignment;
use hub_core::machine::{
    Cancel, ControlError, DeadLetter, Outcome, PostError, Posted, Published, Refused, Remark, Returned, Submitted,
    Update, Verdict, WorkerId, WorkerReport,
};
use hub_core::{IssueId, JobId, JobStatus, Json, TaskId, TaskStatus};
use uuid::Uuid;

use super::plan::{self, MODULES, POOLS};
use super::world::World;
use crate::fuzzing::choices::Choices;

const WORKERS: [&str; 3] = ["w0", "w1", "w2"];
/// Results of tasks.
const VALUES: [&str; 4] = ["null", r#"{"x": 1.0}"#, "[123456789012345678901234567890]", r#""_t0.data""#];
const PAUSES: [Duration; 6] = [
    Duration::ZERO,
    Duration::from_millis(20),
    Duration::from_secs(1),
    Duration::from_secs(15),
    Duration::from_secs(31),
    Duration::from_secs(3600),
];

/// Applies one event, selected by the next choices.
pub(super) fn happen(world: &mut World, choices: &mut Choices<'_>) {
    let byte = choices.bits();
    match byte % 20 {
        _ if byte >= 248 => pause_pool(world, choices),
        _ if byte >= 240 => pause_job(world, choices),
        _ if byte >= 236 => set_priority(world, choices),
        0 | 1 => submit(world, choices),
        2..=5 => result(world, choices),
        6 => returned(world, choices),
        7 => started(world, choices),
        8 | 9 => heartbeat(world, choices),
        10 => world.machine.handle_worker_left(&worker(choices)),
        11 => published(world, choices),
        12 => dead_letter(world, choices),
        13 => cancel(world, choices),
        14 => post(world, choices),
        15 => world.machine.handle_link(choices.yes(), world.now),
        16 => world.pass(*choices.of(&PAUSES)),
        17 => depth(world, choices),
        18 => world.crash(choices.yes()),
        _ => _ = world.turn(),
    }
}

/// One of four jobs. The second half of each byte selects the id or a similar one.
fn id(choices: &mut Choices<'_>) -> JobId {
    let number = choices.bits();
    JobId::new(Uuid::from_u128((1 + u128::from(number & 3)) << 64 | u128::from(number >> 7)))
}

fn worker(choices: &mut Choices<'_>) -> WorkerId {
    Arc::from(*choices.of(&WORKERS))
}

/// An issue that was published, or an invalid variant of it.
fn issue(world: &World, choices: &mut Choices<'_>) -> Option<Assignment> {
    let mut task = choices.latest(&world.issued)?.clone();
    match choices.bits() {
        // Rare, because a random byte should usually select an existing issue.
        250 => task.issue.number = u32::MAX,
        251 => task.issue.incarnation = u64::MAX,
        252 => task.issue.task = task.job.task(99),
        253 => task.issue.task = TaskId::new(task.job.uuid()),
        _ => {}
    }
    Some(task)
}

/// The expected verdict on a report of an issue.
fn verdict(world: &World, task: &Assignment) -> Verdict {
    if world.live_task(task.issue.task).is_none() {
        Verdict::Unknown
    } else if world.is_awaited(task.issue) {
        Verdict::Applied
    } else {
        Verdict::Stale
    }
}

/// Applies a report of an issue. A report that does not count has no effect, and one that counts has an effect only once.
fn report(world: &mut World, task: &Assignment, say: impl Fn(&mut World) -> Verdict) -> bool {
    let mut expected = verdict(world, task);
    if expected != Verdict::Applied {
        // Pending work is done first and may end the job.
        world.turn();
        expected = verdict(world, task);
    }
    assert_eq!(say(world), expected, "{task:?}");
    if expected != Verdict::Applied {
        assert_eq!(world.turn(), 0, "what did not count changed something: {task:?}");
        return false;
    }
    let again = say(world);
    assert!(matches!(again, Verdict::Stale | Verdict::Unknown), "{task:?} counted twice");
    true
}

fn submit(world: &mut World, choices: &mut Choices<'_>) {
    let id = id(choices);
    let job = plan::job(choices);
    if !world.machine.is_live(id) {
        world.turn();
        // The dispatcher answers requests about ended jobs from its store, without the machine.
        if world.ledger.job_of(id.task(0)).is_some_and(|kept| kept.state.status.is_terminal()) {
            return;
        }
    }
    let near = world.machine.jobs().find(|live| live.id.family() == id.family());
    let expected = match near.and_then(|near| world.machine.job(near.id)) {
        None => Ok(Submitted::New),
        Some(known) if known.id == id && known.job.source() == job.source() => Ok(Submitted::Known),
        Some(_) => Err(Refused::IdTaken),
    };
    assert_eq!(world.machine.submit(id, Arc::clone(&job), world.now), expected);
    if expected.is_ok() {
        assert_eq!(world.machine.submit(id, job, world.now), Ok(Submitted::Known));
    }
}

fn result(world: &mut World, choices: &mut Choices<'_>) {
    let Some(task) = issue(world, choices) else { return };
    let (kind, worker) = (choices.bits(), worker(choices));
    let data = Json::parse(VALUES[usize::from(kind >> 6)]).expect("values are JSON");
    let (status, outcome) = match kind & 7 {
        0 => (TaskStatus::Failed, Outcome::Failed { msg: "as it happens".into(), error: None }),
        1 => (TaskStatus::Running, Outcome::Launched { data: data.clone() }),
        _ => (TaskStatus::Success, Outcome::Success { data: data.clone() }),
    };
    // Workers may report any value.
    let times = [Duration::ZERO, Duration::from_secs(3600), Duration::MAX];
    let took = (*choices.of(&times)).saturating_sub(*choices.of(&times));
    let result = World::result(&task, outcome, &worker, took);
    let status = if world.is_cancelling(task.issue.task) && status != TaskStatus::Success {
        TaskStatus::Cancelled
    } else {
        status
    };
    if report(world, &task, |world| world.machine.handle_result(result.clone(), world.now)) {
        world.expect(
            task.issue.task,
            status,
            (!matches!(status, TaskStatus::Failed | TaskStatus::Cancelled)).then_some(data),
        );
    }
}

fn returned(world: &mut World, choices: &mut Choices<'_>) {
    let Some(task) = issue(world, choices) else { return };
    let (why, worker) = (
        *choices.of(&[Returned::UnknownModule, Returned::Busy, Returned::Draining, Returned::Stopped]),
        worker(choices),
    );
    report(world, &task, |world| world.machine.handle_returned(task.issue, why, &worker, world.now));
}

fn dead_letter(world: &mut World, choices: &mut Choices<'_>) {
    let Some(task) = issue(world, choices) else { return };
    let why = if world.issued.len().is_multiple_of(3) { DeadLetter::Policy } else { DeadLetter::DeliveryLimit };
    let say = |world: &mut World| world.machine.handle_dead_letter(task.issue, why, world.now);
    let failed = failed(world, &task);
    let runs = world.live_task(task.issue.task).is_some_and(|(_, state)| state.status == TaskStatus::Running);
    if why == DeadLetter::Policy && runs {
        world.turn();
        assert_ne!(say(world), Verdict::Applied, "a worker has it, {task:?}");
        assert_eq!(world.turn(), 0, "what did not count changed something: {task:?}");
    } else if report(world, &task, say) && why == DeadLetter::DeliveryLimit {
        world.expect(task.issue.task, failed, None);
    }
}

/// How the task ends with a failure.
fn failed(world: &World, task: &Assignment) -> TaskStatus {
    if world.is_cancelling(task.issue.task) { TaskStatus::Cancelled } else { TaskStatus::Failed }
}

/// Some recently published issues.
fn some_issues(world: &World, choices: &mut Choices<'_>) -> Vec<IssueId> {
    let wanted = choices.bits();
    let lately = world.issued.iter().rev().take(8).enumerate();
    lately.filter(|(at, _)| wanted >> at & 1 == 1).map(|(_, task)| task.issue).collect()
}

fn started(world: &mut World, choices: &mut Choices<'_>) {
    let (worker, held) = (worker(choices), some_issues(world, choices));
    world.machine.handle_started(&worker, &held, world.now);
}

fn heartbeat(world: &mut World, choices: &mut Choices<'_>) {
    let (id, serves, has) = (worker(choices), choices.bits(), choices.bits());
    let chosen = |bits: u8| move |at: &usize| bits >> at & 1 == 1;
    let module = |at: usize| Arc::from(MODULES[at]);
    let report = WorkerReport {
        progress: Vec::new(),
        contents: [].into(),
        defaults: [].into(),
        id,
        host: "here".into(),
        pid: 1,
        // A pool may occur twice.
        pools: (0..4).filter(chosen(serves)).map(|at| Arc::from(POOLS[at % 2])).collect(),
        slots: [1, 0, 3, u32::MAX][usize::from(serves >> 4 & 3)],
        running: 0,
        tasks: (0..3).filter(chosen(has)).map(|at| (module(at), None)).collect(),
        broken: (0..3).filter(chosen(has >> 3)).map(|at| (module(at), "no".into())).collect::<BTreeMap<_, _>>(),
        allow: hub_core::TaskKinds::default(),
        shortage: None,
        held: some_issues(world, choices),
        present: some_issues(world, choices),
    };
    let _ = world.machine.handle_heartbeat(report, world.now);
}

fn published(world: &mut World, choices: &mut Choices<'_>) {
    let Some(task) = issue(world, choices) else { return };
    let how = match choices.bits() % 4 {
        0 | 1 => Published::Confirmed,
        2 => Published::Unroutable,
        _ => Published::Rejected("too large".into()),
    };
    let is_awaited = world.is_awaited(task.issue);
    if !is_awaited {
        world.turn();
    }
    let (is_rejected, failed) = (matches!(how, Published::Rejected(_)), failed(world, &task));
    world.machine.handle_published(task.issue, how, world.now);
    if !is_awaited {
        assert_eq!(world.turn(), 0, "what did not count changed something: {task:?}");
    } else if is_rejected {
        world.expect(task.issue.task, failed, None);
    }
}

fn cancel(world: &mut World, choices: &mut Choices<'_>) {
    let (id, now) = (id(choices), choices.yes());
    let expected = if world.machine.is_live(id) { Ok(()) } else { Err(ControlError::UnknownJob) };
    assert_eq!(world.machine.cancel(id, Cancel { now, ..Cancel::default() }, world.now).map(drop), expected);
    let status = world.machine.job(id).map(|job| job.state.status);
    assert!(matches!(status, None | Some(JobStatus::Cancelling)), "{id:?} is {status:?} after its cancel");
}

fn pause_job(world: &mut World, choices: &mut Choices<'_>) {
    let (id, pauses) = (id(choices), choices.yes());
    let is_cancelling = world.is_cancelling(id.task(0));
    let expected = match world.machine.is_live(id) {
        false => Err(ControlError::UnknownJob),
        true if is_cancelling && pauses => Err(ControlError::Cancelling),
        true => Ok(()),
    };
    if pauses {
        assert_eq!(world.machine.pause_job(id, Remark::default(), world.now), expected);
    } else {
        assert_eq!(world.machine.resume_job(id, world.now), expected);
    }
    if expected.is_ok() {
        let is_paused = world.machine.job(id).is_some_and(|job| job.state.status == JobStatus::Paused);
        assert_eq!(is_paused, pauses);
    }
}

/// Also explains the job: each task that has not ended has one reason.
fn set_priority(world: &mut World, choices: &mut Choices<'_>) {
    let (id, priority) = (id(choices), *choices.of(&[0, 1, -1000, 1000]));
    let expected = match world.machine.is_live(id) {
        false => Err(ControlError::UnknownJob),
        true if world.is_cancelling(id.task(0)) => Err(ControlError::Cancelling),
        true => Ok(()),
    };
    assert_eq!(world.machine.set_priority(id, priority, Remark::default(), world.now), expected);
    let explained = world.machine.explain(id, None);
    assert_eq!(explained.is_some(), world.machine.is_live(id));
    if let Some(Ok(explanation)) = explained {
        let job = world.machine.job(id).expect("the job is live");
        let open = job.tasks.iter().filter(|task| !task.status.is_terminal()).count();
        let listed: u32 = explanation.tasks.iter().map(|group| group.count).sum();
        assert!(listed as usize >= open, "{listed} of {open} tasks are explained: {explanation:?}");
    }
}

fn pause_pool(world: &mut World, choices: &mut Choices<'_>) {
    let pool = Arc::from(*choices.of(&POOLS));
    if choices.yes() {
        world.machine.pause_pool(pool, Remark::default(), world.now).expect("there are few pools");
    } else {
        world.machine.resume_pool(&pool, world.now);
    }
}

fn post(world: &mut World, choices: &mut Choices<'_>) {
    let Some(task) = issue(world, choices) else { return };
    let kind = choices.bits();
    let is_success = kind & 1 == 0;
    let status = if is_success { TaskStatus::Success } else { TaskStatus::Failed };
    let given = (kind & 2 == 0).then(|| Json::parse(VALUES[usize::from(kind >> 6)]).expect("values are JSON"));
    let data = is_success.then(|| given.clone().unwrap_or_else(Json::null));
    let expected = match world.live_task(task.issue.task) {
        None => Err(PostError::UnknownTask),
        Some((_, state)) if state.status == TaskStatus::Pending => Err(PostError::NotStarted),
        Some((_, state)) if !state.status.is_terminal() => Ok(Posted::Applied),
        Some((_, state)) if state.status == status && state.data == data => Ok(Posted::AlreadySame),
        Some(_) => Err(PostError::AlreadyEnded),
    };
    let update = Update { status, data: given, msg: None };
    let end = if is_success { status } else { failed(world, &task) };
    assert_eq!(world.machine.post_result(task.issue.task, update, world.now), expected, "{task:?}");
    if expected == Ok(Posted::Applied) {
        world.expect(task.issue.task, end, data);
    }
}

fn depth(world: &mut World, choices: &mut Choices<'_>) {
    let (pool, ready) = (*choices.of(&POOLS), u64::from(choices.yes()));
    let asked = world.now.steady.before(*choices.of(&PAUSES));
    let lost = world.machine.handle_depth(pool, ready, asked);
    assert!(ready == 0 || lost == 0, "{lost} are held to be lost while messages wait");
}
