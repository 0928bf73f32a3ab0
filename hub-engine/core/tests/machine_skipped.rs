//! Tasks that depend on a skipped one. (Jobs cannot skip tasks yet, so the skipped task is restored from a store.)

mod support;

use std::sync::Arc;

use hub_core::state::TaskState;
use hub_core::{JobId, TaskStatus};
use support::Hub;

/// `c` depends on `a`, which was skipped, and on `b`, which was handed out; `d` depends on `c`.
fn restored() -> (Hub, JobId) {
    let text = r#"{"name": "j", "tasks": [{"name": "a"}, {"name": "b"}, {"name": "c", "depends": ["a", "b"]},
        {"name": "d", "depends": ["c"]}]}"#;
    let mut hub = Hub::new();
    let id = hub.submit(1, text);
    hub.actions();
    let mut snapshot = hub.stored(id).clone();
    snapshot.tasks[0] = Arc::new(TaskState { status: TaskStatus::Skipped, ..TaskState::pending() });
    hub.machine = hub_core::machine::Machine::new(hub_core::machine::Settings::default());
    hub.machine.handle_link(true, hub.now);
    hub.machine.restore(snapshot, hub.now);
    (hub, id)
}

#[test]
fn a_task_waits_for_the_others_before_it_is_skipped() {
    let (mut hub, id) = restored();
    let out = hub.handed_out();
    assert_eq!(out.len(), 1, "b is handed out again");
    assert_eq!(hub.statuses_now(id)[2..], [TaskStatus::Pending; 2]);
    hub.succeed(&out[0], "1");
    hub.actions();
    assert_eq!(hub.statuses(id)[1..], [TaskStatus::Success, TaskStatus::Skipped, TaskStatus::Skipped]);
    for task in &hub.stored(id).tasks[2..] {
        assert_eq!(task.msg.as_deref(), Some("did not run, because the task \"a\" was skipped"));
    }
    assert_eq!(hub.stored(id).state.status, hub_core::JobStatus::Success);
}

#[test]
fn a_failure_beside_a_skipped_task_decides() {
    let (mut hub, id) = restored();
    let out = hub.handed_out();
    hub.fail(&out[0], "no");
    hub.actions();
    assert_eq!(hub.statuses(id)[1..], [TaskStatus::Failed, TaskStatus::UpstreamFailed, TaskStatus::UpstreamFailed]);
}
