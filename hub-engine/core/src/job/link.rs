//! From the shape of a job to its graph: names become positions.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use super::cycle;
use super::draft::{JobDraft, TaskDraft};
use super::holes::Holes;
use super::model::{DEFAULT_POOL, Job, Task};
use super::path::Path;
use super::problem::ProblemCode;
use super::reader::Reader;
use super::report::{Report, quoted};
use super::roster::Roster;
use super::template::Template;
use super::value::Value;

/// Cycles with more tasks are shown with some left out.
const SHOWN: usize = 12;

/// The job that a draft is, sound only if nothing was noted in the report. `None` only if something was.
pub(super) fn link(reader: &mut Reader, text: &str, draft: JobDraft<'_>) -> Option<Job> {
    let roster = Roster::new(&mut reader.report, &draft.tasks);
    let mut linker = Linker { reader, roster: &roster, job_priority: draft.priority, shared: HashMap::new() };
    let tasks: Vec<Task> = draft.tasks.iter().enumerate().map(|(index, task)| linker.task(task, index)).collect();
    let output = draft.output.map(|value| {
        Holes { reader: linker.reader, roster: &roster, own: None }.template(value, Path::Root.key("output"))
    });
    report_cycles(&mut reader.report, &tasks, &draft.tasks);
    Some(Job {
        source: text.into(),
        name: draft.name?.into_owned(),
        key: draft.key.map(Cow::into_owned),
        priority: draft.priority,
        tasks,
        output,
        extra: draft.extra,
    })
}

struct Linker<'r> {
    reader: &'r mut Reader,
    roster: &'r Roster<'r>,
    job_priority: Option<i32>,
    /// One copy of each module and pool, which many tasks have in common.
    shared: HashMap<String, Arc<str>>,
}

impl Linker<'_> {
    fn task(&mut self, draft: &TaskDraft<'_>, index: usize) -> Task {
        let root = Path::Root;
        let tasks = root.key("tasks");
        let path = tasks.index(index);
        let own = draft.name.as_deref();
        let args = draft.args.map(|value| self.template(value, path.key("args"), own));
        let kwargs = draft.kwargs.map(|value| self.template(value, path.key("kwargs"), own));
        let depends = draft.depends.map(|list| self.depends(list, path, own));
        let itself = own.and_then(|name| self.roster.find(name));
        Task {
            name: own.unwrap_or_default().into(),
            task_name: draft.task_name.as_deref().map(|name| self.share(name)),
            upstream: upstream(args.iter().chain(&kwargs), depends.as_deref().unwrap_or_default(), itself),
            args,
            kwargs,
            depends: depends.map(Into::into),
            pool: self.share(draft.pool.as_deref().unwrap_or(DEFAULT_POOL)),
            priority: draft.priority,
            effective_priority: draft.priority.or(self.job_priority).unwrap_or(0),
            extra: draft.extra.clone(),
        }
    }

    fn template(&mut self, value: Value<'_>, path: Path<'_>, own: Option<&str>) -> Template {
        Holes { reader: self.reader, roster: self.roster, own }.template(value, path)
    }

    fn depends(&mut self, list: Value<'_>, task: Path<'_>, own: Option<&str>) -> Vec<u32> {
        let path = task.key("depends");
        let entries = list.elements().enumerate();
        entries.filter_map(|(index, value)| self.dependency(value, path.index(index), own)).collect()
    }

    fn dependency(&mut self, value: Value<'_>, path: Path<'_>, own: Option<&str>) -> Option<u32> {
        let name = self.reader.string(value, path, "an entry of \"depends\"")?;
        let (report, at) = (&mut self.reader.report, value.at);
        if own == Some(&name) {
            let message = format!("{} depends on itself: {name} → {name}", quoted(&name));
            report.add(ProblemCode::Cycle, path, at, message, None);
            return None;
        }
        let found = self.roster.find(&name);
        if found.is_none() {
            let near = self.roster.did_you_mean(report, &name);
            report.add(ProblemCode::UnknownTask, path, at, format!("no task is called {}", quoted(&name)), near);
        }
        found
    }

    fn share(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.shared.get(text) {
            return Arc::clone(known);
        }
        let new: Arc<str> = text.into();
        self.shared.insert(text.to_owned(), Arc::clone(&new));
        new
    }
}

/// What a task waits for: what it names, and whose end its arguments refer to. Waiting for itself has been
/// noted where it was read, and is left out.
fn upstream<'t>(templates: impl Iterator<Item = &'t Template>, depends: &[u32], itself: Option<u32>) -> Box<[u32]> {
    let references = templates.flat_map(Template::references);
    let implied = references.filter(|reference| reference.attribute.needs_end()).map(|reference| reference.task);
    let mut upstream: Vec<u32> = implied.chain(depends.iter().copied()).filter(|task| Some(*task) != itself).collect();
    upstream.sort_unstable();
    upstream.dedup();
    upstream.into()
}

fn report_cycles(report: &mut Report, tasks: &[Task], drafts: &[TaskDraft<'_>]) {
    let upstream: Vec<&[u32]> = tasks.iter().map(Task::upstream).collect();
    for cycle in cycle::find(&upstream) {
        let first = cycle[0] as usize;
        let message = format!("tasks wait for each other: {}", around(&cycle, tasks));
        let root = Path::Root;
        let path = root.key("tasks");
        report.add(ProblemCode::Cycle, path.index(first), drafts[first].at, message, None);
    }
}

/// `a → b → a`, the middle left out where it is long.
fn around(cycle: &[u32], tasks: &[Task]) -> String {
    let name = |task: &u32| &*tasks[*task as usize].name;
    let mut names: Vec<&str> = cycle.iter().take(SHOWN).map(name).collect();
    let hidden = cycle.len() - names.len();
    let gap = format!("… {hidden} more …");
    if hidden > 0 {
        names.push(&gap);
    }
    names.push(name(&cycle[0]));
    names.join(" → ")
}
