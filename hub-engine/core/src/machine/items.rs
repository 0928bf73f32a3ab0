//! What a live job knows about the items of its tasks.

use std::ops::Range;
use std::sync::Arc;

use super::item_group::ItemGroup;
use super::live::LiveJob;
use super::live_task::LiveTask;
use crate::action::Action;
use crate::job::{Attribute, ConditionError, FillError, ForEach, ItemPlace, Template};
use crate::state::{ErrorKind, TaskError};
use crate::{Json, TaskStatus, Timestamp};

/// What becomes of an item that is looked at.
pub(super) enum ItemGate {
    /// It runs.
    Open,
    /// It ends without having run: it fails, if there is an error, or is skipped.
    Closed(Arc<str>, Option<TaskError>),
}

impl LiveJob {
    /// The item at `index`.
    ///
    /// # Panics
    /// If there is none, which is a bug of the machine.
    pub(super) fn item(&self, index: u32) -> &LiveTask {
        let ItemPlace { task, item } = self.job.item(index).expect("the position of an item");
        &self.groups[&task].items[item as usize]
    }

    /// Like [`LiveJob::item`], for writing.
    pub(super) fn item_mut(&mut self, index: u32) -> &mut LiveTask {
        let ItemPlace { task, item } = self.job.item(index).expect("the position of an item");
        &mut self.group_mut(task).items[item as usize]
    }

    /// The items of the task at `task`.
    ///
    /// # Panics
    /// If it has none, which is a bug of the machine.
    pub(super) fn group_mut(&mut self, task: u32) -> &mut ItemGroup {
        self.groups.get_mut(&task).expect("the task has items")
    }

    /// Whether there is a task or an item at `index`.
    pub(super) fn contains(&self, index: u32) -> bool {
        let is_item = |ItemPlace { task, item }| {
            self.groups.get(&task).is_some_and(|group: &ItemGroup| (item as usize) < group.items.len())
        };
        (index as usize) < self.tasks.len() || self.job.item(index).is_some_and(is_item)
    }

    /// The first position from `index` on at which there is a task or an item.
    pub(super) fn position_from(&self, index: u32) -> Option<u32> {
        if (index as usize) < self.tasks.len() {
            return Some(index);
        }
        let group = self.groups.values().find(|group| index < group.first + group.items.len() as u32);
        group.map(|group| index.max(group.first))
    }

    /// The positions of all tasks and items.
    pub(super) fn positions(&self) -> impl Iterator<Item = u32> + use<> {
        let items = self.groups.values().map(|group| group.first..group.first + group.items.len() as u32);
        let ranges: Vec<Range<u32>> = std::iter::once(0..self.tasks.len() as u32).chain(items).collect();
        ranges.into_iter().flatten()
    }

    /// Number of tasks and items.
    pub(super) fn count(&self) -> u64 {
        (self.tasks.len() + self.groups.values().map(|group| group.items.len()).sum::<usize>()) as u64
    }

    /// What becomes of an item: its condition decides.
    pub(super) fn item_gate(&mut self, index: u32, limit: usize) -> ItemGate {
        let checked = Arc::clone(&self.job);
        let Some(condition) = checked.spec(index).for_each().and_then(ForEach::when) else { return ItemGate::Open };
        match condition.holds(&mut |template| self.fill_for(index, template, limit)) {
            Ok(true) => ItemGate::Open,
            Ok(false) => ItemGate::Closed("was skipped, because its condition (for_each.when) is false".into(), None),
            Err(ConditionError::Fill(error)) => {
                let (kind, why) = self.why_unfilled("its condition (for_each.when)", &error);
                ItemGate::Closed(why.into(), Some(TaskError::new(kind)))
            }
            Err(ConditionError::WrongType(why)) => {
                let why = format!("its condition (for_each.when): {why}");
                ItemGate::Closed(why.into(), Some(TaskError::new(ErrorKind::BadCondition)))
            }
        }
    }

    /// Ends an item that has been withdrawn or was never let into the pool.
    pub(super) fn close_item(&mut self, index: u32, status: TaskStatus, now: Timestamp, actions: &mut Vec<Action>) {
        self.close_task(index, status, now, actions);
        let bytes = self.item(index).bytes();
        self.grow(bytes);
    }

    /// Counts the end of an item in the state of its task.
    pub(super) fn count_item(&mut self, index: u32, status: TaskStatus) {
        let ItemPlace { task, .. } = self.job.item(index).expect("the position of an item");
        self.group_mut(task).open -= 1;
        if let Some(counts) = &mut self.task_mut(task).state_mut().details_mut().rare_mut().items {
            counts.count(status);
        }
    }

    /// Ends the items of a task, all of which have ended: puts their results together and frees their memory. Returns the list of
    /// results, or its size if that exceeds `limit`.
    pub(super) fn gather_items(&mut self, task: u32, limit: usize) -> Result<Json, u64> {
        let group = self.group_mut(task);
        let data = |item: &LiveTask| item.state().data.as_ref().map_or(4, |data| data.get().len());
        let size = group.items.iter().map(|item| data(item) + 2).sum::<usize>().max(2);
        let gathered = if size > limit {
            Err(size as u64)
        } else {
            let mut text = String::with_capacity(size);
            text.push('[');
            for (at, item) in group.items.iter().enumerate() {
                if at > 0 {
                    text.push_str(", ");
                }
                text.push_str(item.state().data.as_ref().map_or("null", Json::get));
            }
            text.push(']');
            Ok(Json::from_checked(text))
        };
        self.forget_items(task);
        gathered
    }

    /// Frees the memory of the items of a task that have all ended. They are in the store.
    pub(super) fn forget_items(&mut self, task: u32) {
        let group = self.group_mut(task);
        group.source = None;
        let bytes = group.items.iter().map(LiveTask::all_bytes).sum();
        group.items.iter_mut().for_each(LiveTask::forget);
        self.shrink(bytes);
    }

    /// Fills a template for the task or the item at `index`, with at most `limit` bytes. The tasks that it refers to have ended.
    pub(super) fn fill_for(&mut self, index: u32, template: &Template, limit: usize) -> Result<Json, FillError> {
        let Some(place) = self.job.item(index) else { return self.fill(template, limit, None) };
        let needs_item = template.references().any(|reference| reference.attribute == Attribute::Item);
        let source = self.groups[&place.task].source.as_ref();
        let item = source.filter(|_| needs_item).map_or_else(Json::null, |source| source.get(place.item));
        self.fill(template, limit, Some((place, item)))
    }
}
