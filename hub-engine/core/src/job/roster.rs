//! The names of a job's tasks.

use std::collections::HashMap;

use super::draft::TaskDraft;
use super::path::Path;
use super::problem::ProblemCode;
use super::report::{Report, quoted};

/// Positions by name.
pub(super) struct Roster<'v> {
    by_name: HashMap<&'v str, u32>,
    /// The names in the order of the text, so that suggestions do not depend on chance.
    in_order: Vec<&'v str>,
}

impl<'v> Roster<'v> {
    /// Takes the names of all tasks that have one. A second task of one name is noted as a problem.
    pub(super) fn new(report: &mut Report, tasks: &'v [TaskDraft<'_>]) -> Self {
        let mut by_name = HashMap::with_capacity(tasks.len());
        let mut in_order = Vec::with_capacity(tasks.len());
        for (task, index) in tasks.iter().zip(0..) {
            let Some(name) = task.name.as_deref() else { continue };
            let first = *by_name.entry(name).or_insert(index);
            if first == index {
                in_order.push(name);
            } else {
                twice(report, task, first, index);
            }
        }
        Self { by_name, in_order }
    }

    /// The position of the task of this name.
    pub(super) fn find(&self, name: &str) -> Option<u32> {
        self.by_name.get(name).copied()
    }

    /// A suggestion of the task that was meant.
    pub(super) fn did_you_mean(&self, report: &mut Report, name: &str) -> Option<String> {
        report.did_you_mean(name, self.in_order.iter().copied())
    }
}

fn twice(report: &mut Report, task: &TaskDraft<'_>, first: u32, index: u32) {
    let root = Path::Root;
    let tasks = root.key("tasks");
    let here = tasks.index(index as usize);
    let name = quoted(task.name.as_deref().unwrap_or_default());
    let message = format!("a second task is called {name}; the first is {}", tasks.index(first as usize));
    let suggestion = "to run one module in several tasks, name it in \"task_name\"".to_owned();
    report.add(ProblemCode::DuplicateTask, here.key("name"), task.name_at, message, Some(suggestion));
}
