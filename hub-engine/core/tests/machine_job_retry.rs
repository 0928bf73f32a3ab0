//! Retries of jobs that have ended: what runs again, and what is kept.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hub_core::action::{Action, Assignment};
use hub_core::job_details::Origin;
use hub_core::machine::{Cancel, Outcome, Refused, RetriedJob, Retry, RetryError, Settings, Submitted};
use hub_core::state::{ErrorKind, TaskError, TaskState};
use hub_core::{JobId, JobStatus, RetryFrom, TaskStatus};
use serde_json::{Value, json};
use support::{Hub, id, told};

const LIMIT: usize = 1000;

fn retried(hub: &Hub, ended: JobId, retry: Retry) -> Result<RetriedJob, RetryError> {
    RetriedJob::new(hub.stored(ended).clone(), retry, LIMIT, hub.now.wall)
}

/// Submits a retry of a job under the id with this number.
fn submit(hub: &mut Hub, ended: JobId, number: u128, retry: Retry) -> JobId {
    let retried = retried(hub, ended, retry).unwrap();
    assert_eq!(hub.machine.submit_retry(id(number), retried, hub.now), Ok(Submitted::New));
    id(number)
}

fn from_tasks(names: &[&str]) -> Retry {
    Retry { from: RetryFrom::Tasks(names.iter().map(ToString::to_string).collect()), ..Retry::default() }
}

fn with_override(task: &str, data: &str) -> Retry {
    Retry { overrides: [(task.to_owned(), support::json(data))].into(), ..Retry::default() }
}

/// Runs everything that is handed out. Tasks with these names fail. Returns what ran, in order.
fn run(hub: &mut Hub, failing: &[&str]) -> Vec<String> {
    let mut ran = Vec::new();
    loop {
        let out = hub.handed_out();
        if out.is_empty() {
            return ran;
        }
        for task in out {
            if failing.contains(&&*task.name) {
                hub.result(&task, failure());
            } else {
                hub.succeed(&task, &format!("{:?}", format!("{} of {}", task.name, task.job)));
            }
            ran.push(task.name.to_string());
        }
    }
}

fn failure() -> Outcome {
    Outcome::Failed { msg: "no".into(), error: Some(Arc::new(TaskError::new(ErrorKind::TaskFailed))) }
}

fn names(out: &[Assignment]) -> Vec<&str> {
    out.iter().map(|task| &*task.name).collect()
}

/// The state of the task with this name.
fn state(hub: &Hub, job: JobId, name: &str) -> Arc<TaskState> {
    let stored = hub.stored(job);
    let index = stored.job.tasks().iter().position(|task| **task.name() == *name).unwrap();
    Arc::clone(&stored.tasks[index])
}

fn kept_from(hub: &Hub, job: JobId, name: &str) -> Option<JobId> {
    state(hub, job, name).details.as_ref().and_then(|details| details.rare().kept_from)
}

fn record(hub: &Hub, job: JobId) -> Value {
    serde_json::from_str(hub.stored(job).record().get()).unwrap()
}

/// Ten chains of ten tasks each.
fn chains() -> String {
    let tasks: Vec<Value> = (0..100)
        .map(|at| {
            let depends: Vec<String> = (at % 10 > 0).then(|| format!("t{}", at - 1)).into_iter().collect();
            json!({"name": format!("t{at}"), "depends": depends})
        })
        .collect();
    json!({"name": "j", "tasks": tasks}).to_string()
}

#[test]
fn of_a_hundred_tasks_only_those_run_again_that_had_not_succeeded() {
    for crash in [false, true] {
        let mut hub = Hub::with(Settings { window_floor: 5, ..Settings::default() });
        let first = hub.submit(1, &chains());
        assert_eq!(run(&mut hub, &["t34", "t70"]).len(), 86);
        assert_eq!(hub.stored(first).state.status, JobStatus::Failed);
        let ended = hub.stored(first).clone();

        let second = submit(&mut hub, first, 2, Retry::default());
        let out: Vec<Assignment> = hub
            .turn()
            .into_iter()
            .filter_map(|action| if let Action::Publish(task) = action { Some(*task) } else { None })
            .collect();
        assert_eq!(names(&out), ["t34", "t70"]);
        if crash {
            hub.crash();
            assert_eq!(hub.handed_out(), out, "the same issues");
        }
        let mut ran: Vec<String> = Vec::new();
        for task in &out {
            hub.succeed(task, "1");
            ran.push(task.name.to_string());
        }
        ran.extend(run(&mut hub, &[]));
        let ran: BTreeSet<String> = ran.into_iter().collect();
        let expected: BTreeSet<String> = (34..40).chain(70..80).map(|at| format!("t{at}")).collect();
        assert_eq!(ran, expected, "with a crash: {crash}");

        let stored = hub.stored(second);
        assert_eq!(stored.state.status, JobStatus::Success);
        for (at, (task, before)) in stored.tasks.iter().zip(&ended.tasks).enumerate() {
            let kept = task.details.as_ref().and_then(|details| details.rare().kept_from);
            if expected.contains(&format!("t{at}")) {
                assert_eq!((kept, task.issue.unwrap().number), (None, 1), "t{at}");
            } else {
                assert_eq!((kept, &task.data, task.ended_at), (Some(first), &before.data, before.ended_at), "t{at}");
            }
        }
        assert_eq!(hub.stored(first).tasks, ended.tasks, "the job that ended does not change");
        assert_eq!(hub.machine.stats().live_bytes, 0);
    }
}

#[test]
fn the_states_that_are_kept_are_stored_with_the_job_and_nothing_of_them_is_published() {
    let mut hub = Hub::new();
    let text = r#"{"name": "j", "tasks": [{"name": "a"}, {"name": "b", "args": ["_a.data"]}, {"name": "c", "args": ["_b.data"]}]}"#;
    let first = hub.submit(1, text);
    run(&mut hub, &["b"]);
    submit(&mut hub, first, 2, Retry::default());
    let expected = [
        "keep job",
        "keep job PENDING",
        "keep task 0 SUCCESS",
        "job is PENDING",
        "b is SUBMITTED",
        "keep task 1 SUBMITTED",
        "job is RUNNING",
    ];
    let told = told(&hub.turn());
    assert_eq!(told.iter().filter(|told| expected.contains(&told.as_str())).count(), expected.len(), "{told:?}");
    assert_eq!(told[..4], expected[..4]);
    assert_eq!(told.iter().filter(|told| told.starts_with("publish")).count(), 1, "{told:?}");
    assert!(told.contains(&format!("publish b [\"a of {first}\"]1")), "{told:?}");
}

#[test]
fn a_retry_that_was_not_stored_did_not_happen() {
    let mut hub = Hub::new();
    let first = hub.submit(1, &chains());
    run(&mut hub, &["t0"]);
    let second = submit(&mut hub, first, 2, Retry::default());
    // Nothing has been asked for.
    hub.crash();
    assert!(hub.handed_out().is_empty() && !hub.machine.is_live(second));
    submit(&mut hub, first, 2, Retry::default());
    assert_eq!(names(&hub.handed_out()), ["t0"]);
}

const DIAMOND: &str = r#"{"name": "j", "tasks": [{"name": "a"}, {"name": "b", "args": ["_a.data"]}, {"name": "c", "args": ["_a.data"]},
    {"name": "d", "args": ["_b.data", "_c.data"]}], "output": "_d.data"}"#;

#[test]
fn a_request_says_what_runs_again() {
    let start = Retry { from: RetryFrom::Start, ..Retry::default() };
    for (failing, retry, expected) in [
        (&["b"][..], Retry::default(), &["b", "d"][..]),
        (&["b"], from_tasks(&[]), &["b", "d"]),
        (&["b"], from_tasks(&["c"]), &["b", "c", "d"]),
        (&["b"], start.clone(), &["a", "b", "c", "d"]),
        (&[], start, &["a", "b", "c", "d"]),
        (&[], from_tasks(&["b", "b"]), &["b", "d"]),
        (&[], from_tasks(&["d"]), &["d"]),
        (&["b"], with_override("b", "7"), &["d"]),
        (&["a"], with_override("b", "7"), &["a", "c", "d"]),
        (&[], with_override("a", "7"), &["b", "c", "d"]),
        (&[], with_override("d", "7"), &[]),
    ] {
        let mut hub = Hub::new();
        let first = hub.submit(1, DIAMOND);
        run(&mut hub, failing);
        let shown = format!("{failing:?} {retry:?}");
        let second = submit(&mut hub, first, 2, retry.clone());
        assert_eq!(run(&mut hub, &[]), expected, "{shown}");
        let stored = hub.stored(second);
        assert_eq!(stored.state.status, JobStatus::Success, "{shown}");
        for name in ["a", "b", "c", "d"] {
            let state = state(&hub, second, name);
            let details = state.details.clone().unwrap_or_default();
            let is_overridden = retry.overrides.contains_key(name);
            assert_eq!(details.overridden, is_overridden, "{shown} {name}");
            let is_kept = !is_overridden && !expected.contains(&name);
            assert_eq!(details.rare().kept_from.is_some(), is_kept, "{shown} {name}");
            if is_overridden {
                assert_eq!((state.data.as_ref().map(hub_core::Json::get), state.issue), (Some("7"), None), "{shown}");
            }
        }
    }
}

#[test]
fn a_task_that_ran_because_another_failed_runs_again() {
    let text = r#"{"name": "j", "tasks": [{"name": "a"}, {"name": "tidy", "depends": ["a"], "trigger_rule": "all_done"},
        {"name": "alarm", "depends": ["a"], "trigger_rule": "one_failed"}, {"name": "b", "depends": ["a"]},
        {"name": "late", "when": {"eq": ["_a.status", "FAILED"]}, "depends": ["a"], "trigger_rule": "all_done"}]}"#;
    let mut hub = Hub::new();
    let first = hub.submit(1, text);
    assert_eq!(run(&mut hub, &["a"]), ["a", "tidy", "alarm", "late"]);
    let second = submit(&mut hub, first, 2, Retry::default());
    assert_eq!(run(&mut hub, &[]), ["a", "tidy", "b"]);
    let statuses = hub.statuses(second);
    assert_eq!(statuses[2..], [TaskStatus::Skipped, TaskStatus::Success, TaskStatus::Skipped]);
}

#[test]
fn a_recovered_failure_is_kept_and_a_skipped_task_is_looked_at_again() {
    let text = r#"{"name": "j", "tasks": [{"name": "a", "recover": {"fallback": 5}}, {"name": "b", "args": ["_a.data"]},
        {"name": "c", "when": false}, {"name": "d", "depends": ["a"]}]}"#;
    let mut hub = Hub::new();
    let first = hub.submit(1, text);
    run(&mut hub, &["a", "b"]);
    let second = submit(&mut hub, first, 2, Retry::default());
    let b = hub.handed_out();
    assert_eq!((names(&b), b[0].args.get()), (vec!["b"], "[5]"));
    hub.succeed(&b[0], "1");
    hub.actions();
    let expected = [TaskStatus::Failed, TaskStatus::Success, TaskStatus::Skipped, TaskStatus::Success];
    assert_eq!((hub.statuses(second), hub.stored(second).state.status), (expected.to_vec(), JobStatus::Success));
    assert_eq!(kept_from(&hub, second, "a"), Some(first));
}

#[test]
fn a_cancelled_job_is_retried_and_a_retry_can_be_retried() {
    let mut hub = Hub::new();
    let first = hub.submit(1, &chains());
    let out = hub.handed_out();
    hub.succeed(&out[0], "1");
    hub.cancel(first);
    for task in &out[1..] {
        hub.machine.handle_returned(task.issue, hub_core::machine::Returned::Stopped, &"w1".into(), hub.now);
    }
    hub.actions();
    assert_eq!(hub.stored(first).state.status, JobStatus::Cancelled);

    let reason = Retry { by: Some("kim".into()), reason: Some("again".into()), ..Retry::default() };
    let second = submit(&mut hub, first, 2, reason);
    assert_eq!(run(&mut hub, &["t99"]).len(), 99);
    let third = submit(&mut hub, second, 3, Retry::default());
    assert_eq!(run(&mut hub, &[]), ["t99"]);
    assert_eq!((kept_from(&hub, third, "t0"), kept_from(&hub, third, "t1")), (Some(first), Some(second)));
    let origin = |job, number| Origin { job, root: first, number, by: None, reason: None };
    assert_eq!(hub.stored(third).state.origin(), Some(&origin(second, 3)));
    let expected = Origin { by: Some("kim".into()), reason: Some("again".into()), ..origin(first, 2) };
    assert_eq!(hub.stored(second).state.origin(), Some(&expected));
    let record = record(&hub, second);
    let written =
        json!({"job": first.to_string(), "root": first.to_string(), "try": 2, "by": "kim", "reason": "again"});
    assert_eq!((&record["origin"], &record["tasks"][0]["kept_from"]), (&written, &json!(first.to_string())));
    assert_eq!(record["tasks"][1].get("kept_from"), None);
}

#[test]
fn what_cannot_be_retried_is_refused() {
    let mut hub = Hub::new();
    let first = hub.submit(1, DIAMOND);
    hub.actions();
    assert_eq!(retried(&hub, first, Retry::default()).unwrap_err(), RetryError::NotEnded(JobStatus::Running));
    hub.machine.cancel(first, Cancel::default(), hub.now).unwrap();
    hub.crash();
    let first = hub.submit(2, DIAMOND);
    run(&mut hub, &[]);
    let refused = |retry| retried(&hub, first, retry).unwrap_err();
    assert_eq!(refused(Retry::default()), RetryError::NothingRuns);
    assert_eq!(refused(from_tasks(&[])), RetryError::NothingRuns);
    let unknown = |name: &str, known: Option<&str>| RetryError::UnknownTask {
        name: name.to_owned(),
        known: known.map(str::to_owned),
    };
    assert_eq!(refused(from_tasks(&["a", "nothing"])), unknown("nothing", None));
    assert_eq!(refused(with_override("a[0]", "1")), unknown("a[0]", None));
    let both = Retry { overrides: with_override("b", "1").overrides, ..from_tasks(&["b"]) };
    assert_eq!(refused(both), RetryError::RunsAndOverridden("b".to_owned()));
    let large = with_override("b", &format!("{:?}", "x".repeat(LIMIT)));
    assert!(matches!(refused(large), RetryError::OutOfBounds { task, .. } if task == "b"));
    let mut ended = hub.stored(first).clone();
    Arc::make_mut(&mut ended.tasks[2]).data = None;
    let gone = RetriedJob::new(ended, from_tasks(&["d"]), LIMIT, hub.now.wall).unwrap_err();
    assert_eq!(gone, RetryError::DataGone("c".to_owned()));
}

#[test]
fn the_same_retry_is_known_and_an_id_belongs_to_one_job() {
    let mut hub = Hub::new();
    let first = hub.submit(1, &DIAMOND.replacen(r#""name": "j","#, r#""name": "j", "key": "k","#, 1));
    let other = hub.submit(2, DIAMOND);
    run(&mut hub, &["d"]);
    let second = submit(&mut hub, first, 3, Retry::default());
    let again = retried(&hub, first, Retry::default()).unwrap();
    assert_eq!(hub.machine.submit_retry(second, again, hub.now), Ok(Submitted::Known));
    let of_other = retried(&hub, other, Retry::default()).unwrap();
    assert_eq!(hub.machine.submit_retry(second, of_other, hub.now), Err(Refused::IdTaken));
    assert_eq!(hub.handed_out().len(), 1);
    assert_eq!((hub.stored(first).job.key(), hub.stored(second).job.key()), (Some("k"), None));
    assert_eq!(hub.stored(second).job.source(), hub.stored(first).job.source());
}

#[test]
fn an_approval_that_was_given_is_kept() {
    let text = r#"{"name": "j", "tasks": [{"name": "ask", "wait": {"approval": {}}}, {"name": "go", "wait": {"signal": "go"}},
        {"name": "b", "args": ["_ask.data.choice", "_go.data"]}]}"#;
    let mut hub = Hub::new();
    let first = hub.submit(1, text);
    hub.actions();
    let choice = hub_core::machine::Choice { choice: "approve".into(), input: support::json("1"), by: None };
    hub.machine.choose(first.task(0), choice, hub.now).unwrap();
    let signal = hub_core::machine::Signal {
        name: "go".into(),
        data: support::json("2"),
        key: None,
        by: None,
        broadcast: false,
    };
    hub.machine.signal(first, signal.clone(), hub.now).unwrap();
    run(&mut hub, &["b"]);
    let second = submit(&mut hub, first, 2, Retry::default());
    let b = hub.handed_out();
    assert_eq!((names(&b), b[0].args.get()), (vec!["b"], r#"["approve", 2]"#));
    assert!(hub.machine.signal(second, signal, hub.now).is_err(), "no task waits for it");
    hub.succeed(&b[0], "1");
    hub.actions();
    let third = submit(&mut hub, second, 3, from_tasks(&["ask"]));
    hub.actions();
    assert_eq!(hub.statuses(third), [TaskStatus::Running, TaskStatus::Success, TaskStatus::Pending]);
}

/// A job with a list, a task for each of its elements, and a task behind it.
fn each(more: &str) -> String {
    format!(
        r#"{{"name": "j"{more}, "tasks": [{{"name": "list"}},
            {{"name": "each", "for_each": "_list.data", "args": ["_.item"]}},
            {{"name": "sum", "args": ["_each.data"]}}], "output": "_sum.data"}}"#
    )
}

/// Runs a job with the items 0 to 4, of which these fail.
fn run_items(hub: &mut Hub, number: u128, text: &str, failing: &[&str]) -> JobId {
    let job = hub.submit(number, text);
    let list = hub.handed_out().remove(0);
    hub.succeed(&list, "[10, 11, 12, 13, 14]");
    run(hub, failing);
    job
}

fn items(hub: &Hub, job: JobId) -> BTreeMap<u32, (TaskStatus, Option<JobId>)> {
    let stored = hub.stored(job);
    let first = stored.job.first_item(1).unwrap();
    let kept = |state: &TaskState| state.details.as_ref().and_then(|details| details.rare().kept_from);
    stored.items.iter().map(|(index, state)| (index - first, (state.status, kept(state)))).collect()
}

#[test]
fn items_that_succeeded_are_kept_where_the_list_is_the_same() {
    for crash in [false, true] {
        let mut hub = Hub::new();
        let first = run_items(&mut hub, 1, &each(""), &["each[1]", "each[4]"]);
        assert_eq!(hub.statuses(first)[1..], [TaskStatus::Failed, TaskStatus::UpstreamFailed]);
        let second = submit(&mut hub, first, 2, Retry::default());
        let mut out = hub.handed_out();
        if crash {
            hub.crash();
            assert_eq!(hub.handed_out(), out);
        }
        assert_eq!(names(&out), ["each[1]", "each[4]"]);
        assert_eq!(out[1].args.get(), "[14]");
        let before = record(&hub, second);
        let counts = json!({"total": 5, "success": 3, "failed": 0, "skipped": 0, "cancelled": 0});
        assert_eq!((&before["tasks"][1]["items"], &before["status"]), (&counts, &json!("RUNNING")));
        hub.succeed(&out.pop().unwrap(), "\"new 4\"");
        hub.succeed(&out.pop().unwrap(), "\"new 1\"");
        let sum = hub.handed_out();
        let of = |item| format!("\"each[{item}] of {first}\"");
        assert_eq!(sum[0].args.get(), format!("[[{}, \"new 1\", {}, {}, \"new 4\"]]", of(0), of(2), of(3)));
        hub.succeed(&sum[0], "1");
        hub.actions();
        assert_eq!(hub.stored(second).state.status, JobStatus::Success, "with a crash: {crash}");
        let kept = |item: u32| if item == 1 || item == 4 { None } else { Some(first) };
        assert_eq!(items(&hub, second), (0..5).map(|item| (item, (TaskStatus::Success, kept(item)))).collect());
        assert_eq!(hub.machine.stats().live_bytes, 0);
    }
}

#[test]
fn items_run_again_with_their_task_where_the_list_may_differ() {
    let late = each(r#", "start_at": "1h""#);
    let whole = each("");
    for (text, failing, retry, expected) in [
        (
            &whole,
            &["each[1]"][..],
            from_tasks(&["each"]),
            &["each[0]", "each[1]", "each[2]", "each[3]", "each[4]", "sum"][..],
        ),
        (&whole, &["each[1]"], with_override("list", "[7, 8]"), &["each[0]", "each[1]", "sum"]),
        (&whole, &["each[1]"], with_override("each", "[7]"), &["sum"]),
        (&whole, &["sum"], Retry::default(), &["sum"]),
        (&late, &["each[1]"], Retry::default(), &[]),
    ] {
        let mut hub = Hub::new();
        let first = hub.submit(1, text);
        hub.pass(std::time::Duration::from_secs(3600));
        let list = hub.handed_out().remove(0);
        hub.succeed(&list, "[10, 11, 12, 13, 14]");
        run(&mut hub, failing);
        let shown = format!("{failing:?} {retry:?}");
        let second = submit(&mut hub, first, 2, retry);
        assert_eq!(run(&mut hub, &[]), expected, "{shown}");
        let status = if expected.is_empty() { JobStatus::Pending } else { JobStatus::Success };
        assert_eq!(hub.stored(second).state.status, status, "{shown}");
        if failing == ["sum"] {
            let kept = (0..5).map(|item| (item, (TaskStatus::Success, Some(first))));
            assert_eq!(items(&hub, second), kept.collect(), "the items of a task that is kept");
        }
    }
}

#[test]
fn handlers_run_in_each_retry() {
    let text = r#"{"name": "j", "tasks": [{"name": "a"}, {"name": "b"}],
        "on_failure": [{"name": "alarm"}], "finally": [{"name": "clean"}, {"name": "each", "for_each": [1, 2]}]}"#;
    let each = ["each[0]", "each[1]"];
    for crash in [false, true] {
        let mut hub = Hub::new();
        let first = hub.submit(1, text);
        assert_eq!(run(&mut hub, &["b"]), [["a", "b", "alarm", "clean"].as_slice(), &each].concat());
        let handler = RetryError::Handler("clean".to_owned());
        assert_eq!(retried(&hub, first, from_tasks(&["clean"])).unwrap_err(), handler);
        assert_eq!(retried(&hub, first, with_override("clean", "1")).unwrap_err(), handler);
        let second = submit(&mut hub, first, 2, Retry::default());
        if crash {
            hub.actions();
            hub.crash();
        }
        assert_eq!(run(&mut hub, &["clean"]), [["b", "clean"].as_slice(), &each].concat(), "crash: {crash}");
        assert_eq!(hub.stored(second).state.status, JobStatus::Failed, "finally has failed");
        // Nothing but its handlers has to run again.
        let third = submit(&mut hub, second, 3, Retry::default());
        assert_eq!(run(&mut hub, &[]), [["clean"].as_slice(), &each].concat());
        assert_eq!(hub.stored(third).state.status, JobStatus::Success);
        assert_eq!(retried(&hub, third, Retry::default()).unwrap_err(), RetryError::NothingRuns);
    }
}

#[test]
fn a_kept_task_is_shown_with_the_arguments_that_it_had() {
    let mut hub = Hub::new();
    let text =
        r#"{"name": "j", "tasks": [{"name": "a", "args": ["_.job.id", "_b.id"]}, {"name": "b", "depends": ["a"]}]}"#;
    let first = hub.submit(1, text);
    run(&mut hub, &["b"]);
    let before = record(&hub, first)["tasks"][0]["args"].clone();
    let second = submit(&mut hub, first, 2, Retry::default());
    run(&mut hub, &["b"]);
    let third = submit(&mut hub, second, 3, Retry::default());
    run(&mut hub, &[]);
    assert_eq!(record(&hub, third)["tasks"][0]["args"], before);
}

#[test]
fn another_retry_under_the_same_id_is_refused() {
    let mut hub = Hub::new();
    let first = hub.submit(1, r#"{"name": "j", "tasks": [{"name": "a"}, {"name": "b"}]}"#);
    run(&mut hub, &["b"]);
    let by = Retry { by: Some("ops".into()), ..Retry::default() };
    submit(&mut hub, first, 2, Retry::default());
    let again = |hub: &mut Hub, retry| {
        let retried = retried(hub, first, retry).unwrap();
        hub.machine.submit_retry(id(2), retried, hub.now)
    };
    assert_eq!(again(&mut hub, by), Ok(Submitted::Known));
    for other in [from_tasks(&["a"]), with_override("b", "1")] {
        assert_eq!(again(&mut hub, other), Err(Refused::IdTaken));
    }
}
