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
use super::place::{Place, withdraw};
use crate::action::Action;
use crate::{JobId, TaskStatus, Timestamp};

/// Maximum number of tasks that one turn looks at.
pub(super) const TASKS: u32 = 10_000;

/// What is still to be done about tasks of a job.
#[derive(Debug, Default)]
pub(super) struct Sweep {
    /// Tasks that did not succeed. What waits for them has not ended yet.
    behind: Vec<Behind>,
    /// The one that is being worked on.
    current: Option<Behind>,
    /// The next task to cancel.
    cancel: Option<u32>,
}

/// A task that did not succeed.
#[derive(Debug)]
struct Behind {
    task: u32,
    /// How many of those that wait for it are dealt with.
    done: usize,
    /// What is said of them. It names the task that all this began with.
    msg: Arc<str>,
}

impl Sweep {
    fn is_over(&self) -> bool {
        self.behind.is_empty() && self.current.is_none() && self.cancel.is_none()
    }
}

impl LiveJob {
    /// Everything behind this task, which did not succeed, will not run.
    pub(super) fn fail_downstream(&mut self, index: u32) {
        if self.downstream.of(index).is_empty() {
            return;
        }
        let msg = format!("did not run, because the task {:?} did not succeed", self.spec(index).name());
        self.sweep.behind.push(Behind { task: index, done: 0, msg: msg.into() });
    }

    /// Every task that has not ended will be cancelled.
    pub(super) fn begin_cancel(&mut self) {
        if !std::mem::replace(&mut self.cancelled, true) {
            self.sweep = Sweep { cancel: Some(0), ..Sweep::default() };
        }
    }

    /// Whether tasks are left that [`Machine::sweep`] has to end.
    pub(super) fn has_to_sweep(&self) -> bool {
        !self.sweep.is_over()
    }

    /// A list instead of recursion: chains are long.
    fn sweep_behind(&mut self, effort: &mut u32, now: Timestamp, actions: &mut Vec<Action>) {
        while let Some(mut failed) = self.sweep.current.take().or_else(|| self.sweep.behind.pop()) {
            while let Some(next) = self.downstream.of(failed.task).get(failed.done).copied() {
                if *effort == 0 {
                    self.sweep.current = Some(failed);
                    return;
                }
                *effort -= 1;
                failed.done += 1;
                if self.task(next).place != Place::Blocked {
                    continue;
                }
                self.task_mut(next).state_mut().msg = Some(Arc::clone(&failed.msg));
                self.close_task(next, TaskStatus::UpstreamFailed, now, actions);
                self.sweep.behind.push(Behind { task: next, done: 0, msg: Arc::clone(&failed.msg) });
            }
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
