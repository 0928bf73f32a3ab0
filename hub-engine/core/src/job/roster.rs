//! The names of a job's tasks.

use std::hash::{BuildHasher, RandomState};

use super::draft::TaskDraft;
use super::path::Path;
use super::problem::ProblemCode;
use super::quoted::quoted;
use super::report::Report;

/// Tasks by name.
///
/// What a look-up costs in a large job is the wait for memory. So this is a table of eight bytes a slot, where
/// a map from names to positions has 25 and looks in two places; and names that differ in nothing but their
/// last byte, as numbered ones do, stand close together.
pub(super) struct Roster<'v> {
    tasks: &'v [TaskDraft<'v>],
    /// At least half of them are free. A name stands in the first slot, from where it belongs onwards, that
    /// was free when it came.
    slots: Box<[Slot]>,
    hasher: RandomState,
    /// The tasks whose name an earlier one has, in the order of the text.
    later: Vec<u32>,
}

#[derive(Clone, Copy)]
struct Slot {
    /// A part of the name's hash, by which nearly all other names are told apart.
    mark: u32,
    /// The position of the task, or [`FREE`].
    task: u32,
}

/// No task.
const FREE: u32 = u32::MAX;

impl<'v> Roster<'v> {
    /// Takes the names of all tasks that have one. A second task of one name is noted as a problem.
    pub(super) fn new(report: &mut Report, tasks: &'v [TaskDraft<'_>]) -> Self {
        let slots = vec![Slot { mark: 0, task: FREE }; (tasks.len() * 2).next_power_of_two()].into();
        let mut roster = Self { tasks, slots, hasher: RandomState::new(), later: Vec::new() };
        for (task, index) in tasks.iter().zip(0..).filter(|(task, _)| !task.name.is_empty()) {
            let (at, mark) = roster.slot(&task.name);
            let slot = &mut roster.slots[at];
            if slot.task == FREE {
                *slot = Slot { mark, task: index };
            } else {
                twice(report, task, slot.task, index);
                roster.later.push(index);
            }
        }
        roster
    }

    /// The position of the task of this name; of several the first.
    pub(super) fn find(&self, name: &str) -> Option<u32> {
        let (at, _) = self.slot(name);
        Some(self.slots[at].task).filter(|task| *task != FREE)
    }

    /// The slot where a name stands or, if that is free, is to be put; and the name's mark. At most 256 names
    /// belong close together whatever they are, as the hash of the bytes before the last cannot be foreseen.
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

    /// A suggestion of the task that was meant. Looks at the names in the order of the text, so that it does
    /// not depend on chance, and once at each.
    pub(super) fn did_you_mean(&self, report: &mut Report, name: &str) -> Option<String> {
        let named = self.tasks.iter().zip(0..).filter(|(task, _)| !task.name.is_empty());
        let first = named.filter(|(_, index)| self.later.binary_search(index).is_err());
        report.did_you_mean(name, first.map(|(task, _)| &*task.name))
    }
}

fn twice(report: &mut Report, task: &TaskDraft<'_>, first: u32, index: u32) {
    let root = Path::Root;
    let tasks = root.key("tasks");
    let here = tasks.index(index as usize);
    let name = quoted(&task.name);
    let message = format!("a second task is called {name}; the first is {}", tasks.index(first as usize));
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
            let roster = Roster::new(&mut report, &drafts);
            assert!(report.is_empty());
            for (draft, index) in drafts.iter().zip(0..) {
                assert_eq!(roster.find(&draft.name), Some(index));
            }
            for absent in ["", "t", "t1000", "t01", "u1"] {
                assert_eq!(roster.find(absent), None, "{absent}");
            }
        }
    }

    #[test]
    fn of_tasks_of_one_name_the_first_counts() {
        let drafts = ["a", "", "b", "a", ""].map(|name| draft(name.to_owned()));
        let mut report = Report::new();
        let roster = Roster::new(&mut report, &drafts);
        assert!(!report.is_empty());
        assert_eq!(["a", "b", ""].map(|name| roster.find(name)), [Some(0), Some(2), None]);
    }

    fn draft(name: String) -> TaskDraft<'static> {
        TaskDraft { name: name.into(), ..TaskDraft::at(0) }
    }
}
