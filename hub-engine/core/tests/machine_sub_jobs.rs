//! Tasks that run jobs: how sub-jobs begin and end, and what a restart keeps.

mod support;

use std::time::Duration;

use hub_core::action::{Action, Assignment, Change};
use hub_core::machine::{Cancel, MAXIMUM_SUB_JOB_BYTES, MAXIMUM_SUB_JOBS, PostError, RetriedJob, Retry, Update};
use hub_core::state::ErrorKind;
use hub_core::{JobStatus, TaskStatus};
use serde_json::{Value, json};
use support::sub_jobs::{begun, child, kind, msg, names, nested, status};
use support::{Hub, told};

const PARENT: &str = r#"{"name": "parent", "tasks": [
    {"name": "day"},
    {"name": "load", "inputs": {"day": "_day.data", "size": 2}, "job": {
        "name": "child", "tasks": [
            {"name": "fetch", "args": ["_.input.day", "_.job.name"]},
            {"name": "store", "args": ["_fetch.data", "_.input.size"]}],
        "output": {"rows": "_store.data"}}},
    {"name": "after", "args": ["_load.data.rows"]}],
    "output": "_after.data"}"#;

#[test]
fn a_sub_job_reads_its_inputs_and_its_output_is_the_data_of_the_task() {
    let mut hub = Hub::new();
    let job = hub.submit(1, PARENT);
    let day = hub.handed_out().remove(0);
    hub.succeed(&day, r#""monday""#);
    let actions = hub.actions();
    let child = child(&hub, job, 1);
    assert_eq!(child.slot(), job.slot(), "one dispatcher has both");
    let order = told(&actions);
    let at = |what: &str| order.iter().position(|told| told == what).unwrap_or_else(|| panic!("{what} in {order:?}"));
    assert!(at("keep task 1 RUNNING") < at("keep job"), "the sub-job is added in the commit of its task: {order:?}");
    assert!(hub.machine.take_begun_sub_jobs() && !hub.machine.take_begun_sub_jobs());
    let fetch = first(&actions);
    assert_eq!(fetch.args.to_value(), json!(["monday", "child"]));
    assert_eq!(fetch.job, child);
    hub.succeed(&fetch, "7");
    let store = hub.handed_out().remove(0);
    assert_eq!(store.args.to_value(), json!([7, 2]));
    hub.succeed(&store, "99");
    let after = hub.handed_out().remove(0);
    assert_eq!((after.job, after.args.get()), (job, "[99]"));
    assert_eq!(status(&hub, child), JobStatus::Success);
    assert_eq!(hub.stored(job).tasks[1].data.as_ref().unwrap().to_value(), json!({"rows": 99}));
    hub.succeed(&after, "1");
    hub.actions();
    assert_eq!(status(&hub, job), JobStatus::Success);
    assert_eq!(hub.machine.stats().live_jobs, 0);
    assert_eq!(hub.machine.live(), (0, 0), "nothing is left in memory");
}

fn first(actions: &[Action]) -> Assignment {
    let mut published = actions.iter().filter_map(|action| match action {
        Action::Publish(task) => Some((**task).clone()),
        _ => None,
    });
    published.next().expect("a task was handed out")
}

#[test]
fn a_sub_job_that_fails_fails_its_task_and_a_retry_begins_another_one() {
    let mut hub = Hub::new();
    let retry = json!({"retry": {"maximum_attempts": 2, "initial_interval": "1s", "jitter": 0}});
    let (job, first_child, out) = begun(&mut hub, &nested(&retry));
    hub.fail(&out[0], "no network");
    assert!(hub.handed_out().is_empty());
    assert_eq!((status(&hub, first_child), hub.statuses(job)[0]), (JobStatus::Failed, TaskStatus::Pending));
    let why = format!("the sub-job {first_child} failed: 1 of 1 tasks failed: \"a\": no network");
    assert_eq!((msg(&hub, job, 0), kind(&hub, job, 0)), (why, ErrorKind::JobFailed));
    hub.crash();
    hub.pass(Duration::from_secs(1));
    let out = hub.handed_out();
    let second = child(&hub, job, 0);
    assert_ne!(first_child, second);
    assert_eq!(out[0].job, second);
    hub.fail(&out[0], "again");
    hub.actions();
    assert_eq!((status(&hub, second), status(&hub, job)), (JobStatus::Failed, JobStatus::Failed));
    let attempts = &hub.stored(job).tasks[0].details.as_ref().unwrap().attempts;
    assert_eq!(attempts.len(), 2);
    assert!(attempts[0].msg.contains(&first_child.to_string()) && attempts[1].msg.contains(&second.to_string()));
}

#[test]
fn a_retry_continues_the_sub_job_with_what_it_has_achieved() {
    let mut hub = Hub::new();
    let text = json!({"name": "parent", "tasks": [{"name": "day"}, {"name": "load", "inputs": {"day": "_day.data"},
        "retry": {"maximum_attempts": 3, "initial_interval": "1s", "jitter": 0},
        "job": {"name": "child", "tasks": [{"name": "a"}, {"name": "b", "args": ["_a.data"]}, {"name": "c"}], "output": "_b.data"}}]});
    let job = hub.submit(1, &text.to_string());
    let day = hub.handed_out().remove(0);
    hub.succeed(&day, "1");
    let mut ran = Vec::new();
    for (attempt, failing) in ["b", "c", ""].into_iter().enumerate() {
        hub.pass(Duration::from_secs(2));
        let mut now = Vec::new();
        loop {
            let out = hub.handed_out();
            if out.is_empty() {
                break;
            }
            for task in out {
                now.push(task.name.to_string());
                if *task.name == *failing {
                    hub.fail(&task, "no")
                } else {
                    hub.succeed(&task, "7")
                };
            }
        }
        now.sort();
        ran.push(now.concat());
        if attempt == 0 {
            hub.crash();
        }
    }
    assert_eq!(ran, ["abc", "b", ""], "only what had not succeeded runs again");
    assert_eq!(status(&hub, job), JobStatus::Success);
}

#[test]
fn a_retry_of_the_job_continues_its_sub_jobs_if_their_inputs_are_equal() {
    let mut hub = Hub::new();
    let text = json!({"name": "parent", "tasks": [{"name": "day"}, {"name": "load", "inputs": {"day": "_day.data"},
        "job": {"name": "child", "tasks": [{"name": "a", "args": ["_.input.day"]}, {"name": "b", "depends": ["a"]}]}}]});
    let job = hub.submit(1, &text.to_string());
    for data in ["1", "2"] {
        let task = hub.handed_out().remove(0);
        hub.succeed(&task, data);
    }
    let b = hub.handed_out().remove(0);
    hub.fail(&b, "no");
    hub.actions();
    let retried = |hub: &mut Hub, number: u128, retry: Retry| {
        let retried = RetriedJob::new(hub.stored(job).clone(), retry, 1000, hub.now.wall).unwrap();
        hub.machine.submit_retry(support::id(number), retried, hub.now).unwrap();
        hub.handed_out()
    };
    assert_eq!(names(&retried(&mut hub, 2, Retry::default())), ["b"]);
    let same = Retry { overrides: [("day".to_owned(), support::json("1"))].into(), ..Retry::default() };
    assert_eq!(names(&retried(&mut hub, 3, same)), ["b"]);
    let other = Retry { overrides: [("day".to_owned(), support::json("5"))].into(), ..Retry::default() };
    assert_eq!(names(&retried(&mut hub, 4, other)), ["a"]);
    let start = Retry { from: hub_core::RetryFrom::Start, ..Retry::default() };
    assert_eq!(names(&retried(&mut hub, 5, start)), ["day"]);
}

#[test]
fn sub_jobs_and_retries_inherit_labels() {
    let mut hub = Hub::new();
    let leaf = json!({"name": "leaf", "labels": {"team": "ops"}, "tasks": [{"name": "a"}]});
    let middle = json!({"name": "middle", "tasks": [{"name": "m", "job": leaf}]});
    let text =
        json!({"name": "top", "labels": {"team": "data", "env": "prod"}, "tasks": [{"name": "t", "job": middle}]});
    let job = hub.submit(1, &text.to_string());
    let a = hub.handed_out().remove(0);
    let middle = child(&hub, job, 0);
    let leaf = child(&hub, middle, 0);
    let labels = |hub: &Hub, id| {
        let stored = hub.stored(id);
        let labels = stored.state.labels(&stored.job).into_owned();
        labels.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>()
    };
    for (id, expected) in
        [(job, ["env=prod", "team=data"]), (middle, ["env=prod", "team=data"]), (leaf, ["env=prod", "team=ops"])]
    {
        assert_eq!(labels(&hub, id), expected);
    }
    hub.fail(&a, "no");
    hub.actions();
    let retried = RetriedJob::new(hub.stored(job).clone(), Retry::default(), 1000, hub.now.wall).unwrap();
    hub.machine.submit_retry(support::id(2), retried, hub.now).unwrap();
    hub.handed_out();
    let middle = child(&hub, support::id(2), 0);
    let leaf = child(&hub, middle, 0);
    assert_eq!(labels(&hub, leaf), ["env=prod", "team=ops"]);
    assert_eq!(labels(&hub, support::id(2)), ["env=prod", "team=data"]);
}

#[test]
fn an_item_runs_a_job_and_the_results_are_in_order() {
    let mut hub = Hub::new();
    let text = json!({"name": "parent", "tasks": [{"name": "each", "for_each": {"in": ["x", "y", "z"], "parallel": 2},
        "inputs": {"what": "_.item", "at": "_.index"},
        "job": {"name": "child", "tasks": [{"name": "a", "args": ["_.input.what"]}], "output": ["_a.data", "_.input.at"]}}],
        "output": "_each.data"});
    let job = hub.submit(1, &text.to_string());
    let mut out = hub.handed_out();
    assert_eq!(out.len(), 2, "at most two at a time");
    hub.crash();
    assert!(hub.handed_out().iter().all(|task| out.iter().any(|known| known.issue.task == task.issue.task)));
    while let Some(task) = out.pop() {
        let data = task.args.get().to_owned();
        hub.succeed(&task, &data);
        out.extend(hub.handed_out());
    }
    assert_eq!(status(&hub, job), JobStatus::Success);
    let output: Value = serde_json::from_str(hub.stored(job).state.output.as_ref().unwrap().get()).unwrap();
    assert_eq!(output, json!([[["x"], 0], [["y"], 1], [["z"], 2]]));
}

#[test]
fn a_detached_sub_job_goes_on_by_itself() {
    let mut hub = Hub::new();
    let (job, child, out) = begun(&mut hub, &nested(&json!({"detached": true})));
    assert_eq!(status(&hub, job), JobStatus::Success);
    assert_eq!(
        hub.stored(job).tasks[0].data.as_ref().unwrap().get(),
        format!("{child:?}").replace("job ", "\"") + "\""
    );
    assert!(hub.machine.cancel(job, Cancel::default(), hub.now).is_err());
    hub.succeed(&out[0], "1");
    hub.actions();
    assert_eq!(status(&hub, child), JobStatus::Success);
}

#[test]
fn inputs_that_lead_to_no_value_fail_the_task() {
    let mut hub = Hub::new();
    let text = json!({"name": "parent", "tasks": [
        {"name": "a"}, {"name": "load", "inputs": {"x": "_a.data.x"}, "job": {"name": "c", "tasks": [{"name": "b"}]}}]});
    let job = hub.submit(1, &text.to_string());
    let a = hub.handed_out().remove(0);
    hub.succeed(&a, "{}");
    assert!(hub.handed_out().is_empty());
    assert_eq!((status(&hub, job), kind(&hub, job, 1)), (JobStatus::Failed, ErrorKind::MissingValue));
    assert!(msg(&hub, job, 1).starts_with("its inputs cannot be filled from the task \"a\""), "{}", msg(&hub, job, 1));
}

#[test]
fn a_reference_to_an_input_that_was_not_given_fails_the_task_of_the_sub_job() {
    let mut hub = Hub::new();
    let text = json!({"name": "parent", "tasks": [
        {"name": "load", "job": {"name": "c", "tasks": [{"name": "b", "args": ["_.input.day"]}]}}]});
    let job = hub.submit(1, &text.to_string());
    hub.actions();
    let child = child(&hub, job, 0);
    assert_eq!(kind(&hub, child, 0), ErrorKind::MissingValue);
    assert!(msg(&hub, child, 0).contains("_.input"), "{}", msg(&hub, child, 0));
    assert_eq!(status(&hub, job), JobStatus::Failed);
}

/// Each link ends in the turn in which it begins, and that must not use the stack.
#[test]
fn a_long_chain_of_sub_jobs_that_end_at_once() {
    let mut hub = Hub::new();
    let task = |at: usize| {
        let mut task = json!({"name": format!("t{at}"), "trigger_rule": "all_done",
            "job": {"name": "c", "tasks": [{"name": "a", "when": false}], "output": at}});
        match at {
            0 => drop(task.as_object_mut().unwrap().remove("trigger_rule")),
            _ => task["depends"] = json!([format!("t{}", at - 1)]),
        }
        task
    };
    let tasks: Vec<Value> = (0..5000).map(task).collect();
    let job = hub.submit(1, &json!({"name": "chain", "tasks": tasks, "output": "_t4999.data"}).to_string());
    hub.actions();
    assert_eq!(hub.stored(job).state.output.as_ref().unwrap().get(), "4999");
    assert_eq!(hub.machine.live(), (0, 0));
}

#[test]
fn the_number_of_sub_jobs_at_the_same_time_is_limited() {
    let mut hub = Hub::new();
    let text = json!({"name": "parent", "tasks": [{"name": "each", "for_each": MAXIMUM_SUB_JOBS + 5,
        "job": {"name": "child", "tasks": [{"name": "a", "wait": {"signal": "go"}}]}}]});
    let job = hub.submit(1, &text.to_string());
    hub.actions();
    assert_eq!(hub.machine.stats().live_jobs, 1 + u64::from(MAXIMUM_SUB_JOBS));
    let counts = hub.stored(job).tasks[0].details.as_ref().unwrap().rare().items.unwrap();
    let failed = hub.stored(job).items.values().filter(|item| item.status == TaskStatus::Failed).count();
    assert_eq!((counts.total, failed), (MAXIMUM_SUB_JOBS + 5, 5));
    let first = hub.stored(job).job.first_item(0).unwrap();
    assert_eq!(kind(&hub, job, first + MAXIMUM_SUB_JOBS), ErrorKind::TooManyJobs);
    hub.cancel(job);
    hub.actions();
    assert_eq!(hub.machine.live(), (0, 0));
    let text = json!({"name": "next", "tasks": [{"name": "x", "job": {"name": "c", "tasks": [{"name": "a"}]}}]});
    hub.submit(2, &text.to_string());
    assert_eq!(hub.handed_out().len(), 1, "the limit counts sub-jobs that have not ended");
}

#[test]
fn the_inputs_of_sub_jobs_are_limited_together_and_begin_over_several_turns() {
    let mut hub = Hub::new();
    let large = "x".repeat(10 << 20);
    let text = json!({"name": "parent", "tasks": [{"name": "big"}, {"name": "each", "for_each": 30,
        "inputs": {"all": "_big.data"}, "job": {"name": "child", "tasks": [{"name": "a", "wait": {"signal": "go"}}]}}]});
    let job = hub.submit(1, &text.to_string());
    let big = hub.handed_out().remove(0);
    hub.succeed(&big, &json!(large).to_string());
    hub.turn();
    let after_one = hub.machine.stats().live_jobs;
    assert!((2..5).contains(&after_one), "{after_one} jobs are live after one turn");
    hub.actions();
    let fitting = MAXIMUM_SUB_JOB_BYTES / (large.len() as u64 + 12);
    assert_eq!(hub.machine.stats().live_jobs, 1 + fitting);
    let first = hub.stored(job).job.first_item(1).unwrap();
    assert_eq!(kind(&hub, job, first + 29), ErrorKind::TooManyJobs);
    assert!(msg(&hub, job, first + 29).contains("268435456 bytes"), "{}", msg(&hub, job, first + 29));
    hub.cancel(job);
    hub.actions();
    assert_eq!(hub.machine.live(), (0, 0));
}

#[test]
fn a_task_whose_sub_job_is_not_in_the_store_any_more_fails() {
    let mut hub = Hub::new();
    let (job, child, _) = begun(&mut hub, &nested(&json!({})));
    hub.forget(child);
    hub.crash();
    hub.actions();
    assert_eq!(status(&hub, job), JobStatus::Failed);
    assert!(msg(&hub, job, 0).ends_with("it is not in the store any more"), "{}", msg(&hub, job, 0));
}

#[test]
fn what_a_task_with_a_sub_job_waits_for_is_explained_and_it_takes_no_result_from_outside() {
    let mut hub = Hub::new();
    let (job, child, _) = begun(&mut hub, &nested(&json!({})));
    let explained = hub.machine.explain(job, Some("load")).unwrap().unwrap();
    let task = &explained.tasks[0].explanation;
    assert_eq!(task.text, format!("runs the sub-job {child}, which has not ended: hub-client explain {child}"));
    assert_eq!(task.commands, [format!("hub-client explain {child}")]);
    let update = Update { status: TaskStatus::Success, data: None, msg: None };
    assert_eq!(hub.machine.post_result(job.task(0), update, hub.now), Err(PostError::SubJob));
}

#[test]
fn the_text_of_many_sub_jobs_is_counted_once() {
    let mut hub = Hub::new();
    let meta = "x".repeat(10_000);
    let text = json!({"name": "parent", "tasks": [{"name": "each", "for_each": 100,
        "job": {"name": "child", "meta": {"x": meta}, "tasks": [{"name": "a"}]}}]});
    hub.submit(1, &text.to_string());
    hub.actions();
    let (_, bytes) = hub.machine.live();
    assert!(bytes < 400_000, "{bytes}");
    hub.crash();
    hub.actions();
    assert!(hub.machine.live().1 < 400_000, "{}", hub.machine.live().1);
}

#[test]
fn a_record_shows_parent_child_and_inputs() {
    let mut hub = Hub::new();
    let (job, child, _) = begun(&mut hub, &nested(&json!({"inputs": {"n": 1}})));
    let record = |job| -> Value { serde_json::from_str(hub.stored(job).record().get()).unwrap() };
    let task = &record(job)["tasks"][0];
    assert_eq!((&task["child"], &task["task_name"]), (&json!(child.to_string()), &json!("")));
    assert_eq!((&task["inputs"], &task["job"]["name"]), (&json!({"n": 1}), &json!("child")));
    let of_child = record(child);
    assert_eq!(of_child["inputs"], json!({"n": 1}));
    assert_eq!(of_child["parent"]["task"], json!(job.task(0).to_string()));
    assert_eq!(of_child["parent"]["root"], json!(job.to_string()));
}

#[test]
fn nothing_is_left_when_a_change_is_lost_before_its_commit() {
    let mut hub = Hub::new();
    let job = hub.submit(1, PARENT);
    let day = hub.handed_out().remove(0);
    hub.succeed(&day, "1");
    // The turn in which the sub-job begins is lost.
    let mut lost = Vec::new();
    hub.machine.poll_actions(hub.now, &mut lost);
    assert!(lost.iter().any(|action| matches!(action, Action::Persist(Change::JobAdded { .. }))));
    hub.crash();
    hub.actions();
    assert_eq!(hub.stored(job).tasks[1].status, TaskStatus::Pending);
    // The result is delivered again.
    hub.succeed(&day, "1");
    let again = hub.handed_out().remove(0);
    assert_eq!(again.issue.task, first(&lost).issue.task, "the same sub-job begins again");
}
