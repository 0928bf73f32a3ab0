//! Time and memory of large jobs grow linearly: a chain, a fan-out and a fan-in of a hundred thousand tasks.

mod support;

use hub_core::{JobId, JobStatus, TaskStatus};
use support::Hub;

const COUNT: usize = 100_000;

fn job(tasks: impl Iterator<Item = String>) -> String {
    format!(r#"{{"name": "large", "tasks": [{}]}}"#, tasks.collect::<Vec<_>>().join(","))
}

/// Runs all tasks until no more are handed out. Returns their number.
fn drive(hub: &mut Hub) -> usize {
    let mut done = 0;
    loop {
        let tasks = hub.handed_out();
        if tasks.is_empty() {
            return done;
        }
        for task in tasks {
            hub.succeed(&task, "1");
            done += 1;
        }
    }
}

fn status(hub: &Hub, job: JobId) -> JobStatus {
    hub.stored(job).state.status
}

#[test]
fn a_chain_is_run_to_its_end() {
    let mut hub = Hub::new();
    let text = job((0..COUNT).map(|at| match at {
        0 => r#"{"name": "t0"}"#.to_owned(),
        _ => format!(r#"{{"name": "t{at}", "args": ["_t{}.data"]}}"#, at - 1),
    }));
    let job = hub.submit(1, &text);
    assert_eq!((drive(&mut hub), status(&hub, job)), (COUNT, JobStatus::Success));
}

#[test]
fn a_chain_fails_from_its_first_task_on() {
    let mut hub = Hub::new();
    let text = job((0..COUNT).map(|at| match at {
        0 => r#"{"name": "t0"}"#.to_owned(),
        _ => format!(r#"{{"name": "t{at}", "depends": ["t{}"]}}"#, at - 1),
    }));
    let job = hub.submit(1, &text);
    let first = hub.handed_out().remove(0);
    hub.fail(&first, "no");
    hub.actions();
    assert_eq!(status(&hub, job), JobStatus::Failed);
    assert!(hub.statuses(job)[1..].iter().all(|status| *status == TaskStatus::UpstreamFailed));
}

#[test]
fn a_fan_out_and_its_fan_in_are_run_and_shown() {
    let mut hub = Hub::new();
    let leaves: Vec<String> = (1..COUNT).map(|at| format!("\"t{at}\"")).collect();
    let fan = (1..COUNT).map(|at| format!(r#"{{"name": "t{at}", "depends": ["t0"]}}"#));
    let ends = [r#"{"name": "t0"}"#.to_owned(), format!(r#"{{"name": "end", "depends": [{}]}}"#, leaves.join(","))];
    let job = hub.submit(1, &job(fan.chain(ends)));
    let first = hub.handed_out().remove(0);
    hub.succeed(&first, "1");
    let leaves = hub.handed_out();
    let snapshot = hub.machine.job(job).unwrap();
    assert_eq!(snapshot.waiting.len(), 1000, "the number of reasons is bounded");
    assert!(snapshot.record().get().len() > COUNT * 100);
    for task in &leaves {
        hub.succeed(task, "1");
    }
    assert_eq!((drive(&mut hub), status(&hub, job)), (COUNT - leaves.len(), JobStatus::Success));
}

#[test]
fn a_job_without_a_suitable_worker_is_parked_and_cancelled() {
    let mut hub = Hub::new();
    hub.worker("w1", &["other"]);
    let job = hub.submit(1, &job((0..COUNT).map(|at| format!(r#"{{"name": "t{at}", "task_name": "nobodys"}}"#))));
    assert!(hub.handed_out().is_empty());
    for _ in 0..1000 {
        hub.worker("w1", &["other"]);
        assert!(hub.handed_out().is_empty(), "heartbeats do not process parked tasks");
    }
    hub.cancel(job);
    hub.actions();
    assert_eq!((status(&hub, job), hub.machine.stats().ready), (JobStatus::Cancelled, 0));
}
