//! Finds the tasks of a job by name.

use std::hash::{BuildHasher, RandomState};

use super::draft::TaskDraft;
use super::path::Path;
use super::phase::Lists;
use super::problem::ProblemCode;
use super::quoted::quoted;
use super::report::Report;

/// Tasks by name.
///
/// In a large job, cache misses dominate the cost of a look-up. So this is a table with eight bytes per slot, where a
/// hash map from names to positions has 25 bytes and reads two places. Names that differ only in their last byte, such
/// as numbered names, are stored close together.
pub(super) struct TaskNames<'v> {
    tasks: &'v [TaskDraft<'v>],
    /// An open-addressing table with linear probing. At least half of the slots are free.
    slots: Box<[Slot]>,
    hasher: RandomState,
    /// The tasks with the name of an earlier task, in the order of the text.
    later: Vec<u32>,
}

#[derive(Clone, Copy)]
struct Slot {
    /// A part of the hash of the name. It differs for nearly all other names.
    mark: u32,
    /// The position of the task, or [`FREE`].
    task: u32,
}

/// Stands for "no task".
const FREE: u32 = u32::MAX;

impl<'v> TaskNames<'v> {
    /// Builds the table and reports duplicate names.
    pub(super) fn new(report: &mut Report, tasks: &'v [TaskDraft<'_>], lists: Lists) -> Self {
        let slots = vec![Slot { mark: 0, task: FREE }; (tasks.len() * 2).next_power_of_two()].into();
        let mut names = Self { tasks, slots, hasher: RandomState::new(), later: Vec::new() };
        for (task, index) in tasks.iter().zip(0..).filter(|(task, _)| !task.name.is_empty()) {
            let (at, mark) = names.slot(&task.name);
            let slot = &mut names.slots[at];
            if slot.task == FREE {
                *slot = Slot { mark, task: index };
            } else {
                report_duplicate_name(report, task, slot.task, index, lists);
                names.later.push(index);
            }
        }
        names
    }

    /// The position of the first task with this name.
    pub(super) fn find(&self, name: &str) -> Option<u32> {
        let (at, _) = self.slot(name);
        Some(self.slots[at].task).filter(|task| *task != FREE)
    }

    /// Returns the slot of a name (a free slot if the name is absent) and its mark. At most 256 names share a
    /// neighbourhood for any input, because the hash of the bytes before the last is seeded at random.
    fn slot(&self, name: &str) -> (usize, u32) {
        let (end, before) = name.as_bytes().split_last().unwrap_or((&0, &[]));
        let hash = self.hasher.hash_one(before).wrapping_add(u64::from(*end));
        let mark = (hash >> 32) as u32 ^ u32::from(*end);
        let last = self.slots.len() - 1;
        let mut at = hash as usize & last;
        loop {
            let slot = self.slots[at];
            let is_it = || slot.mark == mark && self.tasks[slot.task as usize].name == name;
            if slot.task == FREE || is_it() {
                return (at, mark);
            }
            at = (at + 1) & last;
        }
    }

    /// Suggests the task that was probably intended. Compares each name once, in the order of the text, so the
    /// suggestion is deterministic.
    pub(super) fn did_you_mean(&self, report: &mut Report, name: &str) -> Option<String> {
        let named = self.tasks.iter().zip(0..).filter(|(task, _)| !task.name.is_empty());
        let first = named.filter(|(_, index)| self.later.binary_search(index).is_err());
        report.did_you_mean(name, first.map(|(task, _)| &*task.name))
    }
}

fn report_duplicate_name(report: &mut Report, task: &TaskDraft<'_>, first: u32, index: u32, lists: Lists) {
    let root = Path::Root;
    let list = root.key(lists.phase(index).as_str());
    let here = list.index(lists.place_in_list(index));
    let first_list = root.key(lists.phase(first).as_str());
    let first = first_list.index(lists.place_in_list(first));
    let name = quoted(&task.name);
    let message = format!("duplicate task name {name}, first used by {first}");
    let suggestion = "to run one module in several tasks, name it in \"task_name\"".to_owned();
    report.add(ProblemCode::DuplicateTask, here.key("name"), task.name_at, message, Some(suggestion));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_small_and_large_jobs() {
        for count in [0, 1, 2, 1000] {
            let drafts: Vec<TaskDraft<'_>> = (0..count).map(|number| draft(format!("t{number}"))).collect();
            let mut report = Report::new();
            let names = TaskNames::new(&mut report, &drafts, lists_of(&drafts));
            assert!(report.is_empty());
            for (draft, index) in drafts.iter().zip(0..) {
                assert_eq!(names.find(&draft.name), Some(index));
            }
            for absent in ["", "t", "t1000", "t01", "u1"] {
                assert_eq!(names.find(absent), None, "{absent}");
            }
        }
    }

    #[test]
    fn a_duplicate_name_finds_the_first_task() {
        let drafts = ["a", "", "b", "a", ""].map(|name| draft(name.to_owned()));
        let mut report = Report::new();
        let names = TaskNames::new(&mut report, &drafts, lists_of(&drafts));
        assert!(!report.is_empty());
        assert_eq!(["a", "b", ""].map(|name| names.find(name)), [Some(0), Some(2), None]);
    }

    fn lists_of(drafts: &[TaskDraft<'_>]) -> Lists {
        let end = drafts.len() as u32;
        Lists { on_failure: end, finally: end, end }
    }

    fn draft(name: String) -> TaskDraft<'static> {
        TaskDraft { name: name.into(), ..TaskDraft::at(0) }
    }
}
