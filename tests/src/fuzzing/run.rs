//! Runs an accepted job to its end.

use std::collections::BTreeSet;
use std::sync::Arc;

use hub_core::action::Action;
use hub_core::job::{Job, Task};
use hub_core::machine::{Machine, Settings, Verdict, WorkerReport};
use hub_core::state::JobSnapshot;
use hub_core::{JobId, Json, Now, Steady, Timestamp};
use serde_json::Value;
use uuid::Uuid;

use super::ledger::Ledger;
use super::repeats::has_repeated_keys;
use super::reports;
use crate::evaluator::{self, Call, Expected, Scenario, evaluate};

const ID: JobId = JobId::new(Uuid::from_u128(7 << 64));
const NOW: Now = Now { wall: Timestamp::from_millis(1_000_000), steady: Steady::from_millis(1_000_000) };

/// Runs a job whose tasks return `null`. The number of message rounds is at most the number of tasks.
pub(super) fn run(job: &Arc<Job>) {
    let (mut machine, mut ledger) =
        (Machine::new(Settings { window_floor: 2, ..Settings::default() }), Ledger::default());
    machine.handle_link(true, NOW);
    machine.handle_heartbeat(worker_of_everything(job), NOW);
    machine.submit(ID, Arc::clone(job), NOW).expect("the machine is empty");
    let mut issued = BTreeSet::new();
    for _ in 0..=job.tasks().len() {
        let mut actions = Vec::new();
        machine.poll_actions(NOW, &mut actions);
        for action in actions {
            match action {
                Action::Persist(change) => ledger.keep(&change),
                Action::Publish(task) => {
                    assert!(issued.insert(task.issue.task), "{:?} goes out twice", task.issue);
                    assert_eq!(machine.handle_result(reports::null(&task), NOW), Verdict::Applied);
                }
                Action::Stop { .. } | Action::Probe { .. } | Action::Read { .. } | Action::Start(_) => {
                    panic!("no task is to be stopped and no queue to be counted: {action:?}")
                }
                Action::Notify(_) => {}
            }
        }
    }
    let mut last = Vec::new();
    machine.poll_actions(NOW, &mut last);
    for action in &last {
        assert!(!matches!(action, Action::Publish(_)), "after as many rounds as there are tasks: {action:?}");
        if let Action::Persist(change) = action {
            ledger.keep(change);
        }
    }
    ledger.agree(&machine);
    let ended = ledger.job(ID).expect("the job was kept");
    if !has_repeated_keys(job.source()) {
        check_end(ended, &evaluate(&evaluator::Job::parse(job.source()), &AllReturnNull));
    }
    check_record(ended);
}

/// A scenario in which every task returns `null`. A reference to a part of `null` fails its task, or the output of the job.
struct AllReturnNull;

impl Scenario for AllReturnNull {
    fn run(&self, _call: Call<'_>) -> evaluator::Outcome {
        evaluator::Outcome::Success(Value::Null)
    }

    fn wait(&self, _task: &evaluator::Task) -> evaluator::Outcome {
        evaluator::Outcome::Success(Value::Null)
    }

    fn id(&self, task: &evaluator::Task) -> String {
        ID.task(task.position as u32).to_string()
    }
}

/// Checks that the job has ended as the evaluator computes.
fn check_end(ended: &JobSnapshot, expected: &Expected) {
    assert_eq!(ended.state.status.as_str(), expected.status.as_str(), "{:?}", ended.state);
    let output = ended.state.output.as_ref().map_or(Value::Null, Json::to_value);
    assert_eq!(output, expected.output, "{:?}", ended.state);
    for (task, end) in ended.tasks.iter().zip(&expected.tasks) {
        assert_eq!(task.status.as_str(), end.status.as_str(), "{task:?} should be {end:?}");
    }
}

/// Checks that JSON parsers can read the record of an accepted job with values of any depth.
fn check_record(job: &JobSnapshot) {
    let record: Value = serde_json::from_str(job.record().get()).expect("a record is JSON");
    assert_eq!(record["status"], job.state.status.as_str());
    assert_eq!(record["tasks"].as_array().map(Vec::len), Some(job.tasks.len()));
    for index in 0..job.tasks.len() {
        let alone = job.task_record(index as u32).expect("the job has this task");
        assert_eq!(alone.to_value(), record["tasks"][index]);
    }
    assert!(job.task_record(job.tasks.len() as u32).is_none());
}

fn worker_of_everything(job: &Job) -> WorkerReport {
    let pools: BTreeSet<_> = job.tasks().iter().map(Task::pool).cloned().collect();
    reports::helper(pools, job.tasks().iter().map(|task| Arc::clone(task.module())), hub_core::TaskKinds::all())
}
