//! Tasks that are tried again after a failure, that are held after the last one, and what of that survives a crash.

mod support;

use std::sync::Arc;
use std::time::Duration;

use hub_core::action::Assignment;
use hub_core::details::RepairAction;
use hub_core::machine::{DeadLetter, Outcome, Posted, Repair, RepairError, Settings, TaskResult, Update};
use hub_core::state::{ErrorKind, RetryAdvice, TaskError, TaskState};
use hub_core::{JobId, JobStatus, Json, TaskStatus};
use support::Hub;

/// The longest wait of [`FLAKY`].
const WAIT: Duration = Duration::from_secs(4);
/// Two tasks, of which the first is tried up to three times.
const FLAKY: &str = r#"{"name": "j", "tasks": [
    {"name": "a", "retry": {"maximum_attempts": 3, "initial_interval": "2s", "jitter": 0.5}},
    {"name": "b", "args": ["_a.data"]}], "output": "_b.data"}"#;

fn error(type_name: &str) -> TaskError {
    TaskError { type_name: Some(type_name.into()), ..TaskError::new(ErrorKind::TaskFailed) }
}

fn fail(hub: &mut Hub, task: &Assignment, error: TaskError) {
    hub.result(task, Outcome::Failed { msg: "no".into(), error: Some(Arc::new(error)) });
}

fn state(hub: &Hub, job: JobId) -> Arc<TaskState> {
    Arc::clone(&hub.stored(job).tasks[0])
}

/// Nothing is handed out before the wait is over, and one task after it.
fn next_attempt(hub: &mut Hub) -> Assignment {
    assert!(hub.handed_out().is_empty());
    let due = hub.next_due().expect("an attempt is due");
    hub.pass(due.saturating_sub(Duration::from_millis(1)));
    assert!(hub.handed_out().is_empty(), "the wait is not over");
    hub.pass(Duration::from_millis(1));
    let mut out = hub.handed_out();
    assert_eq!(out.len(), 1);
    out.remove(0)
}

#[test]
fn a_task_that_fails_is_tried_again_and_its_record_tells_of_it() {
    let mut hub = Hub::new();
    let job = hub.submit(1, FLAKY);
    let first = hub.handed_out().remove(0);
    assert_eq!((first.attempt, first.issue.number), (1, 1));
    fail(&mut hub, &first, error("E1"));
    hub.actions();
    let waiting = state(&hub, job);
    assert_eq!((waiting.status, waiting.attempt()), (TaskStatus::Pending, 2));
    assert_eq!(waiting.error.as_ref().unwrap().type_name.as_deref(), Some("E1"));
    let retry_at = waiting.details.as_ref().unwrap().retry_at.unwrap();
    let wait = retry_at.since(hub.now.wall);
    assert!(wait > Duration::from_secs(1) && wait <= Duration::from_secs(2), "{wait:?}");
    let record = hub.machine.job(job).unwrap();
    assert!(record.waiting[0].1.contains("attempt 1 failed; the next one begins at"), "{:?}", record.waiting);
    let second = next_attempt(&mut hub);
    assert_eq!((second.attempt, second.issue.number, second.args.get()), (2, 2, "[]"));
    let running = state(&hub, job);
    assert_eq!((&running.error, &running.msg), (&None, &None), "a new attempt has no error yet");
    hub.succeed(&second, "7");
    let b = hub.handed_out().remove(0);
    assert_eq!(b.args.get(), "[7]");
    hub.succeed(&b, "8");
    hub.actions();
    let ended = hub.stored(job);
    assert_eq!((ended.state.status, ended.state.first_failure.as_ref()), (JobStatus::Success, None));
    let record = ended.record();
    let record: serde_json::Value = serde_json::from_str(record.get()).unwrap();
    let task = &record["tasks"][0];
    assert_eq!(task["attempt"], 2, "{task:#}");
    let attempts = task["attempts"].as_array().unwrap();
    assert_eq!(attempts.len(), 1);
    assert_eq!((&attempts[0]["number"], &attempts[0]["error"]["type"]), (&1.into(), &"E1".into()), "{task:#}");
    assert!(task.get("retry_at").is_none(), "{task:#}");
}

#[test]
fn after_the_last_attempt_the_task_fails_with_the_last_error() {
    let mut hub = Hub::new();
    let job = hub.submit(1, FLAKY);
    let mut task = hub.handed_out().remove(0);
    for attempt in 1..3 {
        fail(&mut hub, &task, error(&format!("E{attempt}")));
        task = next_attempt(&mut hub);
    }
    fail(&mut hub, &task, error("E3"));
    hub.actions();
    let ended = hub.stored(job);
    assert_eq!(ended.state.status, JobStatus::Failed);
    assert_eq!(hub.statuses(job), [TaskStatus::Failed, TaskStatus::UpstreamFailed]);
    let task = state(&hub, job);
    assert_eq!((task.attempt(), task.error.as_ref().unwrap().type_name.as_deref()), (3, Some("E3")));
    let numbers: Vec<u32> = task.details.as_ref().unwrap().attempts.iter().map(|attempt| attempt.number).collect();
    assert_eq!(numbers, [1, 2, 3]);
    assert_eq!(hub.next_due(), None, "nothing is left to wait for");
}

#[test]
fn the_error_and_the_task_itself_decide_whether_there_is_another_attempt() {
    let policy =
        r#"{"maximum_attempts": 5, "retry_on": ["OSError", "MISSING_VALUE"], "non_retryable": ["TimeoutError"]}"#;
    let advice = |retry| TaskError { retry: Some(retry), ..error("Other") };
    let derived = |type_name: &str| TaskError { bases: vec!["OSError".into()], ..error(type_name) };
    let cases = [
        (error("OSError"), true),
        (derived("ConnectionError"), true),
        (derived("TimeoutError"), false),
        (error("Other"), false),
        (TaskError::new(ErrorKind::MissingValue), true),
        (TaskError::new(ErrorKind::WorkerLost), false),
        (advice(RetryAdvice::Again), true),
        (advice(RetryAdvice::AfterMs(3_000)), true),
        (TaskError { retry: Some(RetryAdvice::Never), ..error("OSError") }, false),
        (TaskError { retry: Some(RetryAdvice::NotBeforeMs(3_000)), ..error("OSError") }, true),
        (advice(RetryAdvice::NotBeforeMs(3_000)), false),
    ];
    for (error, is_tried_again) in cases {
        let mut hub = Hub::new();
        let job = hub.submit(1, &format!(r#"{{"name": "j", "tasks": [{{"name": "a", "retry": {policy}}}]}}"#));
        let task = hub.handed_out().remove(0);
        fail(&mut hub, &task, error.clone());
        hub.actions();
        let expected = if is_tried_again { TaskStatus::Pending } else { TaskStatus::Failed };
        assert_eq!(hub.statuses(job), [expected], "{error:?}");
        let asks = matches!(error.retry, Some(RetryAdvice::AfterMs(_) | RetryAdvice::NotBeforeMs(_)));
        if asks && is_tried_again {
            assert_eq!(hub.next_due(), Some(Duration::from_secs(3)));
        }
    }
}

#[test]
fn the_policy_of_the_job_counts_for_tasks_that_have_none() {
    let mut hub = Hub::new();
    let job = hub.submit(1, r#"{"name": "j", "retry": 2, "tasks": [{"name": "a"}, {"name": "b", "retry": 1}]}"#);
    let out = hub.handed_out();
    out.iter().for_each(|task| fail(&mut hub, task, error("E")));
    hub.actions();
    assert_eq!(hub.statuses(job), [TaskStatus::Pending, TaskStatus::Failed]);
}

#[test]
fn lost_workers_and_returned_issues_are_no_attempts() {
    let mut hub = Hub::with(Settings { crash_limit: 2, ..Settings::default() });
    let job = hub.submit(1, FLAKY);
    let first = hub.handed_out().remove(0);
    hub.machine.handle_started(&"w1".into(), &[first.issue], hub.now);
    hub.pass(Duration::from_secs(60));
    let second = hub.handed_out().remove(0);
    assert_eq!((second.attempt, second.issue.number), (1, 2));
    fail(&mut hub, &second, error("E"));
    let third = next_attempt(&mut hub);
    assert_eq!((third.attempt, third.issue.number), (2, 3));
    hub.machine.handle_dead_letter(third.issue, DeadLetter::DeliveryLimit, hub.now);
    hub.actions();
    assert_eq!(hub.statuses(job)[0], TaskStatus::Failed, "what takes its workers down is not tried again");
}

#[test]
fn a_failure_that_was_posted_counts_as_an_attempt() {
    let mut hub = Hub::new();
    let job = hub.submit(1, FLAKY);
    let task = hub.handed_out().remove(0);
    hub.result(&task, Outcome::Launched { data: Json::null() });
    let update = Update { status: TaskStatus::Failed, data: None, msg: Some("no".into()) };
    assert_eq!(hub.machine.post_result(job.task(0), update, hub.now), Ok(Posted::Applied));
    hub.actions();
    let waiting = state(&hub, job);
    assert_eq!((waiting.status, waiting.launched, &waiting.data), (TaskStatus::Pending, false, &None));
    assert_eq!(next_attempt(&mut hub).attempt, 2);
}

#[test]
fn a_wait_goes_on_after_a_crash_and_ends_when_it_would_have_ended() {
    let mut hub = Hub::new();
    let job = hub.submit(1, FLAKY);
    let first = hub.handed_out().remove(0);
    fail(&mut hub, &first, error("E"));
    hub.actions();
    let due = hub.next_due().unwrap();
    hub.pass(Duration::from_millis(500));
    hub.crash();
    assert_eq!(hub.next_due(), Some(due - Duration::from_millis(500)));
    assert_eq!(next_attempt(&mut hub).attempt, 2);
    fail(&mut hub, &first, error("late"));
    hub.actions();
    assert_eq!(state(&hub, job).details.as_ref().unwrap().failures, 1, "the first issue is not the current one");
    hub.crash();
    assert_eq!(hub.next_due().filter(|due| *due < WAIT), None);
    let again = hub.handed_out();
    assert_eq!((again.len(), again[0].attempt), (1, 2), "the same attempt, since the broker had not confirmed it");
}

#[test]
fn a_cancelled_job_has_no_further_attempts() {
    let mut hub = Hub::new();
    let job = hub.submit(1, FLAKY);
    let task = hub.handed_out().remove(0);
    fail(&mut hub, &task, error("E"));
    hub.cancel(job);
    hub.actions();
    assert_eq!(hub.stored(job).state.status, JobStatus::Cancelled);
    assert_eq!(hub.next_due(), None);
    hub.pass(WAIT);
    assert!(hub.handed_out().is_empty());
}

#[test]
fn a_held_task_waits_and_fails_in_the_end_even_after_a_crash() {
    let mut hub = Hub::new();
    let job = hub.submit(
        1,
        r#"{"name": "j", "tasks": [{"name": "a",
            "retry": {"maximum_attempts": 1, "exhausted": "hold", "hold_for": "1h"}}, {"name": "b", "depends": ["a"]}]}"#,
    );
    let task = hub.handed_out().remove(0);
    fail(&mut hub, &task, TaskError { retry: Some(RetryAdvice::Never), ..error("E") });
    hub.actions();
    assert_eq!(hub.statuses(job), [TaskStatus::Pending, TaskStatus::Pending]);
    let record = hub.machine.job(job).unwrap();
    assert!(record.waiting[0].1.contains("retry, skip or fail the task"), "{:?}", record.waiting);
    hub.pass(Duration::from_secs(1800));
    hub.crash();
    assert!(hub.handed_out().is_empty());
    assert_eq!(hub.next_due(), Some(Duration::from_secs(1800)));
    hub.pass(Duration::from_secs(1800));
    hub.actions();
    assert_eq!(hub.stored(job).state.status, JobStatus::Failed);
    let task = state(&hub, job);
    assert_eq!((task.msg.as_deref(), task.details.as_ref().unwrap().held_until), (Some("no"), None));
}

#[test]
fn the_newest_attempts_are_kept_and_all_are_counted() {
    let mut hub = Hub::new();
    let job = hub.submit(
        1,
        r#"{"name": "j", "tasks": [{"name": "a", "retry": {"maximum_attempts": 100, "maximum_interval": "1s"}}]}"#,
    );
    let mut task = hub.handed_out().remove(0);
    for _ in 0..99 {
        let log = Some("x".repeat(100_000).into());
        let outcome = Outcome::Failed { msg: "no".into(), error: None };
        let result = TaskResult {
            progress: None,
            content: None,
            defaults: None,
            issue: task.issue,
            outcome,
            log,
            worker: "w1".into(),
            took: Duration::ZERO,
        };
        hub.machine.handle_result(result, hub.now);
        task = next_attempt(&mut hub);
    }
    assert_eq!(task.attempt, 100);
    let details = state(&hub, job).details.clone().unwrap();
    let numbers: Vec<u32> = details.attempts.iter().map(|attempt| attempt.number).collect();
    assert_eq!(numbers, (80..100).collect::<Vec<_>>());
    assert!(details.weight() < 500_000 && hub.machine.live().1 < 600_000, "{}", hub.machine.live().1);
    hub.succeed(&task, "1");
    hub.actions();
    assert_eq!((hub.stored(job).state.status, hub.machine.live()), (JobStatus::Success, (0, 0)));
}

fn repair(action: RepairAction) -> Repair {
    Repair { action, data: None, by: Some("ops".into()), reason: Some("because".into()) }
}

/// A job whose only task is held after two attempts, and one behind it.
fn held() -> (Hub, JobId) {
    let mut hub = Hub::new();
    let policy = r#"{"maximum_attempts": 2, "initial_interval": "1s", "exhausted": "hold"}"#;
    let tasks = format!(r#"[{{"name": "a", "retry": {policy}}}, {{"name": "b", "args": ["_a.data"]}}]"#);
    let job = hub.submit(1, &format!(r#"{{"name": "j", "tasks": {tasks}, "output": "_b.data"}}"#));
    let first = hub.handed_out().remove(0);
    fail(&mut hub, &first, error("E"));
    let second = next_attempt(&mut hub);
    fail(&mut hub, &second, error("E"));
    assert!(hub.handed_out().is_empty());
    (hub, job)
}

#[test]
fn a_held_task_that_is_retried_gets_all_attempts_again() {
    let (mut hub, job) = held();
    hub.machine.repair(job.task(0), repair(RepairAction::Retry), hub.now).unwrap();
    let third = hub.handed_out().remove(0);
    assert_eq!((third.attempt, hub.next_due().filter(|due| *due < WAIT)), (3, None));
    hub.crash();
    assert_eq!(hub.handed_out().remove(0).attempt, 3);
    fail(&mut hub, &third, error("E"));
    let third = hub.stored(job).tasks[0].issue.unwrap().of(job.task(0));
    assert_eq!(third.number, 3);
    let fourth = next_attempt(&mut hub);
    assert_eq!(fourth.attempt, 4);
    fail(&mut hub, &fourth, error("E"));
    hub.actions();
    assert!(state(&hub, job).details.as_ref().unwrap().held_until.is_some(), "held again after two more attempts");
    hub.machine.repair(job.task(0), repair(RepairAction::Retry), hub.now).unwrap();
    let fifth = hub.handed_out().remove(0);
    hub.succeed(&fifth, "5");
    let b = hub.handed_out().remove(0);
    hub.succeed(&b, "6");
    hub.actions();
    let ended = hub.stored(job);
    assert_eq!(ended.state.status, JobStatus::Success);
    let repairs = &ended.tasks[0].details.as_ref().unwrap().rare().repairs;
    assert_eq!((repairs.len(), repairs[0].by.as_deref()), (2, Some("ops")));
    assert!(ended.record().get().contains(r#""repairs": [{"action":"retry","at":"#), "{}", ended.record().get());
}

#[test]
fn a_task_that_waits_can_be_skipped_with_data_or_without() {
    let (mut hub, job) = held();
    let with_data = Repair { data: Some(Json::parse("[7]").unwrap()), ..repair(RepairAction::Skip) };
    hub.machine.repair(job.task(0), with_data, hub.now).unwrap();
    let b = hub.handed_out().remove(0);
    assert_eq!(b.args.get(), "[[7]]");
    hub.succeed(&b, "1");
    hub.actions();
    assert_eq!(hub.statuses(job), [TaskStatus::Success, TaskStatus::Success]);

    let (mut hub, job) = held();
    // The one behind it waits for it.
    hub.machine.repair(job.task(1), repair(RepairAction::Skip), hub.now).unwrap();
    hub.crash();
    hub.machine.repair(job.task(0), repair(RepairAction::Skip), hub.now).unwrap();
    hub.actions();
    assert_eq!(hub.statuses(job), [TaskStatus::Skipped, TaskStatus::Skipped]);
    let ended = hub.stored(job);
    assert_eq!(ended.tasks[0].msg.as_deref(), Some("was skipped by an operator (ops)"));
    assert_eq!((ended.state.status, hub.next_due()), (JobStatus::Success, None));
}

#[test]
fn a_held_task_can_be_failed() {
    let (mut hub, job) = held();
    hub.machine.repair(job.task(0), repair(RepairAction::Fail), hub.now).unwrap();
    hub.actions();
    assert_eq!(hub.statuses(job), [TaskStatus::Failed, TaskStatus::UpstreamFailed]);
    assert_eq!(state(&hub, job).msg.as_deref(), Some("no"), "its last error stays");
}

#[test]
fn a_task_that_waits_for_its_next_attempt_can_begin_it_now() {
    let mut hub = Hub::new();
    let job = hub.submit(1, FLAKY);
    let first = hub.handed_out().remove(0);
    fail(&mut hub, &first, error("E"));
    hub.machine.repair(job.task(0), repair(RepairAction::Retry), hub.now).unwrap();
    assert_eq!(hub.handed_out().remove(0).attempt, 2);
    assert_eq!(hub.next_due().filter(|due| *due < WAIT), None);
    assert_eq!(state(&hub, job).details.as_ref().unwrap().rare().grants, 0);
}

#[test]
fn repairs_of_tasks_that_do_not_wait_for_them_are_refused() {
    let (mut hub, job) = held();
    let ask = |hub: &mut Hub, index, action| hub.machine.repair(job.task(index), repair(action), hub.now);
    assert_eq!(ask(&mut hub, 1, RepairAction::Retry), Err(RepairError::NotBetweenAttempts));
    assert_eq!(ask(&mut hub, 1, RepairAction::Fail), Err(RepairError::NotBetweenAttempts));
    assert_eq!(ask(&mut hub, 2, RepairAction::Skip), Err(RepairError::UnknownTask));
    ask(&mut hub, 0, RepairAction::Retry).unwrap();
    hub.actions();
    for action in RepairAction::ALL {
        assert_eq!(ask(&mut hub, 0, action), Err(RepairError::Running));
    }
    let large = Repair { data: Some(Json::string(&"x".repeat(13_000_000))), ..repair(RepairAction::Skip) };
    assert!(matches!(hub.machine.repair(job.task(1), large, hub.now), Err(RepairError::OutOfBounds(_))));
    hub.cancel(job);
    assert_eq!(ask(&mut hub, 0, RepairAction::Skip), Err(RepairError::Cancelling));
}
