//! Fills the arguments of tasks and items for their records.

use std::collections::HashMap;

use crate::Json;
use crate::details::TaskDetails;
use crate::job::{Attribute, ForEach, Items, Limits, Lookup, Template, Values};
use crate::machine::Owner;
use crate::state::JobSnapshot;

/// What the records of one job have looked up so far.
#[derive(Debug, Default)]
pub(super) struct Filler {
    /// The values that references of the tasks lead to.
    values: Values,
    /// The items of tasks, as far as they are known.
    items: HashMap<u32, Option<Items>>,
}

impl JobSnapshot {
    /// The arguments of the task or the item at `index`, with references replaced once it has been handed out. If that is
    /// not possible, they are shown as they were written.
    pub(super) fn arguments(&self, index: u32, template: Option<&Template>, filler: &mut Filler) -> Option<Json> {
        let template = template?;
        let state = self.state_of(index);
        let has_taken = |details: &TaskDetails| details.rare().cache.as_ref().is_some_and(|cache| cache.from.is_some());
        if state.issue.is_none() && !state.details.as_deref().is_some_and(has_taken) {
            return Some(template.text());
        }
        let place = self.job.item(index);
        if let Some(place) = place {
            filler.values.forget_item(place.task);
            if !filler.items.contains_key(&place.task) {
                let items = self.items_of(place.task, &mut filler.values);
                filler.items.insert(place.task, items);
            }
        }
        // A task that was kept was called in another job.
        let called_in =
            self.state_of(index).details.as_deref().and_then(|details| details.rare().kept_from).unwrap_or(self.id);
        let items = place.and_then(|place| filler.items.get(&place.task)?.as_ref());
        let owner = Owner::of(called_in, &self.job, &self.state);
        let state_of = |task: u32| self.tasks.get(task as usize).map(AsRef::as_ref);
        let value = |task: u32, attribute| match (attribute, place) {
            (Attribute::Item, Some(place)) => {
                items.filter(|items| place.item < items.count()).map(|items| items.get(place.item))
            }
            (Attribute::Index, Some(place)) => Some(Json::from_checked(place.item.to_string())),
            _ => owner.value_of(task, attribute, state_of),
        };
        let task_read = |task, attribute| owner.task_read(task, attribute, state_of);
        let lookup = Lookup { value, task_read };
        // The arguments were within the limit of the dispatcher that handed them out.
        let filled = self.job.fill(template, Limits::MAX_VALUE_BYTES, &mut filler.values, lookup);
        Some(filled.unwrap_or_else(|_| template.text()))
    }

    /// What the task at `index` iterates over.
    fn items_of(&self, index: u32, values: &mut Values) -> Option<Items> {
        let for_each: &ForEach = self.job.spec(index).for_each()?;
        let owner = Owner::of(self.id, &self.job, &self.state);
        let state_of = |task: u32| self.tasks.get(task as usize).map(AsRef::as_ref);
        let lookup = |task: u32, attribute| owner.value_of(task, attribute, state_of);
        let value = self.job.fill(for_each.source(), Limits::MAX_VALUE_BYTES, values, lookup).ok()?;
        Items::of(&value, for_each.batch).ok()
    }
}
