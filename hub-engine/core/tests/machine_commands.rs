//! Conversations about tasks without a module: what is handed out, and which workers it waits for.

mod support;

use hub_core::action::Assignment;
use hub_core::machine::{Outcome, Returned, Settings, Verdict, WorkerReport};
use hub_core::state::ErrorKind;
use hub_core::{JobId, TaskKind, TaskKinds, TaskStatus};
use support::{Hub, id};

const COMMANDS: &str = r#"{"name": "j", "tasks": [
    {"name": "first"},
    {"name": "convert", "command": ["convert", "_first.data.file", 2.50, "__x"], "env": {"A": "_first.id"}, "output": "json"},
    {"name": "script", "shell": "echo \"_first.data\"", "depends": ["first"], "cwd": "/"}]}"#;

/// A worker with the module `first` that also allows these kinds of tasks.
fn worker(hub: &mut Hub, name: &str, kinds: &[TaskKind]) {
    let report = hub.worker(name, &["first"]);
    let allow = kinds.iter().copied().fold(TaskKinds::default(), TaskKinds::with);
    hub.machine.handle_heartbeat(WorkerReport { allow, ..report }, hub.now);
}

fn run_of(task: &Assignment) -> &str {
    task.run.as_ref().map_or("", |run| run.get())
}

fn reason(hub: &Hub, job: JobId, index: u32) -> String {
    let waiting = hub.machine.job(job).unwrap().waiting;
    waiting.into_iter().find(|(at, _)| *at == index).map(|(_, reason)| reason).unwrap_or_default()
}

/// The job with its first task ended.
fn after_the_first(hub: &mut Hub) -> JobId {
    let job = hub.submit(1, COMMANDS);
    let first = hub.handed_out().remove(0);
    assert_eq!(first.run, None);
    hub.succeed(&first, r#"{"file": "a b.png"}"#);
    job
}

#[test]
fn references_are_replaced_in_commands_and_variables_only() {
    let mut hub = Hub::new();
    let job = after_the_first(&mut hub);
    let out = hub.handed_out();
    let first = job.task(0);
    assert_eq!(
        run_of(&out[0]),
        format!(r#"{{"command":["convert", "a b.png", 2.50, "_x"],"env":{{"A": "{first}"}},"output":"json"}}"#)
    );
    assert_eq!(run_of(&out[1]), r#"{"shell":"echo \"_first.data\"","cwd":"/"}"#);
    let names = out.iter().map(|task| (&*task.task_name, task.args.get(), task.kwargs.get()));
    assert_eq!(names.collect::<Vec<_>>(), [("command", "[]", "{}"), ("shell", "[]", "{}")]);
    let record = hub.machine.job(job).unwrap().record().to_value();
    let shown = &record["tasks"][1];
    assert_eq!((&shown["task_name"], &shown["command"][1]), (&"command".into(), &"a b.png".into()));
    assert_eq!(record["tasks"][2]["shell"], "echo \"_first.data\"");
}

#[test]
fn a_command_waits_until_a_worker_allows_it() {
    let mut hub = Hub::new();
    worker(&mut hub, "w1", &[TaskKind::Http]);
    let job = after_the_first(&mut hub);
    assert!(hub.handed_out().is_empty());
    let why = reason(&hub, job, 1);
    assert!(why.starts_with("no worker of the pool \"default\" allows commands: add command to allow"), "{why}");
    let tasks = hub.machine.job(job).unwrap();
    let unserved = hub.machine.unserved(tasks.job.tasks(), hub.now);
    assert_eq!(unserved, [why], "one reason for both commands");
    worker(&mut hub, "w2", &[TaskKind::Command]);
    let names: Vec<String> = hub.handed_out().iter().map(|task| task.name.to_string()).collect();
    assert_eq!(names, ["convert", "script"]);
}

#[test]
fn a_worker_that_does_not_allow_a_command_returns_it() {
    let mut hub = Hub::new();
    worker(&mut hub, "w1", &[TaskKind::Command]);
    let job = after_the_first(&mut hub);
    let out = hub.handed_out();
    worker(&mut hub, "w1", &[]);
    let returned = hub.machine.handle_returned(out[0].issue, Returned::UnknownModule, &"w1".into(), hub.now);
    assert_eq!((returned, hub.handed_out().len()), (Verdict::Applied, 0));
    assert!(reason(&hub, job, 1).contains("allows commands"));
    hub.crash();
    worker(&mut hub, "w1", &[TaskKind::Command]);
    let again = hub.handed_out();
    let again = again.iter().find(|task| &*task.name == "convert").unwrap();
    assert_eq!((again.issue.number, run_of(again)), (2, run_of(&out[0])));
}

#[test]
fn a_module_may_have_the_name_of_a_key() {
    let mut hub = Hub::new();
    hub.worker("w1", &["command"]);
    hub.submit(1, r#"{"name": "j", "tasks": [{"name": "a", "command": ["true"]}, {"name": "command"}]}"#);
    let names: Vec<String> = hub.handed_out().iter().map(|task| task.name.to_string()).collect();
    assert_eq!(names, ["command"]);
}

#[test]
fn arguments_beyond_the_limit_fail_the_task() {
    let mut hub = Hub::with(Settings { max_value_bytes: 60, ..Settings::default() });
    let job = hub.submit(
        1,
        r#"{"name": "j", "tasks": [{"name": "a"},
            {"name": "b", "command": ["b", "_a.data"], "env": {"A": "_a.data"}}, {"name": "c", "command": ["c", "_a.data.x"]}]}"#,
    );
    let first = hub.handed_out().remove(0);
    hub.result(&first, Outcome::Success { data: support::json(&format!("{:?}", "x".repeat(30))) });
    assert!(hub.handed_out().is_empty());
    let kinds: Vec<_> = hub.stored(job).tasks[1..].iter().map(|task| task.error.as_ref().unwrap().kind).collect();
    assert_eq!(kinds, [ErrorKind::ArgumentsTooLarge, ErrorKind::MissingValue]);
    assert_eq!(hub.statuses(job)[1..], [TaskStatus::Failed; 2]);
    assert_eq!(job, id(1));
}

#[test]
fn data_that_reads_like_a_secret_is_none() {
    let mut hub = Hub::new();
    let job = hub.submit(
        1,
        r#"{"name": "j", "tasks": [{"name": "a"},
            {"name": "b", "task_name": "a", "args": ["_a.data", "_.secret.REAL"]}]}"#,
    );
    let first = hub.handed_out().remove(0);
    assert_eq!(first.secrets, None);
    hub.succeed(&first, r#"["_.secret.FAKE"]"#);
    let second = hub.handed_out().remove(0);
    assert_eq!(second.args.get(), r#"[["_.secret.FAKE"], "_.secret.REAL"]"#);
    let secrets: Vec<&str> =
        second.secrets.iter().flat_map(|secrets| secrets.iter()).map(|secret| &*secret.at).collect();
    assert_eq!(secrets, ["/args/1"]);
    let record = hub.machine.job(job).unwrap().record().to_value();
    assert_eq!(record["tasks"][1]["args"][1], "_.secret.REAL");
}
