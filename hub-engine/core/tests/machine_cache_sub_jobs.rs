//! Kept results of tasks that run jobs.

mod support;

use std::time::Duration;

use hub_core::action::Assignment;
use hub_core::machine::MAXIMUM_SUB_JOBS;
use hub_core::{JobId, JobStatus, TaskStatus};
use serde_json::{Value, json};
use support::Hub;
use support::sub_jobs::{child, msg};

/// A job with tasks of these names and inputs, each of which runs the same job with a cache.
fn job(tasks: &[(&str, Value)], more: &Value) -> String {
    let inner = json!({"name": "inner", "tasks": [{"name": "a", "args": ["_.input.of"]}], "output": "_a.data"});
    let task = |(name, of): &(&str, Value)| {
        let mut task = json!({"name": name, "job": inner, "inputs": {"of": of}, "cache": {"ttl": "1h"}});
        task.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        task
    };
    json!({"name": "j", "tasks": tasks.iter().map(task).collect::<Vec<_>>()}).to_string()
}

fn alike() -> String {
    job(&[("one", json!(1)), ("two", json!(1)), ("other", json!(2))], &json!({}))
}

/// The arguments of what is handed out.
fn args(out: &[Assignment]) -> Vec<&str> {
    out.iter().map(|task| task.args.get()).collect()
}

/// Which tasks of a job have taken a result.
fn cached(hub: &Hub, job: JobId) -> Vec<bool> {
    let from = |task: &hub_core::state::TaskState| task.details.as_ref()?.rare().cache.as_ref()?.from;
    hub.stored(job).tasks.iter().map(|task| from(task).is_some()).collect()
}

#[test]
fn equal_jobs_with_equal_inputs_run_once() {
    let mut hub = Hub::new();
    let first = hub.submit(1, &alike());
    let out = hub.handed_out();
    assert_eq!(args(&out), ["[1]", "[2]"]);
    assert_eq!(hub.statuses(first), [TaskStatus::Running, TaskStatus::Pending, TaskStatus::Running]);
    let reason = hub.machine.job(first).unwrap().waiting[0].1.clone();
    assert!(reason.contains("one"), "{reason}");
    hub.succeed(&out[0], "10");
    hub.succeed(&out[1], "20");
    assert!(hub.handed_out().is_empty());
    let data = |hub: &Hub, job: JobId| -> Vec<Value> {
        hub.stored(job).tasks.iter().map(|task| task.data.as_ref().unwrap().to_value()).collect()
    };
    assert_eq!(data(&hub, first), [10, 10, 20]);
    assert_eq!((cached(&hub, first), hub.stored(first).state.status), (vec![false, true, false], JobStatus::Success));
    // Later, and after a restart: nothing runs. The text is written in another way, and has other names around it.
    hub.crash();
    let later = alike().replace(r#""inner""#, r#" "inner" "#).replace(r#""two""#, r#""zwei""#);
    let later = hub.submit(2, &later);
    assert!(hub.handed_out().is_empty());
    assert_eq!((data(&hub, later), cached(&hub, later)), (vec![json!(10), json!(10), json!(20)], vec![true; 3]));
    assert!(hub.stored(later).tasks.iter().all(|task| task.details.as_ref().unwrap().rare().child.is_none()));
    // Another version, another text, other inputs, and a result that has expired.
    for (number, text) in [
        (3, job(&[("one", json!(1))], &json!({"cache": {"ttl": "1h", "version": 2}}))),
        (4, alike().replace("inner", "another")),
        (5, job(&[("one", json!("1"))], &json!({}))),
    ] {
        hub.submit(number, &text);
        let out = hub.handed_out();
        assert!(!out.is_empty(), "{text}");
        for task in &out {
            hub.succeed(task, "1");
        }
    }
    hub.actions();
    hub.pass(Duration::from_secs(3601));
    hub.submit(6, &alike());
    assert_eq!(hub.handed_out().len(), 2);
}

#[test]
fn a_key_stands_for_the_inputs() {
    let mut hub = Hub::new();
    let keyed = |of: u32| job(&[("one", json!(of))], &json!({"cache": {"ttl": "1h", "key": "k"}}));
    hub.submit(1, &keyed(1));
    let out = hub.handed_out();
    hub.succeed(&out[0], "10");
    hub.actions();
    let second = hub.submit(2, &keyed(2));
    assert!(hub.handed_out().is_empty());
    assert_eq!(cached(&hub, second), [true]);
    // Another job has another key.
    hub.submit(3, &keyed(1).replace("inner", "another"));
    assert_eq!(hub.handed_out().len(), 1);
}

#[test]
fn when_a_sub_job_fails_the_next_equal_task_begins_its_own() {
    for is_cancelled in [false, true] {
        let mut hub = Hub::new();
        let id = hub.submit(1, &alike());
        let out = hub.handed_out();
        if is_cancelled {
            hub.cancel(child(&hub, id, 0));
            hub.machine.handle_returned(out[0].issue, hub_core::machine::Returned::Stopped, &"w1".into(), hub.now);
        } else {
            hub.fail(&out[0], "no");
        }
        let again = hub.handed_out();
        assert_eq!((args(&again), again[0].job), (vec!["[1]"], child(&hub, id, 1)));
        hub.succeed(&again[0], "11");
        hub.succeed(&out[1], "20");
        hub.actions();
        assert_eq!(hub.statuses(id), [TaskStatus::Failed, TaskStatus::Success, TaskStatus::Success]);
        assert_eq!(cached(&hub, id), [false; 3]);
        assert_eq!(hub.machine.live(), (0, 0), "nothing is left in memory");
    }
}

#[test]
fn a_restart_keeps_who_waits_for_whom() {
    let mut hub = Hub::new();
    let id = hub.submit(1, &alike());
    let out = hub.handed_out();
    hub.crash();
    // The broker has confirmed nothing, so the same goes out again.
    let mut again: Vec<_> = hub.handed_out().iter().map(|task| task.issue).collect();
    again.sort_by_key(|issue| *issue != out[0].issue);
    assert_eq!(again, [out[0].issue, out[1].issue], "the sub-job of the first task still runs for the second one");
    hub.succeed(&out[0], "10");
    hub.succeed(&out[1], "20");
    hub.actions();
    assert_eq!((cached(&hub, id), hub.stored(id).state.status), (vec![false, true, false], JobStatus::Success));
}

#[test]
fn items_share_sub_jobs_and_another_attempt_continues_its_own() {
    let mut hub = Hub::new();
    let retry = json!({"maximum_attempts": 2, "initial_interval": "1ms"});
    let text = job(&[("each", json!("_.item"))], &json!({"for_each": [7, 7, 3, 7], "retry": retry}));
    let id = hub.submit(1, &text);
    let out = hub.handed_out();
    assert_eq!(args(&out), ["[7]", "[3]"]);
    hub.fail(&out[0], "no");
    // While the first one waits for its next attempt, another one leads.
    let second = hub.handed_out();
    assert_eq!(args(&second), ["[7]"]);
    hub.pass(Duration::from_secs(1));
    assert!(hub.handed_out().is_empty(), "the first one waits for the result of the second one");
    hub.succeed(&second[0], "49");
    hub.succeed(&out[1], "9");
    hub.actions();
    let job = hub.stored(id);
    assert_eq!(job.state.status, JobStatus::Success, "{}", msg(&hub, id, 0));
}

#[test]
fn a_result_of_a_sub_job_that_is_too_large_is_not_kept() {
    let settings = hub_core::machine::Settings { max_kept_bytes: 64 * 10, ..hub_core::machine::Settings::default() };
    let mut hub = Hub::with(settings);
    let id = hub.submit(1, &job(&[("one", json!(1))], &json!({})));
    let out = hub.handed_out();
    hub.succeed(&out[0], r#""0123456789""#);
    hub.actions();
    let record: Value = serde_json::from_str(hub.stored(id).record().get()).unwrap();
    assert!(record["tasks"][0]["not_cached"].as_str().unwrap().contains("at most 10"), "{record:#}");
}

#[test]
fn what_waits_for_an_equal_sub_job_needs_no_room() {
    let mut hub = Hub::new();
    // As many as can run, one that is equal to the last of them, and two that are equal to none.
    let last = MAXIMUM_SUB_JOBS - 1;
    let items: Vec<u32> = (0..=last).chain([last, u32::MAX, u32::MAX]).collect();
    let text = json!({"name": "j", "tasks": [{"name": "each", "for_each": items, "cache": {"ttl": "1h"},
        "inputs": {"of": "_.item"}, "job": {"name": "inner", "tasks": [{"name": "a", "wait": {"signal": "go"}}]}}]});
    let job = hub.submit(1, &text.to_string());
    hub.actions();
    let first = hub.stored(job).job.first_item(0).unwrap();
    let status = |hub: &Hub, item: u32| hub.stored(job).items.get(&(first + item)).map(|item| item.status);
    let ends = [1, 2, 3].map(|more| status(&hub, last + more));
    assert_eq!(ends, [None, Some(TaskStatus::Failed), Some(TaskStatus::Failed)]);
    assert_eq!(hub.machine.stats().live_jobs, 1 + u64::from(MAXIMUM_SUB_JOBS));
    hub.cancel(job);
    hub.actions();
    assert_eq!(hub.machine.live(), (0, 0));
}
