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

    /// Looks at what depends on tasks that ended without success. A list instead of recursion: chains are long.
    fn sweep_behind(&mut self, effort: &mut u32, now: Timestamp, actions: &mut Vec<Action>) {
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
                    return;
                }
                *effort -= 1;
                ended.done += 1;
                let status = match self.count_upstream(next, status) {
                    Decision::Wait => continue,
                    Decision::UpstreamFailed => TaskStatus::UpstreamFailed,
                    Decision::Skip => TaskStatus::Skipped,
                    Decision::Run => panic!("{:?} runs after a failure", self.id.task(next)),
                };
                self.close_unrun(next, status, Arc::clone(&ended.msg), now, actions);
            }
        }
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
        let job = self.jobs.job_mut(id);
        job.sweep_behind(&mut self.effort, now, &mut self.actions);
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
