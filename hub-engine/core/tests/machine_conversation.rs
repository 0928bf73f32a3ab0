//! Facts go into the machine, and the complete list of its actions is compared.

mod support;

use std::time::Duration;

use hub_core::machine::{Cancel, DeadLetter, Outcome, Published, Refused, Returned, Submitted, Update, Verdict};
use hub_core::state::ErrorKind;
use hub_core::{JobStatus, TaskStatus};
use support::{Hub, SUM_PRODUCT, first_issue, id, json, parse, told};

#[test]
fn runs_the_manuals_job_from_submit_to_output() {
    let mut hub = Hub::new();
    let job = hub.submit(1, SUM_PRODUCT);
    assert_eq!(
        told(&hub.actions()),
        [
            "keep job",
            "job is PENDING",
            "keep job RUNNING",
            "job is RUNNING",
            "add is SUBMITTED",
            "keep task 0 SUBMITTED",
            "publish add [1, 2]1",
        ]
    );
    let add = first_issue(&hub, job, 0);
    assert_eq!(hub.succeed(&add, "3"), Verdict::Applied);
    assert_eq!(
        told(&hub.actions()),
        [
            "add is SUCCESS",
            "keep task 0 SUCCESS",
            "multiply_this is SUBMITTED",
            "keep task 1 SUBMITTED",
            "publish multiply [3, 2]1",
        ]
    );
    let multiply = first_issue(&hub, job, 1);
    hub.succeed(&multiply, "6");
    assert_eq!(
        told(&hub.actions()),
        ["multiply_this is SUCCESS", "keep task 1 SUCCESS", "keep job SUCCESS", "job is SUCCESS"]
    );
    assert!(!hub.machine.is_live(job));
    let record: serde_json::Value = serde_json::from_str(hub.stored(job).record().get()).unwrap();
    assert_eq!(record["output"], serde_json::json!([6]));
    assert_eq!(record["task_name"], "");
    assert_eq!(record["tasks"][0]["task_name"], "add");
    assert_eq!(record["tasks"][0]["data"], 3);
    assert_eq!(record["tasks"][1]["args"], serde_json::json!([3, 2]));
    assert_eq!(record["tasks"][1]["depends"], serde_json::json!(["add"]));
    assert_eq!(record["tasks"][1]["parent_id"], job.to_string());
    assert!(told(&hub.actions()).is_empty(), "and nothing else was to be done");
}

#[test]
fn a_failure_stops_only_dependent_tasks() {
    let mut hub = Hub::new();
    let job = hub.submit(
        1,
        r#"{"name": "branches", "tasks": [{"name": "a"}, {"name": "b", "depends": ["a"]},
            {"name": "c", "depends": ["b"]}, {"name": "d"}, {"name": "e", "depends": ["d"]}]}"#,
    );
    let tasks = hub.handed_out();
    assert_eq!(tasks.len(), 2, "all roots start at once");
    hub.fail(&tasks[0], "boom");
    hub.succeed(&tasks[1], "1");
    let last = hub.handed_out();
    assert_eq!(&*last[0].name, "e");
    hub.succeed(&last[0], "2");
    hub.actions();
    use TaskStatus::{Failed, Success, UpstreamFailed};
    assert_eq!(hub.statuses(job), [Failed, UpstreamFailed, UpstreamFailed, Success, Success]);
    let stored = hub.stored(job);
    assert_eq!(stored.state.status, JobStatus::Failed);
    assert_eq!(stored.tasks[0].msg.as_deref(), Some("boom"));
    assert_eq!(stored.tasks[0].data, None);
    assert!(stored.tasks[2].msg.as_deref().unwrap().contains("\"a\""));
}

#[test]
fn every_report_counts_once() {
    let mut hub = Hub::new();
    let job = hub.submit(1, r#"{"name": "j", "tasks": [{"name": "a"}, {"name": "b"}]}"#);
    let tasks = hub.handed_out();
    assert_eq!(hub.succeed(&tasks[0], "1"), Verdict::Applied);
    assert!(!hub.actions().is_empty());
    assert_eq!(hub.succeed(&tasks[0], "2"), Verdict::Stale);
    assert_eq!(hub.fail(&tasks[0], "no"), Verdict::Stale);
    let mut other = tasks[1].clone();
    other.issue.incarnation += 1;
    assert_eq!(hub.succeed(&other, "2"), Verdict::Stale, "an issue of another incarnation");
    for _ in 0..2 {
        hub.machine.handle_published(tasks[1].issue, Published::Confirmed, hub.now);
        hub.machine.handle_started(&"w1".into(), &[tasks[1].issue], hub.now);
    }
    let said = told(&hub.actions());
    assert_eq!(said, ["keep task 1 SUBMITTED", "b is RUNNING", "keep task 1 RUNNING"]);
    assert_eq!(hub.machine.submit(job, hub.stored(job).job.clone(), hub.now), Ok(Submitted::Known));
    assert_eq!(hub.machine.submit(job, parse(SUM_PRODUCT), hub.now), Err(Refused::IdTaken));
    let near = hub_core::JobId::new(job.task(3).uuid());
    assert_eq!(hub.machine.submit(near, parse(SUM_PRODUCT), hub.now), Err(Refused::IdTaken));
    assert!(hub.actions().is_empty());
}

#[test]
fn a_missing_value_fails_the_task_with_the_path() {
    let mut hub = Hub::new();
    let job = hub.submit(
        1,
        r#"{"name": "j", "tasks": [{"name": "a"}, {"name": "b", "args": ["_a.data.ip.0"]}, {"name": "c", "args": ["_a.data.none"]}]}"#,
    );
    let a = hub.handed_out().remove(0);
    hub.succeed(&a, r#"{"ip": [], "none": null}"#);
    let c = hub.handed_out().remove(0);
    assert_eq!(c.args, json("[null]"), "null is a value");
    let b = &hub.stored(job).tasks[1];
    assert_eq!(b.error.as_ref().unwrap().kind, ErrorKind::MissingValue);
    let msg = b.msg.as_deref().unwrap();
    assert!(msg.contains("\"0\"") && msg.contains(".data.ip is a list of 0"), "{msg}");
}

#[test]
fn an_output_that_cannot_be_built_fails_the_job() {
    let mut hub = Hub::new();
    let job = hub.submit(1, r#"{"name": "j", "tasks": [{"name": "a"}], "output": {"x": "_a.data.y"}}"#);
    let a = hub.handed_out().remove(0);
    hub.succeed(&a, "1");
    hub.actions();
    assert_eq!(hub.stored(job).state.status, JobStatus::Failed);
    assert!(hub.stored(job).state.msg.as_deref().unwrap().contains("a number"));
}

#[test]
fn handling_a_fact_is_idempotent() {
    let mut hub = Hub::new();
    let text = r#"{"name": "j", "tasks": [{"name": "a"}, {"name": "b"}, {"name": "c"}, {"name": "d"}, {"name": "e"},
        {"name": "f"}, {"name": "g"}, {"name": "h"}]}"#;
    let job = hub.submit(1, text);
    let tasks = hub.handed_out();
    let of = |index: usize| tasks[index].issue;
    let mut report = hub.worker("w1", &["a"]);
    report.held = vec![of(7)];
    let result = |index: usize, outcome: Outcome| hub_core::machine::TaskResult {
        progress: None,
        content: None,
        defaults: None,
        issue: tasks[index].issue,
        outcome,
        log: None,
        worker: "w1".into(),
        took: Duration::from_millis(2),
    };
    type Event<'a> = Box<dyn Fn(&mut Hub) + 'a>;
    let published = |index: usize, ended: Published| -> Event<'_> {
        Box::new(move |hub| hub.machine.handle_published(of(index), ended.clone(), hub.now))
    };
    let returned = |index: usize, why| -> Event<'_> {
        Box::new(move |hub| _ = hub.machine.handle_returned(of(index), why, &"w1".into(), hub.now))
    };
    let ended = |index: usize, outcome: Outcome| -> Event<'_> {
        Box::new(move |hub| _ = hub.machine.handle_result(result(index, outcome.clone()), hub.now))
    };
    let update = Update { status: TaskStatus::Success, data: None, msg: None };
    let late = hub.now.after(Duration::from_secs(60));
    let events: Vec<(&str, Event<'_>)> = vec![
        ("submit", Box::new(|hub| _ = hub.machine.submit(job, parse(text), hub.now))),
        ("confirmed", published(0, Published::Confirmed)),
        ("success", ended(0, Outcome::Success { data: json("1") })),
        ("failure", ended(1, Outcome::Failed { msg: "no".into(), error: None })),
        ("launch", ended(2, Outcome::Launched { data: json("1") })),
        ("posted", Box::new(|hub| _ = hub.machine.post_result(of(2).task, update.clone(), hub.now))),
        ("rejected", published(3, Published::Rejected("no".into()))),
        ("dead letter", Box::new(|hub| _ = hub.machine.handle_dead_letter(of(4), DeadLetter::DeliveryLimit, hub.now))),
        ("unknown module", returned(5, Returned::UnknownModule)),
        ("started", Box::new(|hub| hub.machine.handle_started(&"w2".into(), &[of(6)], hub.now))),
        ("heartbeat", Box::new(|hub| _ = hub.machine.handle_heartbeat(report.clone(), hub.now))),
        ("left", Box::new(|hub| hub.machine.handle_worker_left(&"w1".into()))),
        ("link down", Box::new(|hub| hub.machine.handle_link(false, hub.now))),
        ("link up", Box::new(|hub| hub.machine.handle_link(true, hub.now))),
        (
            "timeout",
            Box::new(|hub| {
                hub.now = late;
                hub.machine.handle_timeout(late);
            }),
        ),
        ("unroutable", published(7, Published::Unroutable)),
        ("cancel", Box::new(|hub| _ = hub.machine.cancel(job, Cancel::default(), hub.now))),
    ];
    for (name, event) in &events {
        event(&mut hub);
        hub.actions();
        let before = (hub.machine.job(job).map(|job| (job.state, job.tasks)), hub.next_due());
        event(&mut hub);
        assert!(told(&hub.actions()).is_empty(), "{name} was done twice");
        let after = (hub.machine.job(job).map(|job| (job.state, job.tasks)), hub.next_due());
        assert_eq!(before, after, "{name} counted twice");
    }
    assert_eq!(hub.stored(job).state.status, JobStatus::Cancelling);
    hub.pass(Duration::from_secs(200));
    hub.actions();
    assert_eq!(hub.stored(job).state.status, JobStatus::Cancelled);
    // And all facts once more, for a job that has ended.
    for (name, event) in events.iter().filter(|(name, _)| !matches!(*name, "submit" | "heartbeat")) {
        event(&mut hub);
        assert!(told(&hub.actions()).is_empty(), "{name} was done after the end");
    }
}

#[test]
fn times_come_from_the_dispatcher_and_durations_from_workers() {
    let mut hub = Hub::new();
    let job = hub.submit(1, r#"{"name": "j", "tasks": [{"name": "a"}, {"name": "b"}]}"#);
    let tasks = hub.handed_out();
    hub.pass(Duration::from_secs(10));
    for (task, took) in tasks.iter().zip([2_000, 60_000]) {
        let result = hub_core::machine::TaskResult {
            progress: None,
            content: None,
            defaults: None,
            issue: task.issue,
            outcome: Outcome::Success { data: json("1") },
            log: Some("said".into()),
            worker: "w1".into(),
            took: Duration::from_millis(took),
        };
        hub.machine.handle_result(result, hub.now);
    }
    hub.actions();
    let tasks = &hub.stored(job).tasks;
    assert_eq!(tasks[0].ended_at, Some(hub.now.wall));
    assert_eq!(tasks[0].started_at, Some(hub.now.wall.before(Duration::from_secs(2))));
    assert_eq!(tasks[1].started_at, tasks[1].submitted_at, "a task cannot start before it is handed out");
    assert_eq!(hub.stored(job).state.ended_at, Some(hub.now.wall));
}

#[test]
fn reports_of_unknown_tasks_differ_from_late_reports() {
    let mut hub = Hub::new();
    hub.submit(1, r#"{"name": "j", "tasks": [{"name": "a"}, {"name": "b"}]}"#);
    let tasks = hub.handed_out();
    let mut unknown = tasks[0].clone();
    unknown.issue.task = id(9).task(0);
    assert_eq!(hub.succeed(&unknown, "1"), Verdict::Unknown);
    unknown.issue.task = id(1).task(2);
    assert_eq!(hub.succeed(&unknown, "1"), Verdict::Unknown, "the job has two tasks");
    hub.succeed(&tasks[0], "1");
    assert_eq!(hub.succeed(&tasks[0], "1"), Verdict::Stale);
    // A confirm after the result is not a late report, because the two are not ordered.
    hub.machine.handle_published(tasks[0].issue, Published::Confirmed, hub.now);
    assert_eq!(hub.machine.stats().stale, 3);
}
