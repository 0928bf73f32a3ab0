//! Tasks that run for the items of a list: their expansion, their items, and their end.
//!
//! An item is a task of the same job at a position beyond the tasks of the text. It waits, runs and fails as other tasks do,
//! and the state of an item that nothing has happened to is not stored. The expansion is stored as the number of items
//! in the state of the task; after a restart the items follow from the results of other tasks, which do not change.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::item_group::ItemGroup;
use super::items::ItemGate;
use super::place::Place;
use super::{Machine, timeouts};
use crate::action::Action;
use crate::details::ItemCounts;
use crate::job::{FillError, Items, ItemsError};
use crate::state::{ErrorKind, TaskError, TaskState};
use crate::{JobId, Json, Now, TaskStatus};

impl Machine {
    /// A task has passed the gates before its pool: it goes there, or its items do, or it begins to wait.
    pub(super) fn admit(&mut self, id: JobId, index: u32, now: Now) {
        let job = self.jobs.job_mut(id);
        if job.spec(index).wait().is_some() {
            job.queue_wait(index);
            self.sweep(id, now);
        } else if job.spec(index).for_each().is_some() && job.job.item(index).is_none() {
            self.expand(id, index, now);
            self.sweep(id, now);
        } else {
            self.begin_schedules(id, &[index], now);
            self.enqueue(id, index);
        }
    }

    /// Begins with the items of a task. A task without items is left to [`Machine::sweep`].
    pub(super) fn expand(&mut self, id: JobId, index: u32, now: Now) {
        let items = match self.items_of(id, index) {
            Ok(items) => items,
            Err((kind, msg)) => {
                let error = Some(Arc::new(TaskError::new(kind)));
                return self.jobs.job_mut(id).end_unrun(index, msg.into(), error);
            }
        };
        let job = self.jobs.job_mut(id);
        if items.count() == 0 {
            let state = job.task_mut(index).state_mut();
            state.data = Some(Json::from_checked("[]"));
            state.details_mut().rare_mut().items = Some(ItemCounts::default());
            return job.succeed_unrun(index);
        }
        job.begin(now.wall, &mut self.actions);
        let state = job.task_mut(index).state_mut();
        state.started_at = Some(now.wall);
        let details = state.details_mut();
        details.end_wait();
        details.rare_mut().items = Some(ItemCounts { total: items.count(), ..ItemCounts::default() });
        job.set_status(index, TaskStatus::Running, &mut self.actions);
        job.persist_task(index, &mut self.actions);
        self.insert_items(id, index, items, &BTreeMap::new());
        self.jobs.job_mut(id).task_mut(index).place = Place::Items;
        self.advancing.push((id, index));
    }

    /// What the task iterates over.
    fn items_of(&mut self, id: JobId, index: u32) -> Result<Items, (ErrorKind, String)> {
        let limit = self.settings.max_value_bytes;
        let job = self.jobs.job_mut(id);
        let checked = Arc::clone(&job.job);
        let for_each = checked.spec(index).for_each().expect("the task has for_each");
        let filled = job.fill_for(index, for_each.source(), limit);
        let value = filled.map_err(|error: FillError| job.why_unfilled("what it iterates over (for_each)", &error))?;
        Items::of(&value, for_each.batch).map_err(|error| {
            let kind = if error == ItemsError::TooMany { ErrorKind::TooManyItems } else { ErrorKind::BadArguments };
            (kind, format!("what it iterates over (for_each): {error}"))
        })
    }

    fn insert_items(&mut self, id: JobId, index: u32, items: Items, states: &BTreeMap<u32, Arc<TaskState>>) {
        let job = self.jobs.job_mut(id);
        let first = job.job.first_item(index).expect("the task has for_each");
        let before = job.bytes();
        let count = u64::from(items.count());
        let group = ItemGroup::new(first, items, |position| states.get(&position).cloned());
        job.insert_items(index, group);
        self.live_tasks += count;
        self.live_bytes = self.live_bytes + job.bytes() - before;
    }

    /// Continues with the items of a task that was restored.
    pub(super) fn restore_items(&mut self, id: JobId, index: u32, states: &BTreeMap<u32, Arc<TaskState>>, now: Now) {
        let items = match self.items_of(id, index) {
            Ok(items) => items,
            Err((kind, msg)) => {
                let error = Some(Arc::new(TaskError::new(kind)));
                return self.jobs.job_mut(id).end_unrun(index, msg.into(), error);
            }
        };
        self.insert_items(id, index, items, states);
        self.jobs.job_mut(id).task_mut(index).place = Place::Items;
        self.restore_places(id, index, now);
        self.advancing.push((id, index));
    }

    /// Restores the items of a task that was cancelled while some of them were out. The job ends with the last of them. Only earlier
    /// versions of Hub stored such a task as cancelled before its last item had ended.
    pub(super) fn restore_cancelled_items(
        &mut self,
        id: JobId,
        index: u32,
        states: &BTreeMap<u32, Arc<TaskState>>,
        now: Now,
    ) {
        if let Ok(items) = self.items_of(id, index) {
            self.insert_items(id, index, items, states);
            self.restore_places(id, index, now);
        }
    }

    /// Puts the items of a restored task into the places that follow from their states.
    fn restore_places(&mut self, id: JobId, index: u32, now: Now) {
        let job = self.jobs.job_mut(id);
        let group = job.group_mut(index);
        let counts = group.counts();
        let touched: Vec<u32> = (group.first..)
            .zip(&group.items)
            .filter(|(_, item)| item.is_touched() && item.place != Place::Ended)
            .map(|(position, _)| position)
            .collect();
        group.active = touched.len() as u32;
        job.task_mut(index).state_mut().details_mut().rare_mut().items = Some(counts);
        for position in touched {
            self.restore_task(id, position, &BTreeMap::new(), now);
        }
    }

    /// Ends an item whose result is in its state.
    pub(super) fn end_item(&mut self, id: JobId, index: u32, task: u32, status: TaskStatus, now: Now) {
        let job = self.jobs.job_mut(id);
        let before = job.bytes();
        job.close_item(index, status, now.wall, &mut self.actions);
        job.group_mut(task).active -= 1;
        timeouts::stop_clocks(job, index, &mut self.timers);
        self.live_bytes = self.live_bytes + job.bytes() - before;
        self.advance_items(id, task, now);
    }

    /// Continues the work on items that did not fit into earlier turns.
    pub(super) fn advance_on(&mut self, now: Now) {
        for (id, task) in std::mem::take(&mut self.advancing) {
            let is_open = |job: &super::live::LiveJob| job.task(task).place == Place::Items && !job.cancelled;
            if self.jobs.find(id).is_some_and(is_open) {
                self.advance_items(id, task, now);
            }
        }
    }

    /// Lets further items into their pool, or gives the rest up, within the budget of this turn. Ends the task after its last item.
    fn advance_items(&mut self, id: JobId, task: u32, now: Now) {
        let job = self.jobs.job_mut(id);
        if job.cancelled {
            // Until all tasks have been told to stop, the sweep finds it.
            let is_last = job.group_mut(task).open == 0 && job.task(task).place == Place::Items;
            if is_last && !job.is_sweep_pending() {
                self.close_cancelled(id, task, now);
            }
            // The job ends with its last item.
            return self.sweep(id, now);
        }
        let checked = Arc::clone(&job.job);
        let for_each = checked.spec(task).for_each().expect("the task has for_each");
        let counts =
            job.task(task).state().details.as_ref().and_then(|details| details.rare().items).unwrap_or_default();
        let has_failed = counts.failed > for_each.tolerated.of(counts.total);
        if for_each.fail_fast && has_failed && job.group_mut(task).giving_up.is_none() {
            job.group_mut(task).giving_up = Some(0);
        }
        if self.jobs.job_mut(id).group_mut(task).giving_up.is_some() {
            self.give_items_up(id, task, now);
        } else if !self.jobs.job(id).is_paused() {
            self.let_items_in(id, task, for_each.parallel.unwrap_or(u32::MAX), now);
        }
        if self.jobs.job_mut(id).group_mut(task).open == 0 {
            self.finish_items(id, task, now);
        }
    }

    fn let_items_in(&mut self, id: JobId, task: u32, parallel: u32, now: Now) {
        let limit = self.settings.max_value_bytes;
        let job = self.jobs.job_mut(id);
        let before = job.bytes();
        let mut ready = Vec::new();
        loop {
            let group = job.group_mut(task);
            let item = group.next;
            if group.active + ready.len() as u32 >= parallel || item as usize == group.items.len() {
                break;
            }
            if self.budget == 0 {
                self.advancing.push((id, task));
                break;
            }
            self.budget -= 1;
            group.next += 1;
            let index = group.first + item;
            // It was restored, and is somewhere already.
            if group.items[item as usize].is_touched() {
                continue;
            }
            match job.item_gate(index, limit) {
                ItemGate::Open => ready.push(index),
                ItemGate::Closed(msg, error) => {
                    let state = job.item_mut(index).state_mut();
                    state.msg = Some(msg);
                    let status = if error.is_some() { TaskStatus::Failed } else { TaskStatus::Skipped };
                    state.error = error.map(Arc::new);
                    job.close_item(index, status, now.wall, &mut self.actions);
                }
            }
        }
        job.group_mut(task).active += ready.len() as u32;
        self.live_bytes = self.live_bytes + job.bytes() - before;
        self.begin_schedules(id, &ready, now);
        self.enqueue_all(id, &ready);
        self.is_filling |= !ready.is_empty();
    }

    /// Too many items have failed: ends the others.
    fn give_items_up(&mut self, id: JobId, task: u32, now: Now) {
        loop {
            let group = self.jobs.job_mut(id).group_mut(task);
            let item = group.giving_up.unwrap_or(0);
            if item as usize == group.items.len() {
                return;
            }
            if self.budget == 0 {
                return self.advancing.push((id, task));
            }
            self.budget -= 1;
            group.giving_up = Some(item + 1);
            let index = group.first + item;
            if group.items[item as usize].place != Place::Ended {
                self.give_item_up(id, index, task, now);
            }
        }
    }

    fn give_item_up(&mut self, id: JobId, index: u32, task: u32, now: Now) {
        let place = self.withdraw(id, index);
        let job = self.jobs.job_mut(id);
        let before = job.bytes();
        if place != Place::Blocked {
            job.group_mut(task).active -= 1;
        }
        let state = job.item_mut(index).state_mut();
        let runs_job = place == Place::SubJob && state.status == TaskStatus::Running;
        let has_begun = place.is_out() || place == Place::Launched || runs_job;
        let (status, msg) = if has_begun {
            (TaskStatus::Cancelled, "was stopped, because too many items had failed")
        } else {
            (TaskStatus::Skipped, "was skipped, because too many items had failed")
        };
        state.msg = Some(msg.into());
        if let Some(issue) = state.issue.filter(|_| place.is_out()) {
            let (issue, grace) = (issue.of(id.task(index)), job.grace(index));
            self.actions.push(Action::Stop { issue, grace });
        }
        job.close_item(index, status, now.wall, &mut self.actions);
        timeouts::stop_clocks(job, index, &mut self.timers);
        self.live_bytes = self.live_bytes + job.bytes() - before;
        if runs_job {
            self.stop_sub_job(id, index);
        }
    }

    /// All items of a task have ended.
    fn finish_items(&mut self, id: JobId, task: u32, now: Now) {
        self.withdraw(id, task);
        let limit = self.settings.max_value_bytes;
        let job = self.jobs.job_mut(id);
        let before = job.bytes();
        let checked = Arc::clone(&job.job);
        let for_each = checked.spec(task).for_each().expect("the task has for_each");
        let counts =
            job.task(task).state().details.as_ref().and_then(|details| details.rare().items).unwrap_or_default();
        let tolerated = for_each.tolerated.of(counts.total);
        let status = if counts.failed > tolerated {
            let msg = job.why_items_failed(task, counts, tolerated);
            job.forget_items(task);
            let state = job.task_mut(task).state_mut();
            state.msg = Some(msg.into());
            state.error = Some(Arc::new(TaskError::new(ErrorKind::ItemsFailed)));
            TaskStatus::Failed
        } else {
            match job.gather_items(task, limit) {
                Ok(data) => job.task_mut(task).state_mut().data = Some(data),
                Err(bytes) => {
                    if let Some(counts) = &mut job.task_mut(task).state_mut().details_mut().rare_mut().items {
                        counts.data_bytes = Some(bytes);
                    }
                }
            }
            TaskStatus::Success
        };
        self.live_bytes = self.live_bytes + job.bytes() - before;
        self.end(id, task, status, now);
    }
}

impl super::live::LiveJob {
    fn why_items_failed(&mut self, task: u32, counts: ItemCounts, tolerated: u32) -> String {
        let ItemCounts { total, failed, .. } = counts;
        let group = self.group_mut(task);
        let is_failed = |(_, item): &(u32, &super::live_task::LiveTask)| item.state().status == TaskStatus::Failed;
        let first = (group.first..).zip(&group.items).find(is_failed).map(|(index, _)| index);
        let first = first.map(|index| {
            let failure = self.failure_of(index);
            format!("; first: {:?}: {}", failure.task, failure.msg)
        });
        let allowed = if tolerated == 0 { String::new() } else { format!(", {tolerated} are tolerated") };
        format!("{failed} of {total} items failed{allowed}{}", first.unwrap_or_default())
    }
}
