//! A turn does a bounded amount of work, so that a large job does not delay the others. Later turns do the rest, also
//! after a restart.

mod support;

use std::sync::Arc;
use std::time::Duration;

use hub_core::action::{Action, Change};
use hub_core::machine::{Handlers, Outcome, Returned, TaskResult, Verdict};
use hub_core::state::{ErrorKind, TaskError};
use hub_core::{JobId, JobStatus, TaskStatus};
use support::Hub;

/// More tasks than one turn processes.
const COUNT: usize = 30_000;
/// Maximum number of tasks that a turn changes.
const MOST: usize = 10_001;

fn submit(hub: &mut Hub, more: &str) -> JobId {
    let tasks = (0..COUNT).map(|at| format!(r#",{{"name": "t{at}"{more}}}"#)).collect::<String>();
    hub.submit(1, &format!(r#"{{"name": "j", "tasks": [{{"name": "a"}}{tasks}]}}"#))
}

fn changed(actions: &[Action]) -> usize {
    actions.iter().filter(|action| matches!(action, Action::Persist(Change::TaskChanged { .. }))).count()
}

/// Takes turns until no work is left, and checks that none is too long.
fn turns(hub: &mut Hub) -> usize {
    let mut turns = 0;
    loop {
        let actions = hub.turn();
        assert!(changed(&actions) <= MOST, "{} tasks in one turn", changed(&actions));
        turns += 1;
        if !hub.machine.wants_turn() {
            return turns;
        }
    }
}

#[test]
fn tasks_that_depend_on_a_failed_one_end_over_several_turns() {
    let mut hub = Hub::new();
    let job = submit(&mut hub, r#", "depends": ["a"]"#);
    let a = hub.handed_out().remove(0);
    hub.fail(&a, "no");
    let other = hub.submit(2, r#"{"name": "other", "tasks": [{"name": "b"}]}"#);
    let first = hub.turn();
    assert!(
        first.iter().any(|action| matches!(action, Action::Publish(task) if task.job == other)),
        "other jobs continue"
    );
    assert!(hub.machine.wants_turn() && hub.machine.is_live(job));
    assert!(turns(&mut hub) > 1);
    assert_eq!(hub.stored(job).state.status, JobStatus::Failed);
    assert!(hub.statuses(job)[1..].iter().all(|status| *status == TaskStatus::UpstreamFailed));
    assert!(hub.stored(job).tasks[COUNT].msg.as_deref().unwrap().contains("\"a\""));
}

#[test]
fn arguments_that_cannot_be_filled_fail_over_several_turns() {
    let mut hub = Hub::new();
    let job = submit(&mut hub, r#", "args": ["_a.data.x"]"#);
    let a = hub.handed_out().remove(0);
    hub.succeed(&a, "1");
    assert!(turns(&mut hub) > 2);
    assert_eq!(hub.stored(job).state.status, JobStatus::Failed);
}

#[test]
fn a_large_job_is_cancelled_over_several_turns_without_handing_out_tasks() {
    let mut hub = Hub::new();
    let job = submit(&mut hub, r#", "depends": ["a"]"#);
    let a = hub.handed_out().remove(0);
    hub.succeed(&a, "1");
    let out = hub.handed_out();
    hub.cancel(job);
    let last = out.last().unwrap();
    assert_eq!(hub.succeed(last, "1"), Verdict::Applied, "it has succeeded before it was stopped");
    hub.cancel(job);
    let mut stops = 0;
    while hub.machine.is_live(job) {
        if !hub.machine.wants_turn() {
            for task in &out {
                hub.machine.handle_returned(task.issue, Returned::Stopped, &"w".into(), hub.now);
            }
        }
        let actions = hub.turn();
        assert!(changed(&actions) <= MOST + out.len());
        assert!(!actions.iter().any(|action| matches!(action, Action::Publish(_))));
        stops += actions.iter().filter(|action| matches!(action, Action::Stop { .. })).count();
    }
    assert_eq!((hub.stored(job).state.status, stops), (JobStatus::Cancelled, out.len()));
    let stats = hub.machine.stats();
    assert_eq!((stats.ready, stats.in_flight, stats.live_tasks, stats.live_bytes), (0, 0, 0, 0));
}

#[test]
fn tasks_that_end_during_a_cancellation_make_no_task_ready() {
    let mut hub = Hub::new();
    let tasks = (0..COUNT).map(|at| format!(r#"{{"name": "t{at}", "depends": ["a"]}},"#)).collect::<String>();
    let text = format!(
        r#"{{"name": "j", "tasks": [{{"name": "a"}}, {tasks} {{"name": "late"}}, {{"name": "then", "depends": ["late"]}}]}}"#
    );
    let job = hub.submit(1, &text);
    let out = hub.handed_out();
    hub.cancel(job);
    let late = out.iter().find(|task| &*task.name == "late").unwrap();
    assert_eq!(hub.result(late, Outcome::Success { data: support::json("1") }), Verdict::Applied);
    hub.machine.handle_returned(out[0].issue, Returned::Stopped, &"w".into(), hub.now);
    assert!(hub.handed_out().is_empty());
    assert_eq!(hub.stored(job).state.status, JobStatus::Cancelled);
    assert_eq!(hub.statuses(job)[COUNT + 1..], [TaskStatus::Success, TaskStatus::Cancelled]);
}

#[test]
fn work_interrupted_by_a_crash_is_completed() {
    for cancel in [true, false] {
        let mut hub = Hub::new();
        let job = submit(&mut hub, r#", "depends": ["a"]"#);
        let a = hub.handed_out().remove(0);
        if cancel {
            hub.cancel(job);
        } else {
            hub.fail(&a, "no");
        }
        hub.turn();
        let ended = hub.statuses(job).iter().filter(|status| status.is_terminal()).count();
        assert!((2..COUNT).contains(&ended), "{ended} have ended when the dispatcher is killed");
        hub.crash();
        assert!(hub.handed_out().is_empty());
        if cancel {
            assert_eq!(
                hub.statuses(job).iter().filter(|status| !status.is_terminal()).count(),
                1,
                "the one that is out"
            );
            hub.machine.handle_returned(a.issue, Returned::Stopped, &"w".into(), hub.now);
            hub.actions();
        }
        let expected = if cancel { JobStatus::Cancelled } else { JobStatus::Failed };
        assert_eq!(hub.stored(job).state.status, expected);
    }
}

#[test]
fn live_jobs_are_counted_in_bytes() {
    let mut hub = Hub::new();
    let job = r#"{"name": "j", "tasks": [{"name": "a"}, {"name": "b"}]}"#;
    hub.submit(1, job);
    let (empty, out) = (hub.machine.stats().live_bytes, hub.handed_out());
    assert!(empty >= job.len() as u64);
    hub.succeed(&out[0], &format!("\"{}\"", "x".repeat(1_000_000)));
    hub.actions();
    let full = hub.machine.stats().live_bytes;
    assert_eq!(full - empty, 1_000_002);
    hub.crash();
    assert_eq!(hub.machine.stats().live_bytes, full, "also after a restart");
    let b = support::first_issue(&hub, support::id(1), 1);
    hub.succeed(&b, "1");
    hub.actions();
    assert_eq!(hub.machine.stats().live_bytes, 0);
}

#[test]
fn the_message_of_a_failed_task_is_counted_and_bounded() {
    let mut hub = Hub::new();
    let job = hub.submit(1, r#"{"name": "j", "tasks": [{"name": "a"}, {"name": "b"}, {"name": "c"}]}"#);
    let (empty, out) = (hub.machine.stats().live_bytes, hub.handed_out());
    hub.fail(&out[0], &"x".repeat(33 * 1024));
    assert_eq!(
        hub.machine.stats().live_bytes - empty,
        33 * 1024,
        "as long as workers of Hub make it, it is left alone"
    );
    let long = format!("first{}last", "\u{1f600}".repeat(100_000));
    let error = TaskError {
        type_name: Some(long.as_str().into()),
        traceback: Some(long.as_str().into()),
        ..TaskError::new(ErrorKind::TaskFailed)
    };
    let log = format!("first{}last", "x".repeat(9_000_000));
    let result = TaskResult {
        progress: None,
        content: None,
        defaults: None,
        issue: out[1].issue,
        outcome: Outcome::Failed { msg: long.into(), error: Some(Arc::new(error)) },
        log: Some(log.into()),
        worker: "w1".into(),
        took: Duration::ZERO,
    };
    hub.machine.handle_result(result, hub.now);
    hub.actions();
    let state = &hub.stored(job).tasks[1];
    let error = state.error.as_deref().unwrap();
    let texts =
        [(&state.msg, 33 * 1024), (&error.traceback, 129 * 1024), (&error.type_name, 1024), (&state.log, 1024 * 1024)];
    for (text, limit) in texts {
        let text = text.as_deref().unwrap();
        assert!(text.starts_with("first") && text.ends_with("last") && text.len() < limit + 100, "{}", text.len());
    }
}

#[test]
fn a_large_job_that_fails_over_several_turns_fails_with_the_same_message_after_a_crash() {
    let mut hub = Hub::new();
    let job = submit(&mut hub, r#", "depends": ["a"]"#);
    hub.handed_out();
    hub.machine.fail_job(job, "cannot be kept".into(), Handlers::Run, hub.now).unwrap();
    hub.turn();
    assert!(hub.machine.is_live(job), "it takes several turns");
    hub.crash();
    assert!(hub.handed_out().is_empty());
    let state = &hub.stored(job).state;
    assert_eq!((state.status, state.msg.as_deref()), (JobStatus::Failed, Some("cannot be kept")));
}

#[test]
fn unconfirmed_issues_are_published_again_over_several_turns_in_order() {
    let mut hub = Hub::new();
    let job = (0..10).map(|at| format!(r#",{{"name": "t{at}", "args": ["_a.data"]}}"#)).collect::<String>();
    let job = hub.submit(1, &format!(r#"{{"name": "j", "tasks": [{{"name": "a"}}{job}]}}"#));
    let a = hub.handed_out().remove(0);
    hub.succeed(&a, &format!("\"{}\"", "x".repeat(2_000_000)));
    assert_eq!(hub.handed_out().len(), 10);
    hub.crash();
    hub.machine.hold_back(true);
    assert!(hub.turn().is_empty() && !hub.machine.wants_turn(), "handing out is suspended");
    hub.machine.hold_back(false);
    let published = |actions: Vec<Action>| {
        let task = |action| if let Action::Publish(task) = action { task.issue.task.index_in(job) } else { None };
        actions.into_iter().filter_map(task).collect::<Vec<u32>>()
    };
    let first = published(hub.turn());
    assert!(first.len() < 10 && hub.machine.wants_turn(), "{first:?}");
    // A worker had received one of the other issues from the broker.
    let last = support::first_issue(&hub, job, 10);
    hub.succeed(&last, "1");
    let rest = published(hub.actions());
    assert_eq!([first, rest].concat(), (1..10).collect::<Vec<u32>>());
}
