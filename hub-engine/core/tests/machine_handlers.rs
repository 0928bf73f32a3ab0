//! Handlers: what runs after the tasks of a job, with which verdict, and what a cancel, a deadline, a pause and a crash change.

mod support;

use std::time::Duration;

use hub_core::action::Assignment;
use hub_core::job::{Job, Limits, Phase};
use hub_core::machine::{Cancel, ControlError, Handlers, Remark, Repair, RepairError, Returned};
use hub_core::{JobId, JobStatus, TaskStatus};
use serde_json::json;
use support::Hub;

/// A job whose task is `work`, with these handlers.
fn job(on_failure: &str, finally: &str) -> String {
    format!(
        r#"{{"name": "j", "output": "_work.data", "on_failure": [{on_failure}], "finally": [{finally}],
            "tasks": [{{"name": "work"}}]}}"#
    )
}

const ALARM: &str = r#"{"name": "alarm", "args": ["_.failure"]}"#;
const CLEAN: &str = r#"{"name": "clean", "args": ["_.failure.status", "_work.status", "_work.data"]}"#;

fn names(tasks: &[Assignment]) -> Vec<&str> {
    tasks.iter().map(|task| &*task.name).collect()
}

/// The only task that is handed out.
fn one(hub: &mut Hub) -> Assignment {
    let mut tasks = hub.handed_out();
    assert_eq!(tasks.len(), 1, "{:?}", names(&tasks));
    tasks.remove(0)
}

fn ended(hub: &Hub, id: JobId) -> (JobStatus, Option<&str>) {
    let state = &hub.ended.get(&id).expect("the job has ended").state;
    (state.status, state.msg.as_deref())
}

/// Ends a task as told, with a crash of the dispatcher before or after it.
fn end(hub: &mut Hub, task: &Assignment, is_well: bool, crash: usize) {
    if crash == 1 {
        hub.crash();
    }
    if is_well {
        hub.succeed(task, "1")
    } else {
        hub.fail(task, "no")
    };
    if crash == 2 {
        hub.actions();
        hub.crash();
    }
}

#[test]
fn the_lists_run_one_after_the_other_as_the_verdict_says() {
    for crash in 0..3 {
        for is_well in [true, false] {
            let mut hub = Hub::new();
            let id = hub.submit(1, &job(ALARM, CLEAN));
            let work = one(&mut hub);
            assert_eq!(work.name.as_ref(), "work");
            if crash == 1 {
                hub.crash();
            }
            if is_well {
                hub.succeed(&work, "1")
            } else {
                hub.fail(&work, "no")
            };
            let mut next = one(&mut hub);
            if !is_well {
                assert_eq!(next.name.as_ref(), "alarm");
                let failure = json!([{"status": "FAILED", "count": 1, "msg": "1 of 1 tasks failed: \"work\": no",
                    "tasks": [{"name": "work", "status": "FAILED", "kind": null, "msg": "no"}]}]);
                assert_eq!(next.args.to_value(), failure);
                if crash == 2 {
                    hub.crash();
                }
                hub.succeed(&next, "1");
                next = one(&mut hub);
            }
            assert_eq!(next.name.as_ref(), "clean");
            let (verdict, data) = if is_well { ("SUCCESS", json!(1)) } else { ("FAILED", json!(null)) };
            assert_eq!(next.args.to_value(), json!([verdict, verdict, data]));
            let record = hub.machine.job(id).unwrap().record().to_value();
            assert_eq!(
                (&record["status"], &record["phase"], &record["verdict"]),
                (&json!("RUNNING"), &json!("finally"), &json!(verdict))
            );
            assert_eq!(record["tasks"][2]["handler"], "finally");
            if crash == 2 {
                hub.crash();
            }
            hub.succeed(&next, "1");
            assert!(hub.handed_out().is_empty());
            let stored = hub.ended[&id].clone();
            assert_eq!(stored.state.status.as_str(), verdict, "crash {crash}");
            assert_eq!(stored.state.output.map(|output| output.get().to_owned()), is_well.then(|| "1".to_owned()));
            let alarm = if is_well { TaskStatus::Skipped } else { TaskStatus::Success };
            assert_eq!(stored.tasks[1].status, alarm);
            let stats = hub.machine.stats();
            assert_eq!((stats.live_tasks, stats.live_bytes, stats.in_flight), (0, 0, 0));
        }
    }
}

#[test]
fn a_failing_finally_fails_a_success_and_changes_nothing_else() {
    for (is_well, crash) in [(true, 0), (true, 1), (true, 2), (false, 0)] {
        let mut hub = Hub::new();
        let id = hub.submit(1, &job("", CLEAN));
        let work = one(&mut hub);
        end(&mut hub, &work, is_well, 0);
        let clean = one(&mut hub);
        end(&mut hub, &clean, false, crash);
        hub.actions();
        let expected = if is_well {
            "HANDLER_FAILED: 1 of the 1 tasks of \"finally\" did not succeed; first: \"clean\": no"
        } else {
            "1 of 1 tasks failed: \"work\": no"
        };
        assert_eq!(ended(&hub, id), (JobStatus::Failed, Some(expected)), "{is_well}, crash {crash}");
        assert_eq!(hub.ended[&id].state.output, None);
        let first = hub.ended[&id].state.first_failure.as_ref().map(|first| first.task.to_string());
        assert_eq!(first, (!is_well).then(|| "work".to_owned()), "a handler is not why a job failed");
    }
}

#[test]
fn a_failing_on_failure_changes_nothing() {
    let mut hub = Hub::new();
    let id = hub.submit(1, &job(ALARM, CLEAN));
    let work = one(&mut hub);
    hub.fail(&work, "no");
    let alarm = one(&mut hub);
    hub.fail(&alarm, "no mail server");
    let clean = one(&mut hub);
    assert_eq!(clean.name.as_ref(), "clean");
    hub.succeed(&clean, "1");
    hub.actions();
    assert_eq!(ended(&hub, id), (JobStatus::Failed, Some("1 of 1 tasks failed: \"work\": no")));
}

#[test]
fn a_cancelled_job_runs_finally_if_it_had_begun() {
    for crash in [false, true] {
        for handlers in [false, true] {
            let mut hub = Hub::new();
            let id = hub.submit(1, &job(ALARM, CLEAN));
            let work = one(&mut hub);
            hub.machine.cancel(id, Cancel { handlers, ..Cancel::default() }, hub.now).unwrap();
            hub.actions();
            assert_eq!(hub.stored(id).state.status, JobStatus::Cancelling);
            if crash {
                hub.crash();
            }
            hub.machine.handle_returned(work.issue, Returned::Stopped, &"w1".into(), hub.now);
            let out = hub.handed_out();
            if handlers {
                assert!(out.is_empty());
            } else {
                assert_eq!(names(&out), ["clean"], "crash: {crash}");
                assert_eq!(out[0].args.to_value(), json!(["CANCELLED", "CANCELLED", null]));
                assert_eq!(hub.stored(id).state.status, JobStatus::Cancelling);
                assert_eq!(hub.machine.pause_job(id, Remark::default(), hub.now), Err(ControlError::Cancelling));
                // Cancelling again changes nothing.
                hub.cancel(id);
                hub.machine.cancel(id, Cancel { now: true, ..Cancel::default() }, hub.now).unwrap();
                if crash {
                    hub.actions();
                    hub.crash();
                }
                hub.succeed(&out[0], "1");
                hub.actions();
            }
            assert_eq!(ended(&hub, id).0, JobStatus::Cancelled);
            let clean = if handlers { TaskStatus::Skipped } else { TaskStatus::Success };
            assert_eq!(hub.statuses(id), [TaskStatus::Cancelled, TaskStatus::Skipped, clean]);
            assert_eq!(hub.next_due(), None, "no timer is left");
        }
    }
    let mut hub = Hub::new();
    let id = hub.submit(1, &job(ALARM, CLEAN).replace(r#""name": "j","#, r#""name": "j", "start_at": "1h","#));
    hub.cancel(id);
    assert!(hub.handed_out().is_empty());
    assert_eq!(ended(&hub, id).0, JobStatus::Cancelled);
    let why = "did not run, because the job was cancelled before it had begun";
    assert_eq!(hub.ended[&id].tasks[2].msg.as_deref(), Some(why));
}

#[test]
fn a_cancel_after_the_verdict_stops_on_failure_and_keeps_the_verdict() {
    for crash in [false, true] {
        let mut hub = Hub::new();
        let id = hub.submit(1, &job(ALARM, CLEAN));
        let work = one(&mut hub);
        hub.fail(&work, "no");
        let alarm = one(&mut hub);
        hub.cancel(id);
        hub.actions();
        assert_eq!(hub.stored(id).state.status, JobStatus::Cancelling);
        if crash {
            hub.crash();
        }
        hub.machine.handle_returned(alarm.issue, Returned::Stopped, &"w1".into(), hub.now);
        let clean = one(&mut hub);
        hub.machine.cancel(id, Cancel { handlers: true, ..Cancel::default() }, hub.now).unwrap();
        hub.actions();
        if crash {
            hub.crash();
        }
        hub.machine.handle_returned(clean.issue, Returned::Stopped, &"w1".into(), hub.now);
        hub.actions();
        assert_eq!(ended(&hub, id), (JobStatus::Failed, Some("1 of 1 tasks failed: \"work\": no")));
        assert_eq!(hub.statuses(id), [TaskStatus::Failed, TaskStatus::Cancelled, TaskStatus::Cancelled]);
    }
}

#[test]
fn handlers_run_after_a_deadline() {
    let mut hub = Hub::new();
    let id = hub.submit(1, &job(ALARM, "").replace(r#""name": "j","#, r#""name": "j", "deadline": "1m","#));
    one(&mut hub);
    // No worker serves the pool, so nothing has to be stopped.
    hub.pass(Duration::from_secs(60));
    let alarm = one(&mut hub);
    let msg = alarm.args.to_value()[0]["msg"].as_str().unwrap().to_owned();
    assert!(msg.starts_with("DEADLINE: "), "{msg}");
    hub.pass(Duration::from_secs(120));
    assert_eq!(hub.stored(id).tasks[1].status, TaskStatus::Submitted, "the deadline of the job is over");
    hub.succeed(&alarm, "1");
    hub.actions();
    assert_eq!(ended(&hub, id), (JobStatus::Failed, Some(&*msg)));
}

#[test]
fn each_list_has_a_deadline_of_its_own() {
    for crash in [false, true] {
        for (is_paused, is_served) in [(false, false), (true, false), (false, true), (true, true)] {
            let mut hub = Hub::new();
            let keys = r#""name": "j", "handler_deadline": "10m","#;
            let id = hub.submit(1, &job(ALARM, CLEAN).replace(r#""name": "j","#, keys));
            let work = one(&mut hub);
            hub.fail(&work, "no");
            let alarm = one(&mut hub);
            hub.pass(Duration::from_secs(500));
            if is_paused {
                hub.machine.pause_job(id, Remark::default(), hub.now).unwrap();
                hub.pass(Duration::from_secs(5000));
                hub.machine.resume_job(id, hub.now).unwrap();
            }
            hub.actions();
            if crash {
                hub.crash();
            }
            hub.pass(Duration::from_secs(99));
            hub.actions();
            assert!(hub.stored(id).state.details.as_ref().unwrap().handler_stop.is_none(), "paused: {is_paused}");
            if is_served {
                hub.worker("w1", &["alarm", "clean"]);
            }
            hub.pass(Duration::from_secs(1));
            let mut out = hub.handed_out();
            if is_served {
                assert!(out.is_empty(), "the worker may run it");
                assert!(hub.stored(id).state.details.as_ref().unwrap().handler_stop.is_some());
                if crash {
                    hub.crash();
                }
                hub.machine.handle_returned(alarm.issue, Returned::Stopped, &"w1".into(), hub.now);
                out = hub.handed_out();
            }
            let clean = out.remove(0);
            assert_eq!(hub.stored(id).state.status, JobStatus::Running, "it is not cancelled");
            hub.succeed(&clean, "1");
            hub.actions();
            assert_eq!(ended(&hub, id).0, JobStatus::Failed);
            assert_eq!(hub.statuses(id), [TaskStatus::Failed, TaskStatus::Cancelled, TaskStatus::Success]);
        }
    }
}

#[test]
fn a_finally_that_takes_too_long_fails_the_job() {
    let mut hub = Hub::new();
    let id = hub.submit(1, &job("", CLEAN));
    let work = one(&mut hub);
    hub.succeed(&work, "1");
    one(&mut hub);
    hub.pass(Duration::from_secs(3600));
    assert!(hub.handed_out().is_empty());
    let (status, msg) = ended(&hub, id);
    assert_eq!(status, JobStatus::Failed);
    assert!(msg.unwrap().contains("HANDLER_FAILED") && msg.unwrap().contains("DEADLINE"), "{msg:?}");
}

#[test]
fn handlers_are_tasks_with_every_feature() {
    let list = r#"{"name": "each", "for_each": "_.failure.tasks", "args": ["_.item.name"]},
        {"name": "never", "when": {"eq": ["_.failure.status", "SUCCESS"]}},
        {"name": "last", "args": ["_each.data"], "depends": ["never"], "trigger_rule": "all_done", "retry": 2},
        {"name": "saved", "recover": {"fallback": "_.failure.kind"}}"#;
    for crash in [false, true] {
        let mut hub = Hub::new();
        let id = hub.submit(1, &job(list, ""));
        let work = one(&mut hub);
        hub.fail(&work, "no");
        let out = hub.handed_out();
        assert_eq!(names(&out), ["saved", "each[0]"]);
        assert_eq!(out[1].args.to_value(), json!(["work"]));
        if crash {
            hub.crash();
        }
        hub.fail(&out[0], "no");
        hub.succeed(&out[1], "7");
        let last = one(&mut hub);
        assert_eq!(last.args.to_value(), json!([[7]]));
        hub.succeed(&last, "8");
        hub.actions();
        let statuses = hub.statuses(id);
        use TaskStatus::{Failed, Skipped, Success};
        assert_eq!(statuses, [Failed, Success, Skipped, Success, Failed]);
        assert_eq!(ended(&hub, id).0, JobStatus::Failed);
    }
}

#[test]
fn a_handler_waits_for_its_turn() {
    let mut hub = Hub::new();
    let id = hub.submit(1, &job(ALARM, CLEAN));
    let work = one(&mut hub);
    let snapshot = hub.machine.job(id).unwrap();
    let reason = "it is a task of \"on_failure\", which runs when the tasks before have ended";
    assert!(snapshot.waiting.contains(&(1, reason.to_owned())), "{:?}", snapshot.waiting);
    let explained = hub.machine.explain(id, Some("alarm")).unwrap().unwrap();
    assert_eq!(explained.tasks[0].explanation.text, reason);
    let skip = Repair { action: hub_core::details::RepairAction::Skip, data: None, by: None, reason: None };
    assert_eq!(hub.machine.repair(id.task(2), skip.clone(), hub.now), Err(RepairError::NotBegun));
    hub.machine.pause_job(id, Remark::default(), hub.now).unwrap();
    hub.succeed(&work, "1");
    assert!(hub.handed_out().is_empty(), "the job is paused");
    hub.machine.repair(id.task(2), skip, hub.now).unwrap();
    hub.actions();
    assert_eq!(ended(&hub, id).0, JobStatus::Success);
}

#[test]
fn a_job_whose_state_cannot_be_kept_runs_its_handlers() {
    let mut hub = Hub::new();
    let id = hub.submit(1, &job(ALARM, CLEAN));
    one(&mut hub);
    hub.machine.fail_job(id, "cannot be kept".into(), Handlers::Run, hub.now).unwrap();
    let alarm = one(&mut hub);
    assert_eq!(alarm.args.to_value()[0]["msg"], "cannot be kept");
    hub.machine.fail_job(id, "cannot be kept either".into(), Handlers::Run, hub.now).unwrap();
    let clean = one(&mut hub);
    hub.succeed(&clean, "1");
    hub.actions();
    assert_eq!(ended(&hub, id), (JobStatus::Failed, Some("cannot be kept either")));
    // Nothing runs for a job that is in no store.
    let id = hub.submit(2, &job(ALARM, CLEAN));
    one(&mut hub);
    hub.machine.fail_job(id, "cannot be kept".into(), Handlers::Skip, hub.now).unwrap();
    assert!(hub.handed_out().is_empty());
    assert_eq!(hub.statuses(id)[1..], [TaskStatus::Skipped; 2]);
    // A pause ends with the tasks.
    let id = hub.submit(3, &job("", CLEAN));
    one(&mut hub);
    hub.machine.pause_job(id, Remark::default(), hub.now).unwrap();
    hub.machine.fail_job(id, "cannot be kept".into(), Handlers::Run, hub.now).unwrap();
    assert_eq!(one(&mut hub).name.as_ref(), "clean");
    assert_eq!(hub.stored(id).state.status, JobStatus::Running);
    hub.machine.pause_job(id, Remark::default(), hub.now).unwrap();
    hub.actions();
    assert_eq!(hub.stored(id).state.status, JobStatus::Paused);
}

#[test]
fn a_cancel_in_finally_ends_a_pause_and_keeps_the_verdict() {
    for (crash, handlers) in [(false, false), (true, false), (false, true), (true, true)] {
        let mut hub = Hub::new();
        let id = hub.submit(1, &job("", &format!("{CLEAN}, {{\"name\": \"late\", \"depends\": [\"clean\"]}}")));
        let work = one(&mut hub);
        hub.succeed(&work, "1");
        let clean = one(&mut hub);
        hub.machine.pause_job(id, Remark::default(), hub.now).unwrap();
        if !handlers {
            hub.succeed(&clean, "1");
        }
        assert!(hub.handed_out().is_empty(), "it is paused");
        if crash {
            hub.crash();
        }
        let cancel = Cancel { handlers, reason: Some("enough".into()), ..Cancel::default() };
        assert_eq!(hub.machine.cancel(id, cancel, hub.now), Ok(JobStatus::Cancelling));
        if handlers {
            hub.machine.handle_returned(clean.issue, Returned::Stopped, &"w1".into(), hub.now);
            hub.actions();
            let expected = [TaskStatus::Success, TaskStatus::Cancelled, TaskStatus::Cancelled];
            assert_eq!(hub.statuses(id), expected);
            let why = "was stopped with the handlers of its job: the job was cancelled";
            assert_eq!(hub.stored(id).tasks[2].msg.as_deref(), Some(why));
        } else {
            let late = one(&mut hub);
            hub.succeed(&late, "1");
            hub.actions();
        }
        assert_eq!(ended(&hub, id), (JobStatus::Success, None), "the verdict stays: {crash} {handlers}");
        let reason = hub.ended[&id].state.details.as_ref().unwrap().cancel.clone().unwrap().reason;
        assert_eq!(reason.as_deref(), Some("enough"));
    }
}

#[test]
fn what_handlers_see_does_not_change() {
    let mut hub = Hub::new();
    let id = hub.submit(1, &job("", r#"{"name": "clean", "args": ["_.failure.msg"]}"#));
    let work = one(&mut hub);
    hub.succeed(&work, "1");
    let clean = one(&mut hub);
    assert_eq!(clean.args.to_value(), json!([null]));
    hub.fail(&clean, "no");
    hub.actions();
    let record = hub.ended[&id].record().to_value();
    assert_eq!(record["tasks"][1]["args"], json!([null]), "{record:#}");
}

#[test]
fn handlers_are_explained() {
    let mut hub = Hub::new();
    let keys = r#""name": "j", "deadline": "1h", "handler_deadline": "10m","#;
    let id = hub.submit(1, &job(ALARM, "").replace(r#""name": "j","#, keys));
    let work = one(&mut hub);
    hub.pass(Duration::from_secs(1000));
    let began = hub.now.wall;
    hub.fail(&work, "no");
    one(&mut hub);
    let explained = hub.machine.explain(id, None).unwrap().unwrap();
    let until = began.after(Duration::from_secs(600));
    assert_eq!(explained.text, format!("nothing holds the job as a whole; its handlers have to end by {until}"));
    hub.pass(Duration::from_secs(600));
    hub.actions();
    let alarm = hub.ended[&id].tasks[1].msg.clone().unwrap();
    assert!(alarm.contains("handlers of its job: DEADLINE"), "{alarm}");
}

#[test]
fn each_list_has_its_scope() {
    let problems = [
        (r#""output": "_clean.data""#, "", "", "refers to a task of \\\"finally\\\", which runs later"),
        ("", r#"{"name": "a", "args": ["_clean.data"]}"#, "", "refers to a task of \\\"finally\\\", which runs later"),
        ("", r#"{"name": "a", "depends": ["work"]}"#, "", "a handler runs after all of these tasks"),
        ("", r#"{"name": "work"}"#, "", "duplicate task name \\\"work\\\", first used by $.tasks[0]"),
        ("", r#"{"name": "a", "depends": ["b"]}, {"name": "b", "depends": ["a"]}"#, "$.on_failure[0]", "a → b → a"),
        ("", r#"{"name": "a", "trigger_rule": "one_failed", "args": ["_work.data"]}"#, "", "needs an upstream task"),
        (r#""on_failure": 7"#, "", "$.on_failure", "must be a list"),
        ("", r#"{"name": "a", "args": ["_.failure.mgs"]}"#, "$.on_failure[0].args[0]", "did you mean \\\"msg\\\"?"),
        (r#""handler_deadline": 0"#, "", "$.handler_deadline", "a duration is at least 1 ms"),
    ];
    for (keys, handler, path, message) in problems {
        let lists = if keys.contains("on_failure") { String::new() } else { format!(r#","on_failure": [{handler}]"#) };
        let keys = if keys.is_empty() { String::new() } else { format!(",{keys}") };
        let text = format!(
            r#"{{"name": "j", "tasks": [{{"name": "work"}}], "finally": [{{"name": "clean"}}] {lists} {keys}}}"#
        );
        let problems = Job::parse(&text, &Limits::default()).expect_err(&text).to_string();
        let shown = problems.replace('"', "\\\"");
        assert!(shown.contains(message) && problems.contains(path), "{text}: {problems}");
    }
    let missing = r#"{"name": "alarm", "args": ["_.failure.tasks.1.name"]}"#;
    let mut hub = Hub::new();
    let id = hub.submit(1, &job(missing, ""));
    let work = one(&mut hub);
    hub.fail(&work, "no");
    hub.actions();
    let msg = hub.ended[&id].tasks[1].msg.clone().unwrap();
    assert!(msg.contains("cannot be filled from _.failure"), "{msg}");
    let task = r#"{"name": "j", "tasks": [{"name": "work", "args": ["_.failure.msg"]}]}"#;
    assert!(Job::parse(task, &Limits::default()).unwrap_err().to_string().contains("has failed: it stands only in"));
    let early = r#"{"name": "a", "trigger_rule": "always", "args": ["_work.data", "_.failure", "_.job.id"]}"#;
    let parsed = support::parse(&job(early, CLEAN));
    assert_eq!([0, 1, 2].map(|at| parsed.phase(at)), Phase::ALL);
    assert_eq!((parsed.spec(1).upstream().len(), &*parsed.reads(1)), (0, &[0][..]));
    let many = vec![r#"{"name": "x"}"#; 1001].join(",");
    let problems = Job::parse(&job(&many, ""), &Limits::default()).unwrap_err().to_string();
    assert!(problems.contains("the list has 1001 tasks, the limit for handlers is 1000"), "{problems}");
}
