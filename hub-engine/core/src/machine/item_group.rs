//! The items of one task, while its job is live.

use std::sync::Arc;

use super::live_task::LiveTask;
use super::place::Place;
use crate::details::ItemCounts;
use crate::job::Items;
use crate::state::TaskState;

/// The items of one task.
#[derive(Debug)]
pub(super) struct ItemGroup {
    /// The position of the first item.
    pub(super) first: u32,
    pub(super) items: Vec<LiveTask>,
    /// The values of the items. `None` when all have ended.
    pub(super) source: Option<Items>,
    /// The first item that has not been looked at.
    pub(super) next: u32,
    /// Number of items that were let into the pool and have not ended.
    pub(super) active: u32,
    /// Number of items that have not ended.
    pub(super) open: u32,
    /// The next item to give up, if too many have failed.
    pub(super) giving_up: Option<u32>,
}

impl ItemGroup {
    /// The items of the task whose first item is at `first`, in these states. An item without a state is untouched.
    pub(super) fn new(first: u32, source: Items, state: impl Fn(u32) -> Option<Arc<TaskState>>) -> Self {
        let items: Vec<LiveTask> = (0..source.count()).map(|item| LiveTask::item(state(first + item))).collect();
        let open = items.iter().filter(|item| item.place != Place::Ended).count() as u32;
        Self { first, items, source: Some(source), next: 0, active: 0, open, giving_up: None }
    }

    /// How its items have ended.
    pub(super) fn counts(&self) -> ItemCounts {
        let mut counts = ItemCounts { total: self.items.len() as u32, ..ItemCounts::default() };
        self.items.iter().filter(|item| item.place == Place::Ended).for_each(|item| counts.count(item.state().status));
        counts
    }
}
