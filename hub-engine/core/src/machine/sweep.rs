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
use super::remainder::{Behind, Remainder, Shut};
use super::trigger::Decision;
use super::withdraw::withdraw;
use crate::action::Action;
use crate::job::TriggerRule;
use crate::state::TaskError;
use crate::{JobId, Now, TaskStatus, Timestamp};

impl LiveJob {
    /// This task ended without success: what depends on it will be looked at.
    pub(super) fn look_downstream(&mut self, index: u32) {
        if !self.downstream.of(index).is_empty() {
            let msg = self.why_not_run(index);
            self.sweep.behind.push(Behind { task: index, done: 0, msg });
        }
    }

    /// This task will be skipped, since its trigger rule cannot be met.
    pub(super) fn skip(&mut self, index: u32) {
        let is_skipped = |before: &&u32| self.task(**before).state().status == TaskStatus::Skipped;
        let rule = self.task(index).rule;
        let cause = self.spec(index).upstream().iter().find(is_skipped).filter(|_| rule == TriggerRule::AllSuccess);
        let msg = match cause {
            Some(cause) => self.why_not_run(*cause),
            None => format!("did not run, because its trigger rule {} cannot be met any more", rule.as_str()).into(),
        };
        self.shut(index, msg, None);
    }

    /// This task will end without having run: skipped, or failed with this error.
    pub(super) fn shut(&mut self, task: u32, msg: Arc<str>, error: Option<Arc<TaskError>>) {
        self.sweep.shut.push(Shut { task, msg, error });
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

    /// Ends tasks whose gates are shut, and looks at what depends on tasks that ended without success. Returns the tasks that
    /// have become ready. A list instead of recursion: chains are long.
    fn sweep_behind(&mut self, effort: &mut u32, now: Timestamp, actions: &mut Vec<Action>) -> Vec<u32> {
        let mut ready = Vec::new();
        while *effort > 0
            && let Some(Shut { task, msg, error }) = self.sweep.shut.pop()
        {
            *effort -= 1;
            // Its end may have been decided twice.
            if self.task(task).place != Place::Blocked {
                continue;
            }
            let status = if error.is_some() { TaskStatus::Failed } else { TaskStatus::Skipped };
            self.task_mut(task).state_mut().error = error;
            self.close_unrun(task, status, msg, now, actions);
            if status == TaskStatus::Failed {
                self.note_failure(task, actions);
            }
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
                        // So that no other end has it run again.
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
    pub(super) fn sweep_on(&mut self, now: Now) {
        for id in std::mem::take(&mut self.sweeping) {
            // It may have ended meanwhile.
            if self.is_live(id) {
                self.sweep(id, now);
            }
        }
    }

    /// Does what is to be done about the tasks of a job, as far as this turn's effort lasts, and ends the job where
    /// no task is left.
    pub(super) fn sweep(&mut self, id: JobId, now: Now) {
        let ready = self.jobs.job_mut(id).sweep_behind(&mut self.effort, now.wall, &mut self.actions);
        if !ready.is_empty() {
            self.make_ready(id, &ready, now);
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
            job.close_task(index, TaskStatus::Cancelled, now.wall, &mut self.actions);
        }
        self.actions.append(&mut stopped);
        if job.has_to_sweep() && !self.sweeping.contains(&id) {
            self.sweeping.push(id);
        }
        self.settle_job(id, now.wall);
    }
}
