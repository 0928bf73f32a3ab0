//! What operators do with tasks that have not ended: start the next attempt, skip, fail.

use std::sync::Arc;

use super::place::Place;
use super::types::OutOfBounds;
use super::{Machine, texts, timeouts};
use crate::details::{RepairAction, RepairRecord};
use crate::text::cut;
use crate::{Json, Now, TaskId, TaskStatus};

/// A repair of a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repair {
    /// What to do.
    pub action: RepairAction,
    /// For [`RepairAction::Skip`]: the data with which the task ends `SUCCESS`. `None`: it ends `SKIPPED`.
    pub data: Option<Json>,
    /// Who asks for it.
    pub by: Option<Arc<str>>,
    /// Why.
    pub reason: Option<Arc<str>>,
}

/// Why a repair is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RepairError {
    /// No task of a job that has not ended has this id.
    #[error("no such task is live")]
    UnknownTask,
    /// The task has ended.
    #[error("the task has ended already ({0}): finished tasks do not change")]
    AlreadyEnded(TaskStatus),
    /// The job of the task is being cancelled, which ends the task.
    #[error("its job is being cancelled")]
    Cancelling,
    /// A worker has the task, or it waits for its result from outside. A task that waits for something else can be
    /// skipped or failed.
    #[error("the task is running: it can be repaired when it waits")]
    Running,
    /// The task waits neither for its next attempt nor for an operator.
    #[error("the task waits neither for its next attempt nor for an operator")]
    NotBetweenAttempts,
    /// The task is a handler, and the tasks before it have not ended.
    #[error("the task is a handler, and its list has not begun")]
    NotBegun,
    /// The data is larger or deeper than a value may be.
    #[error(transparent)]
    OutOfBounds(#[from] OutOfBounds),
}

impl Machine {
    /// Repairs a task that waits.
    ///
    /// # Errors
    /// If the task is unknown, runs, has ended, or does not wait for what the repair is about.
    pub fn repair(&mut self, task: TaskId, repair: Repair, now: Now) -> Result<(), RepairError> {
        let (id, index) = self.find_task(task).ok_or(RepairError::UnknownTask)?;
        repair.data.as_ref().map_or(Ok(()), |data| OutOfBounds::check(data, self.settings.max_value_bytes))?;
        let job = self.jobs.job(id);
        let (place, status) = (job.task(index).place, job.task(index).state().status);
        if status.is_terminal() {
            return Err(RepairError::AlreadyEnded(status));
        }
        if job.cancelled {
            return Err(RepairError::Cancelling);
        }
        if !job.has_begun(index) {
            return Err(RepairError::NotBegun);
        }
        let is_waiting = place == Place::Waiting;
        if status != TaskStatus::Pending && !is_waiting {
            return Err(RepairError::Running);
        }
        let is_between = job.task(index).state().waits_for_a_time();
        let is_possible = match repair.action {
            RepairAction::Skip => true,
            RepairAction::Fail => is_between || is_waiting,
            RepairAction::Retry => is_between,
        };
        if !is_possible {
            return Err(RepairError::NotBetweenAttempts);
        }
        self.withdraw(id, index);
        let job = self.jobs.job_mut(id);
        let item = job.job.item(index);
        if let Some(item) = item.filter(|_| place == Place::Blocked) {
            // It takes a place among the items that run, as each item does that ends.
            job.group_mut(item.task).active += 1;
        }
        let job_time = job.clock().read(now.wall);
        let held_for = job.task(index).state().details.as_deref().and_then(|details| details.held_for(job_time));
        let before = job.bytes();
        job.note_repair(index, &repair, place == Place::Held, now.wall);
        self.live_bytes = self.live_bytes + job.bytes() - before;
        match (repair.action, repair.data) {
            (RepairAction::Retry, _) => {
                job.shift_schedule(index, held_for.unwrap_or_default());
                job.persist_task(index, &mut self.actions);
                self.admit(id, index, now);
            }
            (RepairAction::Fail, _) => {
                let state = job.task_mut(index).state_mut();
                state.msg.get_or_insert_with(|| "failed by an operator".into());
                self.end(id, index, TaskStatus::Failed, now);
            }
            (RepairAction::Skip, Some(data)) => {
                let state = job.task_mut(index).state_mut();
                (state.data, state.msg, state.error) = (Some(data), None, None);
                self.end(id, index, TaskStatus::Success, now);
            }
            (RepairAction::Skip, None) => {
                let who = repair.by.as_deref().map_or_else(String::new, |by| format!(" ({by})"));
                let msg = format!("was skipped by an operator{who}").into();
                let state = job.task_mut(index).state_mut();
                state.error = None;
                if item.is_some() {
                    state.msg = Some(msg);
                    self.end(id, index, TaskStatus::Skipped, now);
                    return Ok(());
                }
                job.end_unrun(index, msg, None);
                timeouts::stop_clocks(job, index, &mut self.timers);
                self.sweep(id, now);
            }
        }
        Ok(())
    }
}

impl super::live::LiveJob {
    /// Notes a repair in the details of its task, which does not wait for a time any more.
    fn note_repair(&mut self, index: u32, repair: &Repair, is_held: bool, now: crate::Timestamp) {
        let details = self.task_mut(index).state_mut().details_mut();
        let before = details.weight();
        if is_held && repair.action == RepairAction::Retry {
            details.rare_mut().grants = details.rare().grants.saturating_add(1);
        }
        details.end_wait();
        let short = |text: &Option<Arc<str>>| text.clone().map(|text| cut(text, texts::MAXIMUM_REASON));
        let (by, reason) = (short(&repair.by), short(&repair.reason));
        details.keep_repair(RepairRecord { action: repair.action, at: now, by, reason });
        let after = details.weight();
        self.resize(before, after);
    }
}
