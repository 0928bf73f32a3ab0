//! Resolves the names in a draft to positions of tasks, which gives the graph.

use std::borrow::Cow;
use std::sync::Arc;

use super::cache::Cache;
use super::condition_reader::ConditionReader;
use super::cycle;
use super::definition_links;
use super::delay::Delay;
use super::draft::{AwaitedDraft, CacheDraft, ForEachDraft, JobDraft, RecoverDraft, TaskDraft, Tasks, WaitDraft};
use super::for_each::{ForEach, Items};
use super::format;
use super::model::{Job, SubJob, Task};
use super::options::JobOptions;
use super::path::Path;
use super::phase::{Lists, Phase};
use super::placeholders::PlaceholderFinder;
use super::places::Places;
use super::problem::ProblemCode;
use super::quoted::quoted;
use super::reader::Reader;
use super::recover::Recover;
use super::reference::Reference;
use super::report::Report;
use super::run_reader::RunReader;
use super::secret::{Secret, Secrets};
use super::task_names::TaskNames;
use super::template::{Placeholder, Template};
use super::times;
use super::value::{Kind, Value};
use super::wait::{Approval, Awaited, Until, Wait};

/// Maximum number of tasks of a cycle that a message names.
const MAX_SHOWN_TASKS: usize = 12;

/// Builds the job from its draft. The job is valid only if the report is empty. Returns `None` only if the report
/// contains a problem.
pub(super) fn link(reader: &mut Reader, text: &str, draft: JobDraft<'_>) -> Option<Job> {
    times::check(&mut reader.report, (draft.start_at, draft.deadline), draft.deadline_at);
    reader.has_inputs |= draft.inputs.is_some() || draft.input_schema.is_some();
    let on_failure = draft.tasks.tasks.len() as u32;
    let finally = on_failure + draft.on_failure.tasks.len() as u32;
    let lists = Lists { on_failure, finally, end: finally + draft.finally.tasks.len() as u32 };
    let mut all = draft.tasks;
    all.append(draft.on_failure);
    all.append(draft.finally);
    let Tasks { mut tasks, drafts } = all;
    let task_names = TaskNames::new(&mut reader.report, &drafts, lists);
    let mut linker = Linker {
        reader,
        task_names: &task_names,
        lists,
        phase: Phase::Tasks,
        places: Places::default(),
        reads_failure: false,
        first_of: None,
        placeholders: Vec::new(),
        upstream: Vec::new(),
        secrets: Vec::new(),
    };
    for (index, (task, draft)) in (0..).zip(tasks.iter_mut().zip(&drafts)) {
        linker.task(task, draft, index);
    }
    (linker.phase, linker.first_of) = (Phase::Tasks, None);
    let output = draft.output.map(|value| linker.output(value));
    let (places, reads_failure) = (linker.places, linker.reads_failure);
    let levels = tasks.iter().filter_map(Task::sub_job).map(|sub_job| sub_job.job.levels + 1).max().unwrap_or_default();
    let pins = definition_links::pins_of(&tasks);
    let for_each = (0..).zip(&tasks).filter(|(_, task)| task.for_each().is_some()).map(|(index, _)| index).collect();
    report_cycles(&mut reader.report, &tasks, &drafts, lists);
    Task::share_options(&mut tasks);
    let options = JobOptions {
        key: draft.key.map(Cow::into_owned),
        retry: draft.retry,
        timeouts: draft.timeouts,
        start_at: draft.start_at,
        deadline: draft.deadline,
        deadline_at: draft.deadline_at,
        handler_deadline: draft.handler_deadline,
        labels: draft.labels.into(),
        definition: None,
        definition_bytes: definition_links::bytes_of(&tasks),
        pins,
        inputs: draft.inputs.map(|(inputs, _)| inputs),
        input_schema: draft.input_schema,
        places,
        for_each,
        extra: draft.extra,
    };
    let (source, name, rare) = (text.into(), draft.name?.into(), options.boxed());
    let tasks = Arc::new(tasks);
    Some(Job { source, name, priority: draft.priority, tasks, lists, reads_failure, output, levels, rare })
}

struct Linker<'r> {
    reader: &'r mut Reader,
    task_names: &'r TaskNames<'r>,
    lists: Lists,
    /// The list of the task that is being linked.
    phase: Phase,
    places: Places,
    /// Whether a handler refers to how the tasks of the job ended.
    reads_failure: bool,
    /// The task that is being linked, if its trigger rule has a first task.
    first_of: Option<u32>,
    /// Buffers that are reused for each template and each task.
    placeholders: Vec<Placeholder>,
    upstream: Vec<u32>,
    secrets: Vec<Secret>,
}

impl Linker<'_> {
    fn task(&mut self, task: &mut Task, draft: &TaskDraft<'_>, index: u32) {
        self.phase = self.lists.phase(index);
        self.first_of = task.trigger_rule().has_first().then_some(index);
        let root = Path::Root;
        let list = root.key(self.phase.as_str());
        let path = list.index(self.lists.place_in_list(index));
        let items_of = draft.rare().for_each.as_ref().map(|_| index);
        if let Some(args) = &mut task.args {
            let mut finder = self.placeholders(&draft.name, items_of);
            finder.secrets = Secrets::Allowed;
            finder.set_placeholders(args, draft.args_at, path.key("args"));
        }
        if let Some(kwargs) = &mut task.kwargs {
            let mut finder = self.placeholders(&draft.name, items_of);
            finder.secrets = Secrets::Allowed;
            finder.set_placeholders(kwargs, draft.rare().kwargs_at, path.key("kwargs"));
        }
        if let Some(for_each) = &draft.rare().for_each {
            task.rare_mut().for_each =
                self.for_each(for_each, path.key("for_each"), &draft.name, items_of).map(Box::new);
        }
        if let Some(when) = draft.rare().when {
            let mut finder = self.placeholders(&draft.name, None);
            task.rare_mut().when = ConditionReader::new(&mut finder).read(when, path.key("when")).map(Box::new);
        }
        if let Some(delay) = draft.rare().delay {
            task.rare_mut().delay = self.delay(delay, path.key("delay"), &draft.name);
        }
        if let Some(run) = (RunReader { finder: &mut self.placeholders(&draft.name, items_of) }).read(task, draft, path)
        {
            task.rare_mut().run = Some(Box::new(run));
        }
        if let Some(sub_job) = self.sub_job(draft, path, items_of) {
            task.rare_mut().sub_job = Some(Box::new(sub_job));
        }
        if let Some(cache) = &draft.rare().cache {
            let cache = self.cache(cache, task.sub_job(), path.key("cache"), &draft.name, items_of);
            task.rare_mut().cache = cache.map(Box::new);
        }
        if !self.secrets.is_empty() {
            task.rare_mut().secrets = Some(self.secrets.drain(..).collect());
        }
        if let Some(recover) = &draft.rare().recover {
            task.rare_mut().recover = Some(Box::new(self.recover(recover, path.key("recover"), &draft.name, index)));
        }
        if let Some(wait) = &draft.rare().wait {
            task.rare_mut().wait = self.wait(wait, path.key("wait"), &draft.name).map(Box::new);
        }
        task.depends = draft.depends.map(|list| self.depends(list, path, &draft.name));
        task.upstream = self.upstream(task);
        self.trigger_rule(task, draft, path);
    }

    /// A rule that nothing can meet, or whose task would refer to what is not there yet.
    fn trigger_rule(&mut self, task: &Task, draft: &TaskDraft<'_>, path: Path<'_>) {
        let (rule, at) = (task.trigger_rule(), draft.rare().trigger_rule_at);
        let (word, path) = (rule.as_str(), path.key("trigger_rule"));
        let report = &mut self.reader.report;
        if rule.needs_upstream() && task.upstream.is_empty() {
            let message = format!("the trigger rule {word} needs an upstream task, and this task has none");
            let suggestion = Some("name the upstream tasks in \"depends\"".to_owned());
            report.add(ProblemCode::OutOfRange, path, at, message, suggestion);
        }
        let waits_for = |reference: &&Reference| self.lists.phase(reference.task) == self.phase;
        if rule.runs_early() && references_to_ends(task).any(|reference| waits_for(&reference)) {
            let message =
                format!("a task with the trigger rule {word} may run before the tasks that its arguments refer to");
            let suggestion = if rule.has_first() {
                "refer to the task that has decided the rule, with \"_.first.data\", or choose a rule that waits, such as all_done"
            } else {
                "leave out the references, or choose a rule that waits, such as all_done"
            };
            let suggestion = Some(suggestion.to_owned());
            report.add(ProblemCode::OutOfRange, path, at, message, suggestion);
        }
    }

    /// A duration, or a reference to one.
    fn delay(&mut self, value: Value<'_>, path: Path<'_>, own: &str) -> Option<Delay> {
        match self.reference(value, path, own) {
            Some(template) => Some(Delay::Of(template)),
            None => format::duration_or_zero(self.reader, value, path).map(Delay::Fixed),
        }
    }

    /// The template of a value that is a reference as a whole.
    fn reference(&mut self, value: Value<'_>, path: Path<'_>, own: &str) -> Option<Template> {
        is_reference(value).then(|| self.template(value, path, own))
    }

    fn template(&mut self, value: Value<'_>, path: Path<'_>, own: &str) -> Template {
        let mut template = Template::literal(value.text);
        self.placeholders(own, None).set_placeholders(&mut template, value.at, path);
        template
    }

    fn wait(&mut self, draft: &WaitDraft<'_>, path: Path<'_>, own: &str) -> Option<Wait> {
        let awaited = match &draft.awaited {
            AwaitedDraft::Until(value) => Awaited::Until(self.until(*value, path.key("until"), own)?),
            AwaitedDraft::Signal { name, count } => Awaited::Signal { name: Arc::clone(name), count: *count },
            AwaitedDraft::Approval(approval) => Awaited::Approval(Approval {
                message: approval.message.map(|value| self.template(value, path.key("approval").key("message"), own)),
                choices: approval.choices.clone(),
                fail_on: approval.fail_on.clone(),
            }),
        };
        Some(Wait { awaited, timeout: draft.timeout, on_timeout: draft.on_timeout.clone() })
    }

    /// A time or a duration, or a reference to one.
    fn until(&mut self, value: Value<'_>, path: Path<'_>, own: &str) -> Option<Until> {
        match self.reference(value, path, own) {
            Some(template) => Some(Until::Of(template)),
            None => format::moment(self.reader, value, path).map(Until::Fixed),
        }
    }

    /// How results are kept. The dispatcher does not know secrets, so a result that is computed with one cannot be recognised.
    fn cache(
        &mut self,
        draft: &CacheDraft<'_>,
        sub_job: Option<&SubJob>,
        path: Path<'_>,
        own: &str,
        items_of: Option<u32>,
    ) -> Option<Cache> {
        if sub_job.is_some_and(SubJob::is_detached) {
            let message = "\"cache\" cannot stand beside \"detached\": the task ends before its sub-job has a result";
            let suggestion = Some("remove one of them".to_owned());
            self.reader.report.add(ProblemCode::OutOfRange, path, draft.at, message, suggestion);
        }
        if let Some(secret) = self.secrets.first().or_else(|| sub_job?.first_secret()) {
            let message = format!("\"cache\" cannot stand beside a secret: the task uses _.secret.{}", secret.name);
            let suggestion = "remove \"cache\", or let the task module read the secret itself";
            self.reader.report.add(ProblemCode::OutOfRange, path, draft.at, message, Some(suggestion.to_owned()));
        }
        let key = draft.key.map(|value| {
            let mut template = Template::literal(value.text);
            self.placeholders(own, items_of).set_placeholders(&mut template, value.at, path.key("key"));
            template
        });
        let job = sub_job.map(|sub_job| sub_job.job().content());
        Some(Cache { ttl: draft.ttl?, key, version: draft.version.clone(), refresh: draft.refresh, job })
    }

    fn recover(&mut self, draft: &RecoverDraft<'_>, path: Path<'_>, own: &str, index: u32) -> Recover {
        let mut fallback = Template::literal(draft.fallback.map_or("null", |value| value.text));
        if let Some(value) = draft.fallback {
            let mut finder = PlaceholderFinder { failure: Some(index), ..self.placeholders(own, None) };
            finder.set_placeholders(&mut fallback, value.at, path.key("fallback"));
        }
        Recover { fallback, matches: draft.matches.clone() }
    }

    /// What the task iterates over, and for which items it runs.
    fn for_each(
        &mut self,
        draft: &ForEachDraft<'_>,
        path: Path<'_>,
        own: &str,
        items_of: Option<u32>,
    ) -> Option<ForEach> {
        let value = draft.source?;
        let here = if draft.is_short { path } else { path.key("in") };
        let source = self.template(value, here, own);
        // What is wrong with a reference was reported.
        if source.is_literal()
            && !is_reference(value)
            && let Err(error) = Items::of(&source.text(), draft.batch)
        {
            let message = format!("\"for_each\" has no items: {error}");
            let suggestion = Some("write a list, an object, a whole number, or a reference to one of them".to_owned());
            self.reader.report.add(ProblemCode::OutOfRange, here, value.at, message, suggestion);
        }
        let when = draft.when.and_then(|when| {
            let mut finder = self.placeholders(own, items_of);
            ConditionReader::new(&mut finder).read(when, path.key("when"))
        });
        let ForEachDraft { parallel, tolerated, fail_fast, batch, .. } = *draft;
        Some(ForEach { source, when, parallel, tolerated, fail_fast, batch })
    }

    /// The job that a task runs. Nothing in it refers to this job.
    fn sub_job(&mut self, draft: &TaskDraft<'_>, path: Path<'_>, items_of: Option<u32>) -> Option<SubJob> {
        let Some(value) = draft.rare().job else {
            for (key, value) in [("inputs", draft.rare().inputs), ("detached", draft.rare().detached)] {
                let Some(value) = value else { continue };
                let message = format!("{key:?} belongs to a task that runs a job, and this task has no \"job\"");
                let report = &mut self.reader.report;
                report.add(
                    ProblemCode::ConflictingKeys,
                    path.key(key),
                    value.at,
                    message,
                    Some("remove it".to_owned()),
                );
            }
            return None;
        };
        let detached = draft.rare().detached;
        let is_detached = detached
            .and_then(|value| self.reader.boolean(value, path.key("detached"), "\"detached\""))
            .unwrap_or(false);
        let inputs = draft.rare().inputs.and_then(|value| {
            let here = path.key("inputs");
            let value = self.reader.object(value, here, "\"inputs\"")?;
            self.reader.unique_keys(value, here);
            let mut template = Template::literal(value.text);
            self.placeholders(&draft.name, items_of).set_placeholders(&mut template, value.at, here);
            Some(template)
        });
        let (job, reference) = if value.kind() == Kind::String {
            let here = path.key("job");
            let reference = definition_links::reference(self.reader, value, here)?;
            (
                definition_links::job_of(self.reader, &reference, (here, value.at), self.reader.level + 1)?,
                Some(reference),
            )
        } else {
            (Arc::new(self.inner_job(value, path.key("job"))?), None)
        };
        Some(SubJob { job, reference, inputs, is_detached })
    }

    /// Reads the text of a job that is a part of this one.
    fn inner_job(&mut self, value: Value<'_>, path: Path<'_>) -> Option<Job> {
        if self.reader.level == SubJob::MAXIMUM_LEVELS {
            let message = format!("jobs may be nested {} levels deep", SubJob::MAXIMUM_LEVELS);
            self.reader.report.add(ProblemCode::LimitExceeded, path, value.at, message, None);
            return None;
        }
        let value = self.reader.object(value, path, "\"job\"")?;
        let mut inner = self.reader.enter();
        let draft = format::read(&mut inner, Value::of_job(value.text));
        let job = draft.and_then(|draft| {
            if draft.key.is_some() {
                let message = "a sub-job has no key: each run of its task is a job of its own";
                let suggestion = Some("remove it".to_owned());
                inner.report.add(ProblemCode::ConflictingKeys, Path::Root.key("key"), 0, message, suggestion);
            }
            if let Some((_, at)) = &draft.inputs {
                let message = "the inputs of a sub-job are a key of the task that runs it";
                let suggestion = Some("put them beside \"job\"".to_owned());
                inner.report.add(ProblemCode::ConflictingKeys, Path::Root.key("inputs"), *at, message, suggestion);
            }
            link(&mut inner, value.text, draft)
        });
        let is_valid = inner.report.is_empty();
        self.reader.leave(inner, path, value.at);
        job.filter(|_| is_valid)
    }

    fn output(&mut self, value: Value<'_>) -> Template {
        self.template(value, Path::Root.key("output"), "")
    }

    /// `items_of` is the position of the task if its items are known where the references stand.
    fn placeholders<'l>(&'l mut self, own: &'l str, items_of: Option<u32>) -> PlaceholderFinder<'l> {
        PlaceholderFinder {
            reader: self.reader,
            task_names: self.task_names,
            lists: self.lists,
            phase: self.phase,
            own,
            items_of,
            reads_failure: &mut self.reads_failure,
            failure: None,
            first_of: self.first_of,
            places: &mut self.places,
            found: &mut self.placeholders,
            secrets: Secrets::Refused,
            found_secrets: &mut self.secrets,
        }
    }

    fn depends(&mut self, list: Value<'_>, task: Path<'_>, own: &str) -> Box<[u32]> {
        let path = task.key("depends");
        let entries = list.elements().enumerate();
        entries.filter_map(|(index, value)| self.dependency(value, path.index(index), own)).collect()
    }

    fn dependency(&mut self, value: Value<'_>, path: Path<'_>, own: &str) -> Option<u32> {
        let name = self.reader.string(value, path, "an entry of \"depends\"")?;
        let report = &mut self.reader.report;
        let found = self.task_names.find(&name);
        if found.is_none() {
            let near = self.task_names.did_you_mean(report, &name);
            report.add(ProblemCode::UnknownTask, path, value.at, format!("no task is named {}", quoted(&name)), near);
        } else if own == name {
            let message = format!("{} depends on itself: {name} → {name}", quoted(&name));
            report.add(ProblemCode::Cycle, path, value.at, message, None);
            return None;
        } else if let Some(list) = found.map(|task| self.lists.phase(task)).filter(|list| *list != self.phase) {
            let (name, own_list) = (quoted(&name), self.phase.as_str());
            let message = format!("{name} is a task of \"{}\", and this one is of \"{own_list}\"", list.as_str());
            let suggestion = if list < self.phase {
                "remove it: a handler runs after all of these tasks, and may refer to them without it"
            } else {
                "remove it: a handler runs after this task"
            };
            report.add(ProblemCode::OutOfRange, path, value.at, message, Some(suggestion.to_owned()));
            return None;
        }
        found
    }

    /// The dependencies of a task: those in `depends`, and the tasks of its list whose end its templates refer to. A
    /// dependency on itself is reported where it is read, and is not included.
    fn upstream(&mut self, task: &Task) -> Box<[u32]> {
        let range = self.lists.range(self.phase);
        let implied =
            references_to_ends(task).map(|reference| reference.task).filter(|upstream| range.contains(upstream));
        self.upstream.clear();
        self.upstream.extend(implied.chain(task.depends.iter().flatten().copied()));
        self.upstream.sort_unstable();
        self.upstream.dedup();
        self.upstream.as_slice().into()
    }
}

/// Whether a value is a string that is meant as a reference.
fn is_reference(value: Value<'_>) -> bool {
    let is_meant = |text: &str| text.starts_with('_') && !text.starts_with("__");
    value.kind() == Kind::String && is_meant(&value.decoded())
}

/// The references of a task to what is known only after the end of another task.
fn references_to_ends(task: &Task) -> impl Iterator<Item = &Reference> {
    let arguments = task.args().into_iter().chain(task.kwargs()).flat_map(Template::references);
    arguments.chain(task.references_of_options()).filter(|reference| reference.attribute.needs_end())
}

fn report_cycles(report: &mut Report, tasks: &[Task], drafts: &[TaskDraft<'_>], lists: Lists) {
    // Most jobs list their tasks in an order in which they can run.
    let in_order = |(task, index): (&Task, u32)| task.upstream.last().is_none_or(|last| *last < index);
    if tasks.iter().zip(0..).all(in_order) {
        return;
    }
    let upstream: Vec<&[u32]> = tasks.iter().map(Task::upstream).collect();
    for cycle in cycle::find(&upstream) {
        let first = cycle[0] as usize;
        let message = format!("dependency cycle: {}", cycle_text(&cycle, tasks));
        let root = Path::Root;
        let list = root.key(lists.phase(cycle[0]).as_str());
        let path = list.index(lists.place_in_list(cycle[0]));
        report.add(ProblemCode::Cycle, path, drafts[first].at, message, None);
    }
}

/// The cycle as text, `a → b → a`. Tasks beyond the maximum are left out.
fn cycle_text(cycle: &[u32], tasks: &[Task]) -> String {
    let name = |task: &u32| &*tasks[*task as usize].name;
    let mut names: Vec<&str> = cycle.iter().take(MAX_SHOWN_TASKS).map(name).collect();
    let hidden = cycle.len() - names.len();
    let gap = format!("… {hidden} more …");
    if hidden > 0 {
        names.push(&gap);
    }
    names.push(name(&cycle[0]));
    names.join(" → ")
}
