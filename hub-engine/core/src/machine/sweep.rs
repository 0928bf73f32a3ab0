//! Work on many tasks of one job, a part in each turn.
//!
//! When a task fails, all tasks behind it end; when a job is cancelled, all its tasks do. A job can have a million of
//! them, and other jobs must not wait for that. So a turn changes a bounded number of tasks, and the rest is done in the
//! turns that follow. Until then those tasks stay as they are: none of them can start, since what they wait for has
//! failed, or their job is no longer handed out.
//!
//! A crash in between does no harm. What waits for a failed task ends when the job is restored, and a job that has a
//! cancelled task was being cancelled. A live job that has a message was condemned: it fails with this message.

use std::sync::Arc;

use super::Machine;
use super::live::LiveJob;
use super::place::Place;
use super::remainder::{Behind, Remainder};
use super::trigger::Decision;
use super::withdraw::withdraw;
use crate::action::Action;
use crate::{JobId, TaskStatus, Timestamp};

impl LiveJob {
    /// This task ended without success: what depends on it will be looked at.
    pub(super) fn look_downstream(&mut self, index: u32) {
        if !self.downstream.of(index).is_empty() {
            let msg = self.why_not_run(index);
            self.sweep.behind.push(Behind { task: index, done: 0, msg });
        }
    }

    /// This task will be skipped.
    pub(super) fn skip(&mut self, index: u32) {
        self.sweep.skipped.push(index);
    }

    /// The message of a task that does not run because of this one.
    fn why_not_run(&self, index: u32) -> Arc<str> {
        let how =
            if self.task(index).state().status == TaskStatus::Skipped { "was skipped" } else { "did not succeed" };
        format!("did not run, because the task {:?} {how}", self.spec(index).name()).into()
    }

    /// Every task that has not ended will be cancelled.
    pub(super) fn begin_cancel(&mut self) {
        if !std::mem::replace(&mut self.cancelled, true) {
            self.sweep = Remainder { cancel: Some(0), ..Remainder::default() };
        }
    }

    /// Whether tasks are left that [`Machine::sweep`] has to end.
    pub(super) fn has_to_sweep(&self) -> bool {
        !self.sweep.is_over()
    }

    /// Looks at what depends on tasks that ended without success. Returns the tasks that have become ready. A list instead
    /// of recursion: chains are long.
    fn sweep_behind(&mut self, effort: &mut u32, now: Timestamp, actions: &mut Vec<Action>) -> Vec<u32> {
        let mut ready = Vec::new();
        while *effort > 0
            && let Some(index) = self.sweep.skipped.pop()
        {
            *effort -= 1;
            let is_skipped = |before: &&u32| self.task(**before).state().status == TaskStatus::Skipped;
            let cause = self.spec(index).upstream().iter().find(is_skipped).copied();
            let msg = self.why_not_run(cause.expect("a task before it was skipped"));
            self.close_unrun(index, TaskStatus::Skipped, msg, now, actions);
        }
        while let Some(mut ended) = self.sweep.current.take().or_else(|| self.sweep.behind.pop()) {
            let status = self.task(ended.task).state().status;
            while let Some(next) = self.downstream.of(ended.task).get(ended.done).copied() {
                if *effort == 0 {
                    self.sweep.current = Some(ended);
                    return ready;
                }
                *effort -= 1;
                ended.done += 1;
                let status = match self.count_upstream(next, status) {
                    Decision::Wait => continue,
                    Decision::UpstreamFailed => TaskStatus::UpstreamFailed,
                    Decision::Skip => TaskStatus::Skipped,
                    Decision::Run => {
                        ready.push(next);
                        continue;
                    }
                };
                self.close_unrun(next, status, Arc::clone(&ended.msg), now, actions);
            }
        }
        ready
    }

    /// Ends a task that does not run. What depends on it will be looked at.
    fn close_unrun(
        &mut self,
        index: u32,
        status: TaskStatus,
        msg: Arc<str>,
        now: Timestamp,
        actions: &mut Vec<Action>,
    ) {
        self.task_mut(index).state_mut().msg = Some(Arc::clone(&msg));
        self.close_task(index, status, now, actions);
        if !self.downstream.of(index).is_empty() {
            self.sweep.behind.push(Behind { task: index, done: 0, msg });
        }
    }

    /// The next task to cancel, as far as `effort` lasts.
    fn next_to_cancel(&mut self, effort: &mut u32) -> Option<u32> {
        while let Some(index) = self.sweep.cancel {
            let Some(task) = self.tasks.get(index as usize) else {
                self.sweep.cancel = None;
                break;
            };
            if *effort == 0 {
                break;
            }
            *effort -= 1;
            self.sweep.cancel = Some(index + 1);
            if task.place != Place::Ended {
                return Some(index);
            }
        }
        None
    }
}

impl Machine {
    /// Whether something is left to be done that did not fit into this turn: the next call of
    /// [`Machine::poll_actions`] goes on with it.
    #[must_use]
    pub fn wants_turn(&self) -> bool {
        self.is_filling || !self.sweeping.is_empty()
    }

    /// Whether jobs are being cancelled, or tasks behind failed ones ended, over several turns.
    #[must_use]
    pub fn is_sweeping(&self) -> bool {
        !self.sweeping.is_empty()
    }

    /// Goes on with what earlier turns have left.
    pub(super) fn sweep_on(&mut self, now: Timestamp) {
        for id in std::mem::take(&mut self.sweeping) {
            // It may have ended meanwhile.
            if self.is_live(id) {
                self.sweep(id, now);
            }
        }
    }

    /// Does what is to be done about the tasks of a job, as far as this turn's effort lasts, and ends the job where
    /// no task is left.
    pub(super) fn sweep(&mut self, id: JobId, now: Timestamp) {
        let ready = self.jobs.job_mut(id).sweep_behind(&mut self.effort, now, &mut self.actions);
        if !ready.is_empty() {
            self.enqueue_all(id, &ready);
            // The window of their pool may have been filled already in this turn.
            self.is_filling = true;
        }
        let job = self.jobs.job_mut(id);
        let mut stopped = Vec::new();
        while let Some(index) = job.next_to_cancel(&mut self.effort) {
            let place = withdraw(job, index, &mut self.pools, &mut self.workers, &mut self.timers);
            if place.is_out() {
                stopped.extend(job.task(index).state().issue.map(|issue| Action::Stop(issue.of(id.task(index)))));
            }
            job.close_task(index, TaskStatus::Cancelled, now, &mut self.actions);
        }
        self.actions.append(&mut stopped);
        if job.has_to_sweep() && !self.sweeping.contains(&id) {
            self.sweeping.push(id);
        }
        self.settle_job(id, now);
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{handed_out, run, with_job};
    use super::super::trigger::Rule;
    use super::super::{Outcome, Settings};
    use super::*;
    use crate::{JobStatus, Json};

    fn failed() -> Outcome {
        Outcome::Failed { msg: "no".into(), error: None }
    }

    /// A fan of tasks, and one behind them all.
    fn fan(width: usize) -> String {
        let upstream: Vec<String> = (0..width).map(|at| format!("t{at}")).collect();
        let mut tasks: Vec<_> = upstream.iter().map(|name| serde_json::json!({"name": name})).collect();
        tasks.push(serde_json::json!({"name": "last", "depends": upstream}));
        serde_json::json!({"name": "j", "tasks": tasks}).to_string()
    }

    #[test]
    fn a_task_whose_rule_is_met_by_failures_is_handed_out() {
        let width = 3;
        let (mut machine, id) = with_job(Settings::default(), &fan(width));
        machine.jobs.job_mut(id).task_mut(width as u32).rule = Rule::AllDone;
        let out = handed_out(&mut machine);
        for task in &out {
            assert_eq!(machine.jobs.job(id).task(width as u32).place, Place::Blocked);
            run(&mut machine, task, failed());
        }
        assert_eq!(machine.stats().ready, 1);
        let last = handed_out(&mut machine);
        assert_eq!(last.iter().map(|task| &*task.name).collect::<Vec<_>>(), ["last"]);
        run(&mut machine, &last[0], Outcome::Success { data: Json::null() });
        let ended = machine.poll_ended().remove(0).into_snapshot();
        assert_eq!((ended.state.status, ended.tasks[width].status), (JobStatus::Failed, TaskStatus::Success));
    }

    /// The pool `a` is looked at before the pool `b`, and is not asked for again by any input.
    #[test]
    fn a_task_that_becomes_ready_while_tasks_are_handed_out_is_handed_out_too() {
        let text = r#"{"name": "j", "tasks": [{"name": "x"},
            {"name": "unfilled", "pool": "default", "args": ["_x.data.missing"]},
            {"name": "after", "task_name": "x", "pool": "a", "depends": ["unfilled"]}]}"#;
        let (mut machine, id) = with_job(Settings::default(), text);
        machine.jobs.job_mut(id).task_mut(2).rule = Rule::AllDone;
        let report = super::super::WorkerReport {
            id: "w1".into(),
            host: "here".into(),
            pid: 1,
            pools: vec!["a".into(), "default".into()],
            slots: 2,
            running: 0,
            tasks: [("x".into(), None), ("unfilled".into(), None)].into(),
            broken: [].into(),
            shortage: None,
            held: Vec::new(),
            present: Vec::new(),
        };
        machine.handle_heartbeat(report, super::super::testing::NOW);
        let x = handed_out(&mut machine).remove(0);
        run(&mut machine, &x, Outcome::Success { data: Json::null() });
        let out = handed_out(&mut machine);
        assert_eq!(out.iter().map(|task| &*task.name).collect::<Vec<_>>(), ["after"]);
    }

    #[test]
    fn ready_tasks_behind_failures_come_over_several_turns() {
        let width = super::super::remainder::TASKS as usize + 10;
        let behind = (0..width).map(|at| serde_json::json!({"name": format!("t{at}"), "depends": ["a"]}));
        let tasks: Vec<_> = std::iter::once(serde_json::json!({"name": "a"})).chain(behind).collect();
        let text = serde_json::json!({"name": "j", "tasks": tasks});
        let (mut machine, id) = with_job(Settings::default(), &text.to_string());
        (1..=width as u32).for_each(|index| machine.jobs.job_mut(id).task_mut(index).rule = Rule::AllDone);
        let a = handed_out(&mut machine).remove(0);
        run(&mut machine, &a, failed());
        handed_out(&mut machine);
        let stats = machine.stats();
        assert_eq!((stats.ready + stats.in_flight) as usize, width);
    }
}
