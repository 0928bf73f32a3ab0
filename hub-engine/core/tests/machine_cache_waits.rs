//! Tasks with a cache that compute the same at the same time: which one runs, and who waits for whom, also after a crash.

mod support;

use std::sync::Arc;
use std::time::Duration;

use hub_core::action::{Action, Assignment, Change};
use hub_core::details::RepairAction;
use hub_core::machine::{Outcome, Repair, Returned, Update, Verdict};
use hub_core::{JobId, JobStatus, TaskStatus};
use serde_json::json;
use support::cache::{end_as, from, job, out, record, serve, served, succeed};
use support::{Hub, json};

/// How a task ends that is handed out.
type End<'e> = &'e dyn Fn(&mut Hub, JobId, &Assignment);

#[test]
fn one_of_equal_tasks_runs_and_the_others_wait_for_it() {
    let mut hub = served();
    let (first, task) = out(&mut hub, 1, &job(r#""args": [1]"#));
    let waiting: Vec<JobId> = (2..5).map(|number| hub.submit(number, &job(r#""args": [1]"#))).collect();
    assert!(hub.handed_out().is_empty());
    let explained = hub.machine.explain(waiting[0], Some("a")).unwrap().unwrap();
    let text = &explained.tasks[0].explanation.text;
    assert!(text.contains(&format!("the result of the task \"a\" of job {first}, which is SUBMITTED")), "{text}");
    let held =
        explained.tasks[0].explanation.gates.iter().find(|gate| gate.state == hub_core::explain::GateState::Holds);
    assert_eq!(held.map(|gate| gate.gate), Some(hub_core::explain::Gate::Cache));
    let shown: serde_json::Value = serde_json::from_str(hub.machine.job(waiting[0]).unwrap().record().get()).unwrap();
    assert_eq!(shown["tasks"][0]["waiting_reason"], json!(text));
    hub.machine.handle_started(&"w1".into(), &[task.issue], hub.now);
    assert!(hub.handed_out().is_empty(), "it still leads");
    succeed(&mut hub, &task, "5");
    assert!(hub.handed_out().is_empty());
    for job in waiting {
        assert_eq!((hub.stored(job).state.status, from(&hub, job, 0).unwrap().job), (JobStatus::Success, first));
    }
    assert_eq!(hub.kept_results.len(), 1);
}

#[test]
fn the_next_by_priority_leads_when_the_leader_ends_without_success() {
    let fail = |hub: &mut Hub, _: JobId, task: &Assignment| assert_eq!(hub.fail(task, "no"), Verdict::Applied);
    let cancel = |hub: &mut Hub, job: JobId, task: &Assignment| {
        hub.cancel(job);
        hub.machine.handle_returned(task.issue, Returned::Stopped, &"w1".into(), hub.now);
    };
    let give_back = |hub: &mut Hub, job: JobId, task: &Assignment| {
        hub.machine.pause_job(job, hub_core::machine::Remark::default(), hub.now).unwrap();
        hub.machine.handle_returned(task.issue, Returned::Draining, &"w1".into(), hub.now);
    };
    let lose = |hub: &mut Hub, job: JobId, task: &Assignment| {
        hub.machine.handle_started(&"w1".into(), &[task.issue], hub.now);
        hub.machine.pause_job(job, hub_core::machine::Remark::default(), hub.now).unwrap();
        hub.pass(Duration::from_secs(60));
        serve(hub, "w1", "1");
    };
    let ends: [End<'_>; 4] = [&fail, &cancel, &give_back, &lose];
    for (at, end) in ends.into_iter().enumerate() {
        for crashes in [false, true] {
            let mut hub = served();
            let (first, task) = out(&mut hub, 1, &job(r#""args": [1]"#));
            let low = hub.submit(2, &job(r#""args": [1], "priority": 1"#));
            let high = hub.submit(3, &job(r#""args": [1], "priority": 2"#));
            assert!(hub.handed_out().is_empty());
            if crashes {
                hub.machine.handle_published(task.issue, hub_core::machine::Published::Confirmed, hub.now);
                hub.actions();
                hub.crash();
                serve(&mut hub, "w1", "1");
                assert!(hub.handed_out().is_empty(), "the leader is still out");
            }
            end(&mut hub, first, &task);
            let next = hub.handed_out();
            assert_eq!(next.iter().map(|task| task.job).collect::<Vec<_>>(), [high], "{at} {crashes}");
            succeed(&mut hub, &next[0], "1");
            hub.actions();
            assert_eq!((hub.stored(low).state.status, from(&hub, low, 0).unwrap().job), (JobStatus::Success, high));
        }
    }
}

#[test]
fn a_retried_leader_takes_the_result_of_the_next_one() {
    let mut hub = served();
    let retry = r#""args": [1], "retry": {"maximum_attempts": 2, "initial_interval": 1, "jitter": 0}"#;
    let (first, task) = out(&mut hub, 1, &job(retry));
    let second = hub.submit(2, &job(retry));
    hub.actions();
    hub.fail(&task, "no");
    let next = hub.handed_out().remove(0);
    assert_eq!(next.job, second);
    succeed(&mut hub, &next, "7");
    hub.actions();
    hub.pass(Duration::from_secs(1));
    assert!(hub.handed_out().is_empty());
    let task = &record(&hub, first)["tasks"][0];
    assert_eq!((&task["status"], &task["data"], task.get("msg")), (&json!("SUCCESS"), &json!(7), None));
    assert_eq!(
        (&task["cached_from"]["job"], task["attempts"].as_array().unwrap().len()),
        (&json!(second.to_string()), 1)
    );
}

#[test]
fn a_crash_repeats_what_was_not_committed_and_nothing_else() {
    let text = job(r#""args": [1]"#);
    // Nothing of the success is committed: the worker reports it again.
    let mut hub = served();
    let (_, task) = out(&mut hub, 1, &text);
    succeed(&mut hub, &task, "1");
    hub.crash();
    serve(&mut hub, "w1", "1");
    let second = hub.submit(2, &text);
    assert_eq!(hub.handed_out().iter().map(|again| again.issue).collect::<Vec<_>>(), [task.issue], "published again");
    succeed(&mut hub, &task, "1");
    hub.actions();
    assert_eq!(hub.stored(second).state.status, JobStatus::Success);

    // The success and the result are one commit.
    let mut hub = served();
    let (first, task) = out(&mut hub, 1, &text);
    succeed(&mut hub, &task, "1");
    let actions = hub.actions();
    let ends = |change: &Change| match change {
        Change::TaskChanged { state, .. } => state.status == TaskStatus::Success,
        Change::ResultKept { kept, .. } => kept.is_some(),
        _ => false,
    };
    assert_eq!(actions.iter().filter(|action| matches!(action, Action::Persist(change) if ends(change))).count(), 2);
    hub.crash();
    // Before a worker is known, the content is not known.
    let second = hub.submit(2, &text);
    assert!(hub.handed_out().is_empty());
    assert_eq!(hub.statuses(second), [TaskStatus::Pending]);
    serve(&mut hub, "w1", "1");
    // The hit is not committed.
    let mut lost = Vec::new();
    hub.machine.poll_actions(hub.now, &mut lost);
    assert!(!lost.is_empty());
    hub.crash();
    serve(&mut hub, "w1", "1");
    assert!(hub.handed_out().is_empty());
    assert_eq!((hub.stored(second).state.status, from(&hub, second, 0).unwrap().job), (JobStatus::Success, first));
}

#[test]
fn a_refresh_runs_beside_a_leader_and_its_result_counts() {
    let mut hub = served();
    let (_, leader) = out(&mut hub, 1, &job(r#""args": [1]"#));
    let refresh = job(r#""args": [1]"#).replace("1h\"", "1h\", \"refresh\": true");
    let (_, task) = out(&mut hub, 2, &refresh);
    let waits = hub.submit(3, &job(r#""args": [1]"#));
    assert!(hub.handed_out().is_empty());
    succeed(&mut hub, &task, "2");
    assert!(hub.handed_out().is_empty());
    assert_eq!(hub.statuses_now(waits), [TaskStatus::Pending], "it waits for the leader");
    hub.fail(&leader, "no");
    assert!(hub.handed_out().is_empty());
    assert_eq!(hub.stored(waits).tasks[0].data.as_ref().unwrap().get(), "2");
    let (_, task) = out(&mut hub, 4, &refresh);
    let waits = hub.submit(5, &refresh);
    assert_eq!(hub.handed_out().len(), 1, "a refresh waits for none");
    succeed(&mut hub, &task, "4");
    hub.actions();
    assert_eq!(hub.statuses_now(waits), [TaskStatus::Submitted]);
}

#[test]
fn a_launched_task_leads_until_its_result_is_posted() {
    for crashes in [false, true] {
        let mut hub = served();
        let (first, task) = out(&mut hub, 1, &job(r#""args": [1]"#));
        end_as(&mut hub, &task, Outcome::Launched { data: json("null") }, Some("1"));
        let second = hub.submit(2, &job(r#""args": [1]"#));
        assert!(hub.handed_out().is_empty());
        if crashes {
            hub.crash();
            serve(&mut hub, "w1", "1");
            assert!(hub.handed_out().is_empty());
        }
        let update = Update { status: TaskStatus::Success, data: Some(json("9")), msg: None };
        hub.machine.post_result(first.task(0), update, hub.now).unwrap();
        assert!(hub.handed_out().is_empty());
        let taken = &hub.stored(second).tasks[0];
        assert_eq!((taken.status, taken.data.as_ref().unwrap().get()), (TaskStatus::Success, "9"));
    }
}

#[test]
fn a_paused_job_and_a_paused_pool_take_results_but_do_not_run() {
    let mut hub = served();
    let text = job(r#""args": [1]"#);
    let (_, task) = out(&mut hub, 1, &text);
    let remark = hub_core::machine::Remark::default;
    let second = hub.submit(2, &text);
    hub.machine.pause_job(second, remark(), hub.now).unwrap();
    hub.actions();
    hub.fail(&task, "no");
    assert!(hub.handed_out().is_empty(), "a paused task does not lead");
    hub.machine.pause_pool("default".into(), remark(), hub.now).unwrap();
    let third = hub.submit(3, &text);
    assert!(hub.handed_out().is_empty());
    hub.machine.resume_pool(&Arc::from("default"), hub.now);
    let task = hub.handed_out().remove(0);
    assert_eq!(task.job, third);
    succeed(&mut hub, &task, "3");
    hub.machine.pause_pool("default".into(), remark(), hub.now).unwrap();
    let fourth = hub.submit(4, &text);
    assert!(hub.handed_out().is_empty());
    assert_eq!(hub.stored(fourth).state.status, JobStatus::Success);
    hub.machine.resume_job(second, hub.now).unwrap();
    assert!(hub.handed_out().is_empty());
    assert_eq!(hub.stored(second).state.status, JobStatus::Success);
}

#[test]
fn a_waiting_task_is_cancelled_times_out_and_is_skipped_like_any_other() {
    let mut hub = served();
    let (_, leader) = out(&mut hub, 1, &job(r#""args": [1]"#));
    let cancelled = hub.submit(2, &job(r#""args": [1]"#));
    let late = hub.submit(3, &job(r#""args": [1], "timeout": {"schedule_to_start": "2s"}"#));
    let skipped = hub.submit(4, &job(r#""args": [1]"#));
    hub.actions();
    hub.cancel(cancelled);
    hub.actions();
    let repair = Repair { action: RepairAction::Skip, data: None, by: None, reason: None };
    hub.machine.repair(skipped.task(0), repair, hub.now).unwrap();
    hub.pass(Duration::from_secs(2));
    hub.actions();
    let status = |job| hub.stored(job).tasks[0].status;
    assert_eq!(
        [cancelled, late, skipped].map(status),
        [TaskStatus::Cancelled, TaskStatus::Failed, TaskStatus::Skipped]
    );
    let why = hub.stored(late).tasks[0].msg.clone().unwrap();
    assert!(why.starts_with("the task waited for the result of an equal task"), "{why}");
    hub.fail(&leader, "no");
    assert!(hub.handed_out().is_empty());
    assert_eq!((hub.machine.live(), hub.machine.stats().ready), ((0, 0), 0));
}

#[test]
fn the_limits_of_a_task_that_waits_for_an_equal_one_go_on_while_its_pool_is_paused() {
    let mut hub = served();
    let (_, leader) =
        out(&mut hub, 1, r#"{"name": "j", "tasks": [{"name": "a", "task_name": "m", "cache": {"ttl": "1h"}}]}"#);
    let waiting = hub.submit(
        2,
        r#"{"name": "j", "tasks": [{"name": "fails", "task_name": "m"},
            {"name": "a", "task_name": "m", "depends": ["fails"], "trigger_rule": "all_done", "cache": {"ttl": "1h"},
             "timeout": {"schedule_to_close": "1m"}}]}"#,
    );
    let fails = hub.handed_out().remove(0);
    hub.machine.pause_pool("default".into(), hub_core::machine::Remark::default(), hub.now).unwrap();
    hub.fail(&fails, "no");
    assert!(hub.handed_out().is_empty());
    hub.pass(Duration::from_secs(61));
    hub.actions();
    assert_eq!(hub.stored(waiting).tasks[1].status, TaskStatus::Failed);
    succeed(&mut hub, &leader, "1");
    hub.actions();
    assert_eq!(hub.machine.live(), (0, 0));
}

#[test]
fn many_equal_tasks_are_looked_at_over_several_turns() {
    let mut hub = served();
    let count = 25_000;
    let text = format!(
        r#"{{"name": "j", "tasks": [{{"name": "a", "task_name": "m", "for_each": {count}, "cache": {{"ttl": "1h"}}}}]}}"#
    );
    let job = hub.submit(1, &text);
    let task = hub.handed_out().remove(0);
    hub.fail(&task, "no");
    let next = hub.handed_out();
    assert_eq!(next.len(), 1);
    succeed(&mut hub, &next[0], "1");
    let mut turns = 0;
    loop {
        turns += 1;
        let changes = hub.turn().iter().filter(|action| matches!(action, Action::Persist(_))).count();
        assert!(changes <= 30_000, "one turn makes {changes} changes");
        if !hub.machine.wants_turn() {
            break;
        }
    }
    assert!(turns > 2, "{turns}");
    let counts = hub.stored(job).tasks[0].details.as_ref().unwrap().rare().items.unwrap();
    assert_eq!((counts.success, counts.failed), (count - 1, 1));
}

/// The turns until all is done, and the tasks that were handed out in them.
fn turns(hub: &mut Hub) -> (u32, Vec<Assignment>) {
    let (mut turns, mut out) = (0, Vec::new());
    loop {
        turns += 1;
        out.extend(hub.turn().into_iter().filter_map(|action| match action {
            Action::Publish(task) => Some(*task),
            _ => None,
        }));
        if !hub.machine.wants_turn() {
            return (turns, out);
        }
    }
}

#[test]
fn the_end_of_a_leader_costs_as_much_as_one_task_whatever_waits_for_it() {
    let mut hub = served();
    let count = 24;
    let text = format!(
        r#"{{"name": "j", "tasks": [{{"name": "big", "task_name": "m"}},
            {{"name": "a", "task_name": "m", "for_each": {count}, "args": ["_big.data"], "cache": {{"ttl": "1h"}}}}]}}"#
    );
    let job = hub.submit(1, &text);
    let big = hub.handed_out().remove(0);
    hub.succeed(&big, &json!("x".repeat(1 << 20)).to_string());
    let (all, mut out) = turns(&mut hub);
    assert!(all > 5, "each task is looked at once: {all} turns");
    for _ in 1..count {
        assert_eq!(out.len(), 1);
        hub.fail(&out.remove(0), "no");
        let one;
        (one, out) = turns(&mut hub);
        assert!(one < 5, "{one} turns");
    }
    succeed(&mut hub, &out[0], "1");
    hub.actions();
    assert_eq!((hub.stored(job).state.status, hub.machine.live()), (JobStatus::Failed, (0, 0)));
}

#[test]
fn a_task_that_was_chosen_to_be_next_and_is_not_handed_out_holds_nobody_up() {
    type GiveUp = fn(&mut Hub, JobId);
    let give_ups: [GiveUp; 4] = [
        |hub, job| hub.cancel(job),
        |hub, job| hub.machine.pause_job(job, hub_core::machine::Remark::default(), hub.now).unwrap(),
        |hub, job| {
            let repair = Repair { action: RepairAction::Skip, data: None, by: None, reason: None };
            hub.machine.repair(job.task(0), repair, hub.now).unwrap();
        },
        |hub, job| {
            hub.machine.fail_job(job, "no".into(), hub_core::machine::Handlers::Skip, hub.now).unwrap();
        },
    ];
    for (at, give_up) in give_ups.into_iter().enumerate() {
        let mut hub = served();
        let text = job(r#""args": [1]"#);
        let (_, leader) = out(&mut hub, 1, &text);
        let chosen = hub.submit(2, &text);
        hub.actions();
        let last = hub.submit(3, &text);
        hub.actions();
        // It cannot be handed out while its pool is paused.
        hub.machine.pause_pool("default".into(), hub_core::machine::Remark::default(), hub.now).unwrap();
        hub.fail(&leader, "no");
        assert!(hub.handed_out().is_empty());
        let waits = hub.machine.explain(last, Some("a")).unwrap().unwrap().tasks[0].explanation.text.clone();
        assert!(waits.contains(&format!("of job {chosen}")), "{waits}");
        give_up(&mut hub, chosen);
        hub.machine.resume_pool(&Arc::from("default"), hub.now);
        let out = hub.handed_out();
        assert_eq!(out.iter().map(|task| task.job).collect::<Vec<_>>(), [last], "{at}");
    }
}

#[test]
fn a_task_that_was_chosen_to_be_next_and_takes_a_result_wakes_the_others() {
    let mut hub = served();
    let mut other = hub.worker("w2", &["m"]);
    other.pools = vec!["gpu".into()];
    other.contents = [("m".into(), support::cache::content("1"))].into();
    hub.machine.handle_heartbeat(other, hub.now);
    let text = job(r#""args": [1]"#);
    let (_, leader) = out(&mut hub, 1, &text);
    let waiting = [2, 3, 4].map(|number| hub.submit(number, &text));
    hub.actions();
    hub.machine.pause_pool("default".into(), hub_core::machine::Remark::default(), hub.now).unwrap();
    hub.fail(&leader, "no");
    assert!(hub.handed_out().is_empty());
    // The first of them is in the queue of its pool. A task of another pool has the result meanwhile.
    let (_, refreshed) = out(
        &mut hub,
        5,
        &text
            .replace(r#""ttl": "1h""#, r#""ttl": "1h", "refresh": true"#)
            .replace(r#""args""#, r#""pool": "gpu", "args""#),
    );
    succeed(&mut hub, &refreshed, "5");
    hub.actions();
    hub.machine.resume_pool(&Arc::from("default"), hub.now);
    assert!(hub.handed_out().is_empty());
    assert_eq!(waiting.map(|job| hub.stored(job).state.status), [JobStatus::Success; 3]);
}
