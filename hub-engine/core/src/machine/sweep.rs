//! Ends many tasks of one job over several turns.
//!
//! When a task fails, all tasks that depend on it end. When a job is cancelled, all its tasks end. A job can have a
//! million tasks, and other jobs must not wait. So a turn changes a bounded number of tasks, and the following turns do
//! the rest. Until then these tasks keep their states. None of them can start, because their dependencies have failed
//! or their job is no longer handed out.
//!
//! The work can be resumed after a crash. Tasks that depend on a failed one end when the job is restored. The status of
//! a job shows that it was being cancelled. A live job with a message was marked as failed.

use std::sync::Arc;

use super::Machine;
use super::item_group::ItemGroup;
use super::live::LiveJob;
use super::place::Place;
use super::remaining_work::{RemainingWork, UnrunEnd, UnrunTask, UnsuccessfulTask};
use super::timeouts;
use super::trigger::Decision;
use super::withdraw::withdraw;
use crate::action::Action;
use crate::job::TriggerRule;
use crate::state::TaskError;
use crate::{JobId, Now, TaskStatus, Timestamp};

/// How the message of a task begins that did not run because of other tasks.
pub(super) const DID_NOT_RUN: &str = "did not run, because";

impl LiveJob {
    /// Schedules the processing of the tasks that depend on a task that ended without success.
    pub(super) fn look_downstream(&mut self, index: u32) {
        if !self.downstream.of(index).is_empty() {
            let msg = self.why_not_run(index);
            self.remaining_work().unsuccessful.push(UnsuccessfulTask { task: index, done: 0, msg });
        }
    }

    /// Schedules skipping a task whose trigger rule cannot be met.
    pub(super) fn skip(&mut self, index: u32) {
        let is_skipped = |before: &&u32| self.task(**before).state().status == TaskStatus::Skipped;
        let rule = self.task(index).rule;
        let cause = self.spec(index).upstream().iter().find(is_skipped).filter(|_| rule == TriggerRule::AllSuccess);
        let msg = match cause {
            Some(cause) => self.why_not_run(*cause),
            None => format!("{DID_NOT_RUN} its trigger rule {} cannot be met any more", rule.as_str()).into(),
        };
        self.end_unrun(index, msg, None);
    }

    /// Schedules the end of a task that does not run: it is skipped, or fails with this error.
    pub(super) fn end_unrun(&mut self, task: u32, msg: Arc<str>, error: Option<Arc<TaskError>>) {
        let end = match error {
            Some(error) => UnrunEnd::Failed(msg, error),
            None => UnrunEnd::Skipped(msg),
        };
        self.remaining_work().unrun.push(UnrunTask { task, end });
    }

    /// Schedules the end of a task that has nothing to run for, and whose data is in its state.
    pub(super) fn succeed_unrun(&mut self, task: u32) {
        self.remaining_work().unrun.push(UnrunTask { task, end: UnrunEnd::Success });
    }

    /// The message of the tasks that do not run because of this task.
    fn why_not_run(&self, index: u32) -> Arc<str> {
        let how =
            if self.task(index).state().status == TaskStatus::Skipped { "was skipped" } else { "did not succeed" };
        format!("{DID_NOT_RUN} the task {:?} {how}", self.spec(index).name()).into()
    }

    pub(super) fn remaining_work(&mut self) -> &mut RemainingWork {
        self.sweep.get_or_insert_default()
    }

    /// Whether [`Machine::sweep`] has to end further tasks.
    pub(super) fn is_sweep_pending(&self) -> bool {
        self.sweep.as_ref().is_some_and(|work| !work.is_over())
    }

    /// Ends tasks that were stopped by a gate, and processes the tasks that depend on unsuccessful ones. Returns the tasks that have
    /// become ready. Uses a list instead of recursion, because chains can be long.
    fn sweep_downstream(
        &mut self,
        budget: &mut u32,
        limit: usize,
        now: Timestamp,
        actions: &mut Vec<Action>,
    ) -> Vec<u32> {
        let mut ready = Vec::new();
        while *budget > 0
            && let Some(UnrunTask { task, end }) = self.sweep.as_mut().and_then(|work| work.unrun.pop())
        {
            *budget -= 1;
            // Its end may have been decided twice.
            if self.task(task).place != Place::Blocked {
                continue;
            }
            ready.append(&mut self.end_unrun_task(task, end, limit, now, actions));
        }
        while let Some(mut ended) = self.sweep.as_mut().and_then(|work| work.next_unsuccessful()) {
            let status = self.task(ended.task).state().counts_as();
            while let Some(next) = self.downstream.of(ended.task).get(ended.done).copied() {
                if *budget == 0 {
                    self.remaining_work().current = Some(ended);
                    return ready;
                }
                *budget -= 1;
                ended.done += 1;
                let status = match self.count_upstream(next, status) {
                    Decision::Wait => continue,
                    Decision::UpstreamFailed => TaskStatus::UpstreamFailed,
                    Decision::Skip => TaskStatus::Skipped,
                    Decision::Run => {
                        // So that no other end decides this again.
                        self.task_mut(next).place = Place::Queued;
                        ready.push(next);
                        continue;
                    }
                };
                self.close_unrun(next, status, Arc::clone(&ended.msg), now, actions);
            }
        }
        ready
    }

    /// Ends a task that does not run. Returns the tasks that have become ready, since it succeeds or is recovered.
    fn end_unrun_task(
        &mut self,
        task: u32,
        end: UnrunEnd,
        limit: usize,
        now: Timestamp,
        actions: &mut Vec<Action>,
    ) -> Vec<u32> {
        let state = self.task_mut(task).state_mut();
        let status = match end {
            UnrunEnd::Skipped(msg) => {
                state.error = None;
                self.close_unrun(task, TaskStatus::Skipped, msg, now, actions);
                return Vec::new();
            }
            UnrunEnd::Failed(msg, error) => {
                (state.msg, state.error) = (Some(msg), Some(error));
                self.recover(task, limit);
                TaskStatus::Failed
            }
            UnrunEnd::Success => TaskStatus::Success,
        };
        let ready = self.end_task(task, status, now, actions);
        // So that no other end decides this again.
        ready.iter().for_each(|next| self.task_mut(*next).place = Place::Queued);
        ready
    }

    /// Ends a task that does not run, and schedules the processing of its dependent tasks.
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
            // A task that was skipped by its condition or by an operator is the cause of what follows.
            let msg = if msg.starts_with(DID_NOT_RUN) { msg } else { self.why_not_run(index) };
            self.remaining_work().unsuccessful.push(UnsuccessfulTask { task: index, done: 0, msg });
        }
    }

    /// The tasks that run for items, all of which have ended. Looks at all tasks with items.
    fn tasks_without_open_items(&self) -> Vec<u32> {
        let over = |(task, group): (&u32, &ItemGroup)| {
            (group.open == 0 && self.task(*task).place == Place::Items).then_some(*task)
        };
        self.groups.iter().filter_map(over).collect()
    }

    /// The next task to cancel, within `budget`.
    fn next_to_cancel(&mut self, budget: &mut u32) -> Option<u32> {
        while let Some(index) = self.sweep.as_ref().and_then(|work| work.cancel) {
            let Some(index) = self.position_from(index) else {
                self.remaining_work().cancel = None;
                break;
            };
            if *budget == 0 {
                break;
            }
            *budget -= 1;
            self.remaining_work().cancel = Some(index + 1);
            if self.task(index).place != Place::Ended && self.has_begun(index) {
                return Some(index);
            }
        }
        None
    }
}

impl Machine {
    /// Whether work is left that did not fit into this turn. The next call of [`Machine::poll_actions`] continues it.
    #[must_use]
    pub fn wants_turn(&self) -> bool {
        self.is_filling || !self.sweeping.is_empty() || !self.advancing.is_empty() || !self.between_jobs.is_idle()
    }

    /// Whether tasks are being ended over several turns, because of a cancellation or a failure.
    #[must_use]
    pub fn is_sweeping(&self) -> bool {
        !self.sweeping.is_empty()
    }

    /// Continues the work of earlier turns.
    pub(super) fn sweep_on(&mut self, now: Now) {
        for id in std::mem::take(&mut self.sweeping) {
            // The job may have ended.
            if self.is_live(id) {
                self.sweep(id, now);
            }
        }
    }

    /// Ends tasks of a job within the budget of this turn, and ends the job if no open task is left.
    pub(super) fn sweep(&mut self, id: JobId, now: Now) {
        if self.jobs.job(id).sweep.is_none() {
            return self.settle_job(id, now);
        }
        let limit = self.settings.max_value_bytes;
        loop {
            let job = self.jobs.job_mut(id);
            let before = job.bytes();
            let ready = job.sweep_downstream(&mut self.budget, limit, now.wall, &mut self.actions);
            self.live_bytes = self.live_bytes + job.bytes() - before;
            if !ready.is_empty() {
                self.make_ready(id, &ready, now);
                // The window of their pool may have been filled already in this turn.
                self.is_filling = true;
            }
            if !self.begin_next_wait(id, now) {
                break;
            }
        }
        let job = self.jobs.job_mut(id);
        let before = job.bytes();
        let (mut stopped, mut children) = (Vec::new(), Vec::new());
        while let Some(index) = job.next_to_cancel(&mut self.budget) {
            let (place, pool) = (job.task(index).place, job.spec(index).pool());
            if let Some(stop) = job.stop.filter(|_| place.is_out()) {
                stopped.extend(job.stop_action(index, stop, now.steady));
                if stop.awaits(place, pool, &self.workers) {
                    timeouts::stop_clocks(job, index, &mut self.timers);
                    continue;
                }
            }
            if place == Place::Items && job.groups[&index].open > 0 {
                // The task ends with its last item.
                timeouts::stop_clocks(job, index, &mut self.timers);
                continue;
            }
            if place == Place::SubJob && job.task(index).state().status == TaskStatus::Running {
                // The task ends with its sub-job.
                children.push(index);
                timeouts::stop_clocks(job, index, &mut self.timers);
                continue;
            }
            withdraw(job, index, &mut self.pools, &mut self.workers, &mut self.timers, &mut self.flights);
            job.close_task(index, TaskStatus::Cancelled, now.wall, &mut self.actions);
            timeouts::stop_clocks(job, index, &mut self.timers);
        }
        let is_over = job.sweep.take_if(|work| work.is_over()).is_some();
        let without_items = if is_over && job.cancelled { job.tasks_without_open_items() } else { Vec::new() };
        self.actions.append(&mut stopped);
        self.live_bytes = self.live_bytes + job.bytes() - before;
        without_items.into_iter().for_each(|task| self.close_cancelled(id, task, now));
        children.into_iter().for_each(|index| self.stop_sub_job(id, index));
        let job = self.jobs.job_mut(id);
        if job.is_sweep_pending() && !self.sweeping.contains(&id) {
            self.sweeping.push(id);
        }
        self.settle_job(id, now);
    }

    /// Ends a task of a cancelled job whose items have ended.
    pub(super) fn close_cancelled(&mut self, id: JobId, task: u32, now: Now) {
        let job = self.jobs.job_mut(id);
        let before = job.bytes();
        withdraw(job, task, &mut self.pools, &mut self.workers, &mut self.timers, &mut self.flights);
        job.close_task(task, TaskStatus::Cancelled, now.wall, &mut self.actions);
        self.live_bytes = self.live_bytes + job.bytes() - before;
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{handed_out, run, with_job};
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
        machine.jobs.job_mut(id).task_mut(width as u32).rule = TriggerRule::AllDone;
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
        machine.jobs.job_mut(id).task_mut(2).rule = TriggerRule::AllDone;
        let report = super::super::WorkerReport {
            progress: Vec::new(),
            contents: [].into(),
            defaults: [].into(),
            id: "w1".into(),
            host: "here".into(),
            pid: 1,
            pools: vec!["a".into(), "default".into()],
            slots: 2,
            running: 0,
            tasks: [("x".into(), None), ("unfilled".into(), None)].into(),
            broken: [].into(),
            allow: crate::TaskKinds::default(),
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
        let width = super::super::remaining_work::MAXIMUM_TASKS_PER_TURN as usize + 10;
        let behind = (0..width).map(|at| serde_json::json!({"name": format!("t{at}"), "depends": ["a"]}));
        let tasks: Vec<_> = std::iter::once(serde_json::json!({"name": "a"})).chain(behind).collect();
        let text = serde_json::json!({"name": "j", "tasks": tasks});
        let (mut machine, id) = with_job(Settings::default(), &text.to_string());
        (1..=width as u32).for_each(|index| machine.jobs.job_mut(id).task_mut(index).rule = TriggerRule::AllDone);
        let a = handed_out(&mut machine).remove(0);
        run(&mut machine, &a, failed());
        handed_out(&mut machine);
        let stats = machine.stats();
        assert_eq!((stats.ready + stats.in_flight) as usize, width);
    }
}
