//! Tasks that run for the items of a list.

mod support;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use hub_core::action::{Action, Assignment};
use hub_core::details::RepairAction;
use hub_core::machine::{Cancel, Outcome, PostError, Posted, Remark, Repair, Returned, Settings, Update};
use hub_core::record::View;
use hub_core::state::{ErrorKind, TaskError};
use hub_core::{JobId, JobStatus, Json, TaskStatus};
use serde_json::{Value, json};
use support::Hub;

/// A job with a list, a task for each of its elements, and a task behind it.
fn job(for_each: &str, more: &str) -> String {
    format!(
        r#"{{"name": "j", "tasks": [{{"name": "list"}},
            {{"name": "each", "for_each": {for_each}, "args": ["_.item", "_.index"]{more}}},
            {{"name": "sum", "args": ["_each.data"]}}], "output": "_sum.data"}}"#
    )
}

/// Submits the job, and ends its first task with this list.
fn begin(hub: &mut Hub, text: &str, list: &str) -> JobId {
    let id = hub.submit(1, text);
    let first = hub.handed_out().remove(0);
    hub.succeed(&first, list);
    id
}

fn arguments(tasks: &[Assignment]) -> Vec<(String, String)> {
    tasks.iter().map(|task| (task.name.to_string(), task.args.get().to_owned())).collect()
}

fn state(hub: &Hub, id: JobId, index: usize) -> Arc<hub_core::state::TaskState> {
    Arc::clone(&hub.stored(id).tasks[index])
}

fn error() -> Outcome {
    Outcome::Failed { msg: "no".into(), error: Some(Arc::new(TaskError::new(ErrorKind::TaskFailed))) }
}

/// The number of an item, from its name.
fn number(task: &Assignment) -> u32 {
    task.name.trim_end_matches(']').rsplit('[').next().unwrap().parse().unwrap()
}

#[test]
fn each_item_is_a_task_and_their_results_are_a_list_in_order() {
    let mut hub = Hub::new();
    let id = begin(&mut hub, &job("\"_list.data\"", ""), r#"["a", {"b": [1]}, null]"#);
    let mut items = hub.handed_out();
    let expected = [("each[0]", r#"["a", 0]"#), ("each[1]", r#"[{"b": [1]}, 1]"#), ("each[2]", "[null, 2]")];
    assert_eq!(arguments(&items), expected.map(|(name, args)| (name.to_owned(), args.to_owned())));
    assert_eq!(state(&hub, id, 1).status, TaskStatus::Running);
    // In another order than they were handed out.
    items.reverse();
    for (at, item) in items.iter().enumerate() {
        assert!(hub.handed_out().is_empty());
        hub.succeed(item, &format!("{{\"at\": {at}}}"));
    }
    let sum = hub.handed_out().remove(0);
    assert_eq!(sum.args.get(), r#"[[{"at": 2}, {"at": 1}, {"at": 0}]]"#);
    hub.succeed(&sum, "7");
    hub.actions();
    let ended = hub.stored(id);
    assert_eq!(ended.state.status, JobStatus::Success);
    assert_eq!(ended.summary().tasks, 3, "items are no tasks of the text");
    let record: Value = serde_json::from_str(ended.record().get()).unwrap();
    assert_eq!(record["tasks"].as_array().unwrap().len(), 3);
    assert_eq!(
        record["tasks"][1]["items"],
        json!({"total": 3, "success": 3, "failed": 0, "skipped": 0, "cancelled": 0})
    );
    let first = ended.job.first_item(1).unwrap();
    let page: Value =
        serde_json::from_str(ended.task_page(first..first + 2, usize::MAX, &View::whole()).json.get()).unwrap();
    let shown: Vec<Value> = page["tasks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| json!([item["name"], item["args"], item["data"]["at"]]))
        .collect();
    assert_eq!(json!(shown), json!([["each[0]", ["a", 0], 2], ["each[1]", [{"b": [1]}, 1], 1]]));
    assert_eq!(page["next"], 2);
    assert_eq!(hub.machine.stats().live_bytes, 0);
}

#[test]
fn lists_objects_and_numbers_can_be_iterated_over_and_batches_are_lists() {
    for (for_each, expected) in [
        ("[1, \"_list.data\"]", &["[1, 0]", "[[5], 1]"][..]),
        ("2", &["[0, 0]", "[1, 1]"]),
        (r#"{"in": {"x": "_list.data.0"}}"#, &[r#"[{"key": "x", "value": 5}, 0]"#]),
        (r#"{"in": 3, "batch": 2}"#, &["[[0, 1], 0]", "[[2], 1]"]),
        ("\"_list.data\"", &["[5, 0]"]),
    ] {
        let mut hub = Hub::new();
        hub.submit(1, &job(for_each, r#", "depends": ["list"]"#));
        let first = hub.handed_out().remove(0);
        hub.succeed(&first, "[5]");
        let items = hub.handed_out();
        let args: Vec<&str> = items.iter().map(|item| item.args.get()).collect();
        assert_eq!(args, expected, "{for_each}");
    }
}

#[test]
fn nothing_to_iterate_over_is_a_success() {
    let mut hub = Hub::new();
    let id = begin(&mut hub, &job("\"_list.data\"", ""), "[]");
    let sum = hub.handed_out().remove(0);
    assert_eq!((&*sum.name, sum.args.get()), ("sum", "[[]]"));
    assert_eq!(state(&hub, id, 1).status, TaskStatus::Success);
}

#[test]
fn what_cannot_be_iterated_over_fails_the_task_at_once() {
    let many = format!("[{}0]", "0,".repeat(100_000));
    for (list, kind) in [
        ("1.5", ErrorKind::BadArguments),
        ("null", ErrorKind::BadArguments),
        ("\"abc\"", ErrorKind::BadArguments),
        ("-1", ErrorKind::BadArguments),
        (&many, ErrorKind::TooManyItems),
    ] {
        let mut hub = Hub::new();
        let id = begin(&mut hub, &job("\"_list.data\"", r#", "retry": 5"#), list);
        assert!(hub.handed_out().is_empty());
        let task = state(&hub, id, 1);
        assert_eq!((task.status, task.error.as_ref().unwrap().kind), (TaskStatus::Failed, kind));
        assert_eq!(hub.stored(id).state.status, JobStatus::Failed);
    }
}

#[test]
fn not_more_items_run_than_allowed() {
    let mut hub = Hub::new();
    begin(&mut hub, &job(r#"{"in": "_list.data", "parallel": 3}"#, ""), "[0, 1, 2, 3, 4, 5, 6, 7]");
    let mut running: Vec<Assignment> = hub.handed_out();
    let mut seen = BTreeSet::new();
    while !running.is_empty() && running[0].name.starts_with("each") {
        assert!(running.len() <= 3);
        let item = running.swap_remove(running.len() / 2);
        assert!(seen.insert(number(&item)));
        hub.succeed(&item, "1");
        running.extend(hub.handed_out());
    }
    assert_eq!(seen.len(), 8);
    assert_eq!(running[0].args.get(), "[[1, 1, 1, 1, 1, 1, 1, 1]]");
}

#[test]
fn as_many_items_may_fail_as_are_tolerated() {
    for (tolerated, failures, status) in [
        ("0", 0, TaskStatus::Success),
        ("0", 1, TaskStatus::Failed),
        ("2", 2, TaskStatus::Success),
        ("2", 3, TaskStatus::Failed),
        ("\"50%\"", 2, TaskStatus::Success),
        ("\"49%\"", 2, TaskStatus::Failed),
    ] {
        let mut hub = Hub::new();
        let for_each = format!(r#"{{"in": "_list.data", "tolerated_failures": {tolerated}}}"#);
        let id = begin(&mut hub, &job(&for_each, ""), "[0, 1, 2, 3]");
        for item in hub.handed_out() {
            if number(&item) < failures {
                hub.result(&item, error())
            } else {
                hub.succeed(&item, "1")
            };
        }
        let after = hub.handed_out();
        let task = state(&hub, id, 1);
        assert_eq!(task.status, status, "{tolerated} {failures}");
        if status == TaskStatus::Success {
            let nulls = after[0].args.get().matches("null").count() as u32;
            assert_eq!(nulls, failures);
        } else {
            assert_eq!(task.error.as_ref().unwrap().kind, ErrorKind::ItemsFailed);
            assert!(task.msg.as_deref().unwrap().contains("\"each[0]\": no"), "{:?}", task.msg);
            assert_eq!(hub.stored(id).state.status, JobStatus::Failed);
        }
    }
}

#[test]
fn the_rest_is_given_up_when_too_many_have_failed() {
    let mut hub = Hub::with(Settings { window_floor: 2, ..Settings::default() });
    let for_each = r#"{"in": "_list.data", "fail_fast": true}"#;
    let id = begin(&mut hub, &job(for_each, ""), "[0, 1, 2, 3, 4]");
    let items = hub.handed_out();
    assert_eq!(items.len(), 2);
    hub.result(&items[1], error());
    let stopped: Vec<bool> = hub
        .actions()
        .iter()
        .filter_map(|action| match action {
            Action::Stop { issue, .. } => Some(*issue == items[0].issue),
            _ => None,
        })
        .collect();
    assert_eq!(stopped, [true]);
    let each = state(&hub, id, 1);
    let counts = each.details.as_ref().unwrap().rare().items.unwrap();
    assert_eq!((counts.failed, counts.cancelled, counts.skipped), (1, 1, 3));
    assert_eq!(each.status, TaskStatus::Failed);
    assert_eq!(hub.machine.stats().live_tasks, 0);
}

#[test]
fn items_have_conditions() {
    let mut hub = Hub::new();
    let for_each = r#"{"in": "_list.data", "when": {"gt": ["_.item", 1]}, "tolerated_failures": 1}"#;
    let id = begin(&mut hub, &job(for_each, ""), "[0, 1, 2, \"x\", 3]");
    let items = hub.handed_out();
    assert_eq!(items.iter().map(number).collect::<Vec<_>>(), [2, 4]);
    for item in &items {
        hub.succeed(item, "1");
    }
    let sum = hub.handed_out().remove(0);
    assert_eq!(sum.args.get(), "[[null, null, 1, null, 1]]");
    let counts = state(&hub, id, 1).details.as_ref().unwrap().rare().items.unwrap();
    assert_eq!((counts.skipped, counts.failed, counts.success), (2, 1, 2));
}

#[test]
fn items_are_tried_again_one_by_one() {
    let mut hub = Hub::new();
    let id = begin(
        &mut hub,
        &job("\"_list.data\"", r#", "retry": {"maximum_attempts": 2, "initial_interval": "1s", "jitter": 0}"#),
        "[0, 1]",
    );
    let items = hub.handed_out();
    hub.result(&items[0], error());
    hub.succeed(&items[1], "1");
    assert!(hub.handed_out().is_empty());
    hub.pass(Duration::from_secs(1));
    let again = hub.handed_out();
    assert_eq!((&*again[0].name, again[0].attempt, again[0].issue.number), ("each[0]", 2, 2));
    hub.succeed(&again[0], "2");
    assert_eq!(hub.handed_out()[0].args.get(), "[[2, 1]]");
    assert_eq!(state(&hub, id, 1).status, TaskStatus::Success);
}

#[test]
fn a_restart_between_any_two_ends_changes_nothing() {
    for crash_at in 0..8 {
        let mut hub = Hub::with(Settings { window_floor: 2, ..Settings::default() });
        let for_each =
            r#"{"in": "_list.data", "parallel": 3, "when": {"ne": ["_.index", 5]}, "tolerated_failures": 1}"#;
        let id = begin(&mut hub, &job(for_each, ""), "[10, 11, 12, 13, 14, 15, 16]");
        let (mut ended, mut seen) = (0, BTreeSet::new());
        let mut sum = None;
        let mut running = hub.handed_out();
        while sum.is_none() {
            if ended == crash_at {
                hub.crash();
            }
            running.extend(hub.handed_out());
            let item = running.remove(0);
            if !item.name.starts_with("each") {
                sum = Some(item);
                continue;
            }
            let verdict =
                if number(&item) == 3 { hub.result(&item, error()) } else { hub.succeed(&item, item.args.get()) };
            if verdict == hub_core::machine::Verdict::Applied {
                assert!(seen.insert(number(&item)), "{} ended twice", item.name);
            }
            ended += 1;
            running.extend(hub.handed_out());
        }
        assert_eq!(
            sum.unwrap().args.get(),
            "[[[10, 0], [11, 1], [12, 2], null, [14, 4], null, [16, 6]]]",
            "a restart after {crash_at} ends"
        );
        assert_eq!(seen.len(), 6);
        assert_eq!(state(&hub, id, 1).status, TaskStatus::Success);
    }
}

/// The fuzz target `features` found that the task ended before its items.
#[test]
fn results_are_posted_for_items_and_not_for_their_task() {
    let mut hub = Hub::new();
    let id = begin(&mut hub, &job("\"_list.data\"", ""), "[0, 1]");
    let items = hub.handed_out();
    let update = |data: &str| Update { status: TaskStatus::Success, data: Some(support::json(data)), msg: None };
    let refused = hub.machine.post_result(id.task(1), update("[1, 2]"), hub.now);
    assert_eq!(refused, Err(PostError::Items));
    for (item, data) in items.iter().zip(["10", "20"]) {
        assert_eq!(hub.machine.post_result(item.issue.task, update(data), hub.now), Ok(Posted::Applied));
    }
    hub.actions();
    assert_eq!(state(&hub, id, 1).data.as_ref().map(Json::get), Some("[10, 20]"));
}

#[test]
fn a_cancelled_job_ends_its_items() {
    for crash in [false, true] {
        let mut hub = Hub::new();
        let id = begin(&mut hub, &job("\"_list.data\"", ""), "[0, 1, 2]");
        let items = hub.handed_out();
        hub.succeed(&items[0], "1");
        hub.machine.cancel(id, Cancel::default(), hub.now).unwrap();
        hub.actions();
        assert_eq!(hub.stored(id).state.status, JobStatus::Cancelling);
        if crash {
            hub.crash();
        }
        for item in &items[1..] {
            hub.machine.handle_returned(item.issue, Returned::Stopped, &"w1".into(), hub.now);
        }
        hub.actions();
        let stored = hub.stored(id);
        assert_eq!(stored.state.status, JobStatus::Cancelled);
        let ends: Vec<TaskStatus> = stored.items.values().map(|item| item.status).collect();
        assert_eq!(ends, [TaskStatus::Success, TaskStatus::Cancelled, TaskStatus::Cancelled], "restarted: {crash}");
        let each = state(&hub, id, 1);
        let counts = each.details.as_ref().unwrap().rare().items.unwrap();
        assert_eq!(
            (each.status, counts.success, counts.cancelled),
            (TaskStatus::Cancelled, 1, 2),
            "restarted: {crash}"
        );
        let stats = hub.machine.stats();
        assert_eq!((stats.live_tasks, stats.in_flight, stats.ready, stats.live_bytes), (0, 0, 0, 0));
    }
}

#[test]
fn many_items_take_several_turns_and_little_memory_afterwards() {
    let count = 30_000;
    let mut hub = Hub::with(Settings { window_floor: 50_000, window_ceiling: 50_000, ..Settings::default() });
    let text = format!(
        r#"{{"name": "j", "tasks": [{{"name": "each", "for_each": {count}, "args": ["_.item"]}}, {{"name": "last", "args": ["_each.data.29999"]}}]}}"#
    );
    hub.submit(1, &text);
    let first = hub.turn();
    let published = |actions: &[Action]| actions.iter().filter(|action| matches!(action, Action::Publish(_))).count();
    assert!(published(&first) <= 10_000 && hub.machine.wants_turn());
    let mut items: Vec<Assignment> = Vec::new();
    for actions in [first, hub.actions()] {
        items.extend(actions.into_iter().filter_map(|action| match action {
            Action::Publish(item) => Some(*item),
            _ => None,
        }));
    }
    assert_eq!(items.len(), count);
    for item in &items {
        hub.succeed(item, item.args.get());
    }
    assert_eq!(hub.handed_out()[0].args.get(), "[[29999]]");
    assert!(hub.machine.stats().live_bytes < 2_000_000, "{}", hub.machine.stats().live_bytes);
}

#[test]
fn a_list_of_results_that_is_too_large_can_not_be_referred_to() {
    let mut hub = Hub::with(Settings { max_value_bytes: 1000, ..Settings::default() });
    let id = begin(&mut hub, &job("\"_list.data\"", ""), "[0, 1, 2]");
    for item in hub.handed_out() {
        hub.succeed(&item, &format!("\"{}\"", "x".repeat(400)));
    }
    assert!(hub.handed_out().is_empty());
    let (each, sum) = (state(&hub, id, 1), state(&hub, id, 2));
    assert_eq!(each.status, TaskStatus::Success);
    assert_eq!(sum.error.as_ref().unwrap().kind, ErrorKind::ArgumentsTooLarge, "{:?}", sum.msg);
}

#[test]
fn a_paused_job_lets_no_further_item_in() {
    for crash in [false, true] {
        let mut hub = Hub::new();
        let id = begin(&mut hub, &job(r#"{"in": "_list.data", "parallel": 1}"#, ""), "[0, 1, 2]");
        let first = hub.handed_out().remove(0);
        hub.machine.pause_job(id, Remark::default(), hub.now).unwrap();
        hub.succeed(&first, "1");
        assert!(hub.handed_out().is_empty());
        if crash {
            hub.crash();
            assert!(hub.handed_out().is_empty());
        }
        hub.machine.resume_job(id, hub.now).unwrap();
        let second = hub.handed_out();
        assert_eq!(second.iter().map(number).collect::<Vec<_>>(), [1]);
    }
}

#[test]
fn an_operator_skips_items_that_wait() {
    let skip = |data: Option<&str>| Repair {
        action: RepairAction::Skip,
        data: data.map(|data| Json::parse(data).unwrap()),
        by: None,
        reason: None,
    };
    for is_restarted in [false, true] {
        let mut hub = Hub::new();
        let more = r#", "retry": {"maximum_attempts": 2, "initial_interval": "1s", "jitter": 0}"#;
        let id = begin(&mut hub, &job(r#"{"in": "_list.data", "parallel": 2}"#, more), "[0, 1, 2, 3, 4]");
        let items = hub.handed_out();
        for item in &items {
            hub.result(item, error());
        }
        assert!(hub.handed_out().is_empty());
        if is_restarted {
            hub.crash();
            hub.actions();
        }
        let first = hub.stored(id).job.first_item(1).unwrap();
        let mut last = Vec::new();
        // Two wait for their next attempt, the others until there is room for them.
        for (item, data) in [(0, None), (4, None), (3, Some("8")), (1, Some("7"))] {
            hub.machine.repair(id.task(first + item), skip(data), hub.now).unwrap();
            last.append(&mut hub.handed_out());
        }
        assert_eq!(last.iter().map(number).collect::<Vec<_>>(), [2]);
        hub.succeed(&last[0], "9");
        let sum = hub.handed_out().remove(0);
        assert_eq!(sum.args.get(), "[[null, 7, 9, 8, null]]", "restarted: {is_restarted}");
    }
}
