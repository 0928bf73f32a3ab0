//! The order and the number of tasks that are handed out: windows, priorities, turns, pools.

mod support;

use std::time::Duration;

use hub_core::machine::{DeadLetter, Published, Returned, Settings, Verdict};
use hub_core::state::ErrorKind;
use support::{Hub, id, told};

#[test]
fn a_small_job_does_not_wait_for_a_large_one() {
    let mut hub = Hub::with(Settings { window_floor: 10, ..Settings::default() });
    let many: Vec<String> = (0..1000).map(|at| format!(r#"{{"name": "t{at}"}}"#)).collect();
    hub.submit(1, &format!(r#"{{"name": "many", "tasks": [{}]}}"#, many.join(",")));
    let first = hub.handed_out();
    assert_eq!(first.len(), 10, "the window");
    let few = hub.submit(2, r#"{"name": "few", "tasks": [{"name": "x"}, {"name": "y"}]}"#);
    let urgent = hub.submit(3, r#"{"name": "urgent", "priority": 5, "tasks": [{"name": "u"}]}"#);
    for task in &first[..4] {
        assert_eq!(hub.succeed(task, "0"), Verdict::Applied);
    }
    let next: Vec<_> = hub.handed_out().iter().map(|task| task.job).collect();
    assert_eq!(next, [urgent, id(1), few, id(1)], "priority first, then in turns");
}

#[test]
fn tasks_of_a_pool_wait_for_its_first_worker() {
    let mut hub = Hub::new();
    let job = hub.submit(1, r#"{"name": "j", "tasks": [{"name": "a", "pool": "gpu"}]}"#);
    hub.worker("w1", &["a"]);
    assert!(hub.handed_out().is_empty());
    assert_eq!(hub.machine.job(job).unwrap().waiting[0].1, "no worker serves the pool \"gpu\"");
    let mut report = hub.worker("w2", &["a"]);
    report.pools = vec!["gpu".into()];
    hub.machine.handle_heartbeat(report, hub.now);
    assert_eq!(hub.handed_out().len(), 1);
}

#[test]
fn tasks_that_the_broker_refuses_have_a_reason() {
    let mut hub = Hub::new();
    let job = hub.submit(1, r#"{"name": "j", "tasks": [{"name": "a"}, {"name": "b"}, {"name": "c"}]}"#);
    let tasks = hub.handed_out();
    hub.machine.handle_published(tasks[0].issue, Published::Rejected("too large".into()), hub.now);
    hub.machine.handle_dead_letter(tasks[1].issue, DeadLetter::DeliveryLimit, hub.now);
    hub.machine.handle_published(tasks[2].issue, Published::Unroutable, hub.now);
    assert!(hub.handed_out().is_empty(), "the queue does not exist until a worker declares it");
    let stored = hub.stored(job);
    assert!(stored.tasks[0].msg.as_deref().unwrap().contains("too large"));
    assert_eq!(stored.tasks[1].error.as_ref().unwrap().kind, ErrorKind::WorkerLost);
    hub.worker("w1", &["c"]);
    assert_eq!(hub.handed_out().len(), 1);
}

fn many(count: u32, pool: &str) -> String {
    let tasks: Vec<String> =
        (0..count).map(|at| format!(r#"{{"name": "t{at}", "task_name": "a", "pool": "{pool}"}}"#)).collect();
    format!(r#"{{"name": "many", "tasks": [{}]}}"#, tasks.join(","))
}

#[test]
fn a_window_grows_with_the_slots_of_its_pool() {
    let mut hub = Hub::new();
    hub.submit(1, &many(1000, "default"));
    let first = hub.handed_out();
    assert_eq!(first.len(), 64, "the floor");
    let mut report = hub.worker("w1", &["a"]);
    assert!(hub.handed_out().is_empty(), "four for each of two slots is less than the minimum");
    report.slots = 20;
    hub.machine.handle_heartbeat(report.clone(), hub.now);
    assert_eq!(hub.handed_out().len(), 80 - 64);
    report.id = "w2".into();
    report.slots = 5;
    hub.machine.handle_heartbeat(report, hub.now);
    assert_eq!(hub.handed_out().len(), 20);
    hub.machine.handle_worker_left(&"w2".into());
    let held: Vec<_> = first.iter().take(30).map(|task| task.issue).collect();
    hub.machine.handle_started(&"w1".into(), &held, hub.now);
    assert_eq!(hub.handed_out().len(), 10, "leased issues do not count, so the window is 80 again");
    assert_eq!(hub.machine.stats().in_flight, 80 + 30);
    assert_eq!(hub.machine.stats().ready, 1000 - 110);
}

#[test]
fn a_window_grows_with_the_tasks_that_ended_recently() {
    let mut hub = Hub::with(Settings { window_floor: 10, ..Settings::default() });
    hub.worker("w1", &["a"]);
    hub.submit(1, &many(1000, "default"));
    let mut out = hub.handed_out();
    assert_eq!(out.len(), 10);
    // A few rounds within a tenth of a second, each of which ends all issues.
    for _ in 0..6 {
        for task in std::mem::take(&mut out) {
            hub.succeed(&task, "0");
        }
        hub.pass(Duration::from_millis(9));
        out = hub.handed_out();
    }
    let most = hub.machine.stats().in_flight;
    assert!(most > 100, "{most} are out though hundreds ended recently");
    // Long tasks do not need a larger window.
    hub.pass(Duration::from_secs(1));
    for task in std::mem::take(&mut out) {
        hub.pass(Duration::from_millis(50));
        hub.succeed(&task, "0");
        out.extend(hub.handed_out());
    }
    assert_eq!(hub.machine.stats().in_flight, 10);
}

#[test]
fn each_pool_has_its_own_window() {
    let mut hub = Hub::with(Settings { window_floor: 3, window_factor: 1, ..Settings::default() });
    let mut report = hub.worker("w1", &["a"]);
    report.pools = vec!["x".into(), "y".into()];
    hub.machine.handle_heartbeat(report, hub.now);
    hub.submit(1, &many(10, "x"));
    hub.submit(2, &many(10, "y"));
    let pools: Vec<_> = hub.handed_out().iter().map(|task| task.pool.to_string()).collect();
    assert_eq!(pools, ["x", "x", "x", "y", "y", "y"]);
}

#[test]
fn the_priority_of_a_task_overrides_that_of_its_job() {
    let mut hub = Hub::with(Settings { window_floor: 1, window_pace: 0, ..Settings::default() });
    hub.submit(
        1,
        r#"{"name": "j", "priority": 2, "tasks": [
            {"name": "a", "priority": -1}, {"name": "b"}, {"name": "c"}, {"name": "d", "priority": 9}]}"#,
    );
    let mut order = Vec::new();
    while let Some(task) = hub.handed_out().pop() {
        order.push(task.name.to_string());
        hub.succeed(&task, "0");
    }
    assert_eq!(order, ["d", "b", "c", "a"]);
}

#[test]
fn cancelled_jobs_leave_no_tasks_in_any_place() {
    let mut hub = Hub::with(Settings { window_floor: 2, ..Settings::default() });
    hub.submit(1, &many(100, "nowhere"));
    hub.worker("w1", &["b"]);
    hub.submit(2, &many(5, "default"));
    assert!(hub.handed_out().is_empty(), "one pool has no worker, the other has no worker with the module");
    assert_eq!(hub.machine.stats().ready, 105);
    hub.worker("w2", &["a", "b"]);
    let out = hub.handed_out();
    hub.machine.handle_started(&"w2".into(), &[out[0].issue], hub.now);
    hub.actions();
    for job in [id(1), id(2)] {
        hub.cancel(job);
    }
    hub.actions();
    for task in &out {
        hub.machine.handle_returned(task.issue, Returned::Stopped, &"w2".into(), hub.now);
    }
    hub.actions();
    let stats = hub.machine.stats();
    assert_eq!((stats.ready, stats.in_flight, stats.live_jobs, stats.live_tasks), (0, 0, 0, 0));
    hub.pass(Duration::from_secs(120));
    assert!(told(&hub.actions()).is_empty());
    // New jobs with the same ids are not affected by the old ones.
    hub.submit(2, r#"{"name": "again", "tasks": [{"name": "a"}]}"#);
    assert_eq!(hub.handed_out().len(), 1);
}
