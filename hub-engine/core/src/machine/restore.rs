//! Restores jobs from the store after a restart.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Machine;
use super::hand_out::{FAILED_BYTES, assignment};
use super::live::LiveJob;
use super::module_defaults::share_defaults;
use super::place::Place;
use super::trigger::Decision;
use super::turn_budget::TurnBudget;
use crate::action::Action;
use crate::job::{Job, Phase, SubJob};
use crate::state::{JobSnapshot, JobState, TaskState};
use crate::{JobId, Now, TaskStatus};

impl Machine {
    /// Restores a job that has not ended. Issues that the broker had not confirmed are published again as the same
    /// issues. Confirmed issues of earlier incarnations stay current. A job that is live already or has ended is
    /// ignored.
    ///
    /// # Panics
    /// If the snapshot is inconsistent.
    pub fn restore(&mut self, snapshot: JobSnapshot, now: Now) {
        let JobSnapshot { id, job, state, mut tasks, mut items, .. } = snapshot;
        let job = self.shared_text(job, &state);
        if state.status.is_terminal() || self.jobs.of_family(id.family()).is_some() {
            return;
        }
        share_defaults(tasks.iter_mut().chain(items.values_mut()));
        share_equal(tasks.iter_mut().chain(items.values_mut()));
        let mut live = LiveJob::with_states(id, job, state, tasks);
        live.waits_for_start = live.is_before_start(now.wall) && live.phase() == Phase::Tasks;
        let positions = live.positions_until_now();
        self.insert(live);
        self.set_job_timers(id, now);
        for index in positions {
            self.restore_task(id, index, &items, now);
        }
        let job = self.jobs.job_mut(id);
        job.restore_first_failure();
        if job.was_stopping() {
            self.stop_job(id, now);
        } else if job.is_marked_failed() {
            self.end_job(id, now);
        } else {
            job.resume();
            self.sweep(id, now);
        }
    }

    /// The job as its parent has it, so that the sub-jobs of many items share one text.
    fn shared_text(&self, job: Arc<Job>, state: &JobState) -> Arc<Job> {
        let parent = state.details.as_deref().and_then(|details| details.parent.as_ref());
        let Some((id, index)) = parent.and_then(|parent| self.find_task(parent.task)) else { return job };
        let known = self.jobs.job(id).spec(index).sub_job().map(SubJob::job);
        known.filter(|known| known.source() == job.source()).map_or(job, Arc::clone)
    }

    pub(super) fn restore_task(&mut self, id: JobId, index: u32, items: &BTreeMap<u32, Arc<TaskState>>, now: Now) {
        let job = self.jobs.job_mut(id);
        let is_wait = job.spec(index).wait().is_some();
        let task = job.task_mut(index);
        let state = task.state();
        let issue = state.issue;
        match state.status {
            TaskStatus::Pending if state.waits_for_a_time() => self.wait_for_its_time(id, index, now),
            TaskStatus::Pending => match task.decision() {
                Decision::Run => self.make_ready(id, &[index], now),
                Decision::Skip => job.skip(index),
                // What fails a task is counted when the job is resumed.
                Decision::Wait | Decision::UpstreamFailed => {}
            },
            TaskStatus::Running if is_wait => self.await_further(id, index, now),
            TaskStatus::Running if task.child().is_some() => {
                task.place = Place::SubJob;
                self.restored_parents.push((id, index));
            }
            TaskStatus::Running if state.launched => task.place = Place::Launched,
            TaskStatus::Running if state.has_items() => self.restore_items(id, index, items, now),
            // Its items may have been out when the job was cancelled.
            TaskStatus::Cancelled if state.has_items() => self.restore_cancelled_items(id, index, items, now),
            TaskStatus::Running => {
                // The lease can expire also if the worker is unknown.
                let worker = Arc::clone(task.state_mut().worker.get_or_insert_with(|| Arc::from("unknown")));
                task.place = Place::Leased;
                let issue = issue.expect("a running task has an issue").of(id.task(index));
                self.workers.hold(&worker, issue, now);
            }
            TaskStatus::Submitted => {
                let was_confirmed = state.confirmed;
                task.place = Place::Window;
                let pool = Arc::clone(job.spec(index).pool());
                self.enter_window(&pool, id.task(index), 0, now.steady);
                if !was_confirmed {
                    self.unconfirmed.push_back((id, index));
                }
            }
            _ => {}
        }
        let place = self.jobs.job(id).task(index).place;
        if matches!(place, Place::Window | Place::Leased | Place::Launched | Place::SubJob) {
            self.restore_flight(id, index);
        }
        self.watch_again(id, index, now);
    }

    /// Sets the timers of the limits of a task that has been restored.
    fn watch_again(&mut self, id: JobId, index: u32, now: Now) {
        let task = self.jobs.job(id).task(index);
        let (place, began) = (task.place, task.state().started_at);
        if let Some(began) = began.filter(|_| matches!(place, Place::Leased | Place::Launched | Place::SubJob)) {
            self.watch_attempt(id, index, began, now);
        }
        if place != Place::Ended {
            self.watch_schedule(id, index, now);
        }
    }

    /// Publishes issues of earlier incarnations again, within the budget of this turn.
    pub(super) fn publish_again(&mut self, budget: &mut TurnBudget, now: Now) {
        while budget.is_left() {
            let Some((id, index)) = self.unconfirmed.pop_front() else {
                return;
            };
            budget.spend(self.publish_one_again(id, index, now));
        }
        self.is_filling |= !self.unconfirmed.is_empty();
    }

    /// Publishes one issue again. Returns the number of bytes of arguments filled.
    fn publish_one_again(&mut self, id: JobId, index: u32, now: Now) -> usize {
        // The job may have ended, or is being cancelled.
        let Some(job) = self.jobs.find_mut(id).filter(|job| !job.cancelled) else { return 0 };
        // The broker may have received the issue nevertheless, and a worker may have reported it.
        let (place, state) = (job.task(index).place, job.task(index).state());
        let Some(issue) = state.issue.filter(|_| place == Place::Window && !state.confirmed) else {
            return 0;
        };
        match job.arguments(index, self.settings.max_value_bytes) {
            Ok(arguments) => {
                let bytes = arguments.bytes();
                self.actions.push(Action::Publish(Box::new(assignment(job, index, issue, arguments))));
                bytes
            }
            Err(error) => {
                self.withdraw(id, index);
                self.fail_unfilled(id, index, &error, now);
                FAILED_BYTES
            }
        }
    }
}

/// Lets neighbours in equal states share them, since many tasks may wait for the same time: see [`LiveJob::share_state`].
fn share_equal<'s>(states: impl Iterator<Item = &'s mut Arc<TaskState>>) {
    let mut before: Option<Arc<TaskState>> = None;
    for state in states {
        match &before {
            Some(before) if before == state => *state = Arc::clone(before),
            _ => before = Some(Arc::clone(state)),
        }
    }
}
