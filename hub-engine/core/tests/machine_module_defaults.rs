//! What task modules set for tasks that do not set it themselves: which tasks take it, when, and what of it survives.

mod support;

use std::sync::Arc;
use std::time::Duration;

use hub_core::action::{Action, Assignment};
use hub_core::details::TaskDetails;
use hub_core::digest::Digest;
use hub_core::job::ModuleDefaults;
use hub_core::machine::{Outcome, Settings, TaskResult, Update};
use hub_core::state::ErrorKind;
use hub_core::{JobId, JobStatus, TaskStatus};
use support::{Hub, json};

/// Three attempts at once, each of a minute.
const THREE: &str = r#"{"retry": {"maximum_attempts": 3, "initial_interval": "1ms"},
    "timeout": {"start_to_close": "1m", "grace": "3s"}}"#;
/// One attempt.
const NONE: &str = r#"{"retry": 1}"#;
/// A job with one task of the module `m`.
const JOB: &str = r#"{"name": "j", "tasks": [{"name": "m"}]}"#;

/// A worker with the module `m` in a version, which sets this.
fn deploy(hub: &mut Hub, worker: &str, version: &[u8], defaults: Option<&str>) {
    let mut report = hub.worker(worker, &["m"]);
    report.contents = [("m".into(), Digest::of(version))].into();
    let read = |text: &str| ("m".into(), Arc::new(ModuleDefaults::read(json(text)).unwrap()));
    report.defaults = defaults.map(read).into_iter().collect();
    hub.machine.handle_heartbeat(report, hub.now);
}

fn details(hub: &Hub, job: JobId) -> TaskDetails {
    hub.stored(job).tasks[0].details.as_deref().cloned().unwrap_or_default()
}

/// Fails each attempt until there is none any more. Returns the number of attempts.
fn exhaust(hub: &mut Hub) -> u32 {
    let mut attempts = 0;
    loop {
        let out = hub.handed_out();
        if out.is_empty() {
            return attempts;
        }
        assert_eq!(out.len(), 1);
        attempts += 1;
        hub.fail(&out[0], "no");
        hub.actions();
        hub.pass(Duration::from_secs(1));
    }
}

/// The worker reports that an issue has failed, and the defaults of its module.
fn end_with(hub: &mut Hub, task: &Assignment, defaults: Option<&str>) {
    let result = TaskResult {
        issue: task.issue,
        outcome: Outcome::Failed { msg: "no".into(), error: None },
        defaults: defaults.map(|text| Arc::new(ModuleDefaults::read(json(text)).unwrap())),
        log: None,
        progress: None,
        content: None,
        worker: "w1".into(),
        took: Duration::ZERO,
    };
    hub.machine.handle_result(result, hub.now);
    hub.actions();
}

fn limits(task: &Assignment) -> Option<(Option<Duration>, Duration)> {
    task.limits.map(|limits| (limits.start_to_close, limits.grace))
}

#[test]
fn a_task_takes_what_its_module_sets_and_keeps_it_through_deployments_and_crashes() {
    let mut hub = Hub::new();
    deploy(&mut hub, "w1", b"1", Some(THREE));
    let job = hub.submit(1, JOB);
    let first = hub.handed_out().remove(0);
    assert_eq!(limits(&first), Some((Some(Duration::from_secs(60)), Duration::from_secs(3))));
    assert!(!first.awaits_defaults);
    let record: serde_json::Value = serde_json::from_str(hub.stored(job).record().get()).unwrap();
    assert_eq!(record["tasks"][0]["defaults"]["retry"]["maximum_attempts"], 3, "{record:#}");
    deploy(&mut hub, "w1", b"2", None);
    hub.fail(&first, "no");
    hub.actions();
    hub.crash();
    deploy(&mut hub, "w2", b"2", Some(NONE));
    hub.pass(Duration::from_secs(1));
    let second = hub.handed_out().remove(0);
    assert_eq!((second.attempt, limits(&second)), (2, limits(&first)));
    hub.fail(&second, "no");
    hub.actions();
    hub.pass(Duration::from_secs(1));
    assert_eq!(exhaust(&mut hub), 1);
    assert_eq!(hub.stored(job).tasks[0].status, TaskStatus::Failed);
    assert_eq!(
        format!("{:?}", details(&hub, job).rare),
        "BoxedDetails(None)",
        "the task takes memory for what it lacks"
    );
    // A later task takes what the new version sets.
    hub.submit(2, JOB);
    assert_eq!(exhaust(&mut hub), 1);
}

#[test]
fn the_nearest_whole_object_counts() {
    let mut hub = Hub::new();
    deploy(&mut hub, "w1", b"1", Some(THREE));
    for (number, text, attempts) in [
        (1, r#"{"name": "j", "tasks": [{"name": "m", "retry": 2}]}"#, 2),
        (
            2,
            r#"{"name": "j", "retry": {"maximum_attempts": 4, "initial_interval": 0.001}, "tasks": [{"name": "m"}]}"#,
            4,
        ),
        (3, r#"{"name": "j", "timeout": {"heartbeat": 9}, "tasks": [{"name": "m"}]}"#, 3),
        (4, r#"{"name": "j", "tasks": [{"name": "other"}]}"#, 1),
        (5, r#"{"name": "j", "tasks": [{"name": "m", "for_each": 1}]}"#, 3),
        (6, r#"{"name": "j", "tasks": [{"name": "m", "shell": "false"}]}"#, 1),
    ] {
        let mut report = hub.worker("w2", &["other"]);
        report.allow = hub_core::TaskKinds::all();
        hub.machine.handle_heartbeat(report, hub.now);
        let job = hub.submit(number, text);
        assert_eq!(exhaust(&mut hub), attempts, "{text}");
        assert_eq!(hub.stored(job).state.status, JobStatus::Failed);
    }
    // The module sets how often, the job sets how long.
    hub.submit(7, r#"{"name": "j", "timeout": {"heartbeat": 9}, "tasks": [{"name": "m"}]}"#);
    let limits = hub.handed_out().remove(0).limits.unwrap();
    assert_eq!((limits.start_to_close, limits.heartbeat), (None, Some(Duration::from_secs(9))));
}

#[test]
fn a_task_issued_before_its_module_was_known_takes_it_with_the_first_report() {
    for is_long in [false, true] {
        let mut hub = Hub::new();
        let job = hub.submit(1, JOB);
        let first = hub.handed_out().remove(0);
        assert!(first.awaits_defaults && first.limits.is_none());
        hub.crash();
        deploy(&mut hub, "w1", b"1", Some(THREE));
        assert!(details(&hub, job).awaits_defaults);
        if is_long {
            hub.machine.handle_started(&"w1".into(), &[first.issue], hub.now);
            hub.actions();
            assert_eq!(details(&hub, job).defaults.unwrap().text().get(), THREE);
        }
        // A worker reports with the result what the module sets that ran, whatever its heartbeats say by now.
        deploy(&mut hub, "w1", b"2", None);
        end_with(&mut hub, &first, (!is_long).then_some(THREE));
        hub.pass(Duration::from_secs(1));
        assert!(!details(&hub, job).awaits_defaults);
        assert_eq!(exhaust(&mut hub), 2, "of three attempts, one has failed");
    }
    // A worker that sets nothing leaves nothing behind.
    let mut hub = Hub::new();
    let job = hub.submit(1, JOB);
    let first = hub.handed_out().remove(0);
    deploy(&mut hub, "w1", b"1", None);
    end_with(&mut hub, &first, None);
    assert_eq!((details(&hub, job), hub.stored(job).tasks[0].status), (TaskDetails::default(), TaskStatus::Failed));
}

#[test]
fn a_worker_that_cannot_load_a_module_does_not_say_what_it_sets() {
    let mut hub = Hub::new();
    hub.submit(1, JOB);
    let first = hub.handed_out().remove(0);
    deploy(&mut hub, "w2", b"1", Some(THREE));
    end_with(&mut hub, &first, None);
    hub.pass(Duration::from_secs(1));
    assert_eq!(exhaust(&mut hub), 2, "of three attempts, one has failed");
}

#[test]
fn what_a_task_sets_itself_is_not_awaited() {
    let mut hub = Hub::new();
    hub.submit(1, r#"{"name": "j", "timeout": {"schedule_to_close": "1h"}, "tasks": [{"name": "m"}]}"#);
    let first = hub.handed_out().remove(0);
    assert!(first.awaits_defaults, "the module may set a retry policy");
    assert_eq!(
        limits(&first),
        Some((None, Duration::from_secs(10))),
        "the limits of the job count, though none is of an attempt"
    );
    end_with(&mut hub, &first, Some(THREE));
    hub.pass(Duration::from_secs(1));
    let second = hub.handed_out().remove(0);
    assert_eq!((second.attempt, limits(&second)), (2, None));
    hub.submit(2, r#"{"name": "j", "retry": 2, "timeout": 3, "tasks": [{"name": "m"}]}"#);
    hub.handed_out();
    assert_eq!(hub.stored(support::id(2)).tasks[0].details, None);
}

#[test]
fn the_greatest_content_decides_while_workers_are_updated() {
    let (mut low, mut high) = (b"1", b"2");
    if Digest::of(low) > Digest::of(high) {
        std::mem::swap(&mut low, &mut high);
    }
    for (of_low, of_high, attempts) in
        [(Some(THREE), Some(NONE), 1), (Some(NONE), Some(THREE), 3), (Some(THREE), None, 1)]
    {
        let mut hub = Hub::with(Settings::default());
        deploy(&mut hub, "w1", high, of_high);
        deploy(&mut hub, "w2", low, of_low);
        hub.submit(1, JOB);
        assert_eq!(exhaust(&mut hub), attempts);
        // The last worker with the greatest content goes.
        hub.machine.handle_worker_left(&"w1".into());
        hub.submit(2, JOB);
        assert_eq!(exhaust(&mut hub), if of_low == Some(THREE) { 3 } else { 1 });
    }
}

#[test]
fn the_limits_of_a_module_count_for_launched_tasks_and_workers_that_hang() {
    let mut hub = Hub::new();
    deploy(&mut hub, "w1", b"1", Some(THREE));
    let job = hub.submit(1, JOB);
    let first = hub.handed_out().remove(0);
    hub.result(&first, Outcome::Launched { data: json("1") });
    hub.actions();
    hub.pass(Duration::from_secs(61));
    hub.actions();
    let state = &hub.stored(job).tasks[0];
    assert_eq!(state.details.as_ref().unwrap().failures, 1, "{state:?}");
    // A cancel gives the task the grace of its module.
    hub.pass(Duration::from_secs(1));
    let second = hub.handed_out().remove(0);
    hub.machine.handle_started(&"w1".into(), &[second.issue], hub.now);
    hub.actions();
    hub.cancel(job);
    let graces: Vec<Duration> = hub
        .actions()
        .into_iter()
        .filter_map(|action| match action {
            Action::Stop { grace, .. } => Some(grace),
            _ => None,
        })
        .collect();
    assert_eq!(graces, [Duration::from_secs(3)]);
}

/// A heartbeat of a worker of this version, which holds these issues.
fn holds(hub: &mut Hub, worker: &str, defaults: Option<&str>, held: &[&Assignment]) {
    let mut report = hub.worker(worker, &[]);
    report.tasks = [("m".into(), None)].into();
    report.contents = [("m".into(), Digest::of(worker.as_bytes()))].into();
    let read = |text: &str| ("m".into(), Arc::new(ModuleDefaults::read(json(text)).unwrap()));
    report.defaults = defaults.map(read).into_iter().collect();
    report.held = held.iter().map(|task| task.issue).collect();
    hub.machine.handle_heartbeat(report, hub.now);
}

#[test]
fn a_task_that_runs_long_has_the_defaults_of_the_worker_that_runs_it() {
    for of_runner in [Some(THREE), None] {
        let mut hub = Hub::new();
        let job = hub.submit(1, JOB);
        let first = hub.handed_out().remove(0);
        // Its worker has not sent a heartbeat yet, and others have other versions.
        deploy(&mut hub, "w0", b"1", Some(NONE));
        deploy(&mut hub, "w9", b"2", Some(NONE));
        hub.machine.handle_started(&"w1".into(), &[first.issue], hub.now);
        hub.actions();
        assert!(details(&hub, job).awaits_defaults);
        hub.crash();
        holds(&mut hub, "w1", of_runner, &[&first]);
        hub.pass(Duration::from_secs(1));
        let mut graces = Vec::new();
        hub.cancel(job);
        for action in hub.actions() {
            if let Action::Stop { grace, .. } = action {
                graces.push(grace.as_secs());
            }
        }
        assert_eq!(graces, [if of_runner.is_some() { 3 } else { 10 }]);
    }
}

#[test]
fn the_limit_of_a_module_that_was_awaited_ends_a_task_whose_worker_hangs() {
    let mut hub = Hub::new();
    let job = hub.submit(1, JOB);
    let first = hub.handed_out().remove(0);
    hub.machine.handle_started(&"w1".into(), &[first.issue], hub.now);
    hub.actions();
    for _ in 0..20 {
        holds(&mut hub, "w1", Some(THREE), &[&first]);
        hub.pass(Duration::from_secs(5));
    }
    hub.actions();
    let attempts: Vec<_> =
        details(&hub, job).attempts.iter().map(|attempt| attempt.error.as_ref().unwrap().kind).collect();
    assert_eq!(attempts, [ErrorKind::TimedOut]);
}

#[test]
fn a_failure_that_no_worker_reports_meets_the_defaults_that_are_known_by_then() {
    let mut hub = Hub::new();
    let job = hub.submit(1, JOB);
    let first = hub.handed_out().remove(0);
    deploy(&mut hub, "w1", b"1", Some(THREE));
    hub.machine.handle_started(&"w7".into(), &[first.issue], hub.now);
    hub.actions();
    let update = Update { status: TaskStatus::Failed, data: None, msg: Some("no".into()) };
    hub.machine.post_result(job.task(0), update, hub.now).unwrap();
    hub.actions();
    assert_eq!((details(&hub, job).failures, hub.stored(job).tasks[0].status), (1, TaskStatus::Pending));
}

#[test]
fn a_module_that_is_broken_everywhere_has_no_known_defaults() {
    let mut hub = Hub::new();
    let mut report = hub.worker("w1", &["other"]);
    report.broken = [("m".into(), "no".into())].into();
    hub.machine.handle_heartbeat(report, hub.now);
    hub.submit(1, JOB);
    assert!(hub.handed_out().remove(0).awaits_defaults);
}

#[test]
fn the_newest_report_counts_where_the_content_is_the_same() {
    let mut hub = Hub::new();
    deploy(&mut hub, "w1", b"1", Some(NONE));
    deploy(&mut hub, "w2", b"1", Some(NONE));
    deploy(&mut hub, "w2", b"1", Some(THREE));
    hub.submit(1, JOB);
    assert_eq!(exhaust(&mut hub), 3);
    deploy(&mut hub, "w1", b"1", None);
    deploy(&mut hub, "w2", b"1", None);
    hub.submit(2, JOB);
    assert_eq!(exhaust(&mut hub), 1);
}
