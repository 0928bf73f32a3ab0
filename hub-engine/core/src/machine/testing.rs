//! What tests within the machine share. Those that need no more than its public methods are in `tests/`.

use std::sync::Arc;
use std::time::Duration;

use super::{Machine, Outcome, Settings, TaskResult};
use crate::action::{Action, Assignment};
use crate::job::{Job, Limits};
use crate::{JobId, Now, Steady, Timestamp};

pub(super) const NOW: Now = Now { wall: Timestamp::from_millis(1_000_000), steady: Steady::from_millis(50_000) };

/// A machine with a link to the broker, and a job in it.
pub(super) fn with_job(settings: Settings, text: &str) -> (Machine, JobId) {
    let mut machine = Machine::new(settings);
    machine.handle_link(true, NOW);
    let id = JobId::new(uuid::Uuid::from_u128(1 << 64));
    let job = Job::parse(text, &Limits::default()).unwrap_or_else(|problems| panic!("{problems}"));
    machine.submit(id, Arc::new(job), NOW).unwrap();
    (machine, id)
}

/// The tasks that are handed out in as many turns as the machine wants.
pub(super) fn handed_out(machine: &mut Machine) -> Vec<Assignment> {
    let mut actions = Vec::new();
    machine.poll_actions(NOW, &mut actions);
    while machine.wants_turn() {
        machine.poll_actions(NOW, &mut actions);
    }
    let published = |action| match action {
        Action::Publish(assignment) => Some(*assignment),
        _ => None,
    };
    actions.into_iter().filter_map(published).collect()
}

/// A worker has run a task.
pub(super) fn run(machine: &mut Machine, task: &Assignment, outcome: Outcome) {
    let (issue, worker) = (task.issue, "w1".into());
    machine.handle_result(
        TaskResult {
            progress: None,
            content: None,
            defaults: None,
            issue,
            outcome,
            log: None,
            worker,
            took: Duration::ZERO,
        },
        NOW,
    );
}
