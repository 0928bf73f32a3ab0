//! Writes a status record at once or in parts.

use std::ops::Range;
use std::sync::Arc;

use super::filler::Filler;
use super::object::Object;
use super::view::View;
use crate::Json;
use crate::details::TaskDetails;
use crate::job::{Phase, Run, SubJob};
use crate::job_clock::JobClock;
use crate::job_details::JobDetails;
use crate::state::{JobSnapshot, TaskState};

/// Approximate size of a part of a record in bytes. A larger task is a part by itself.
const PART_BYTES: usize = 64 * 1024;
/// Typical size of a task in a record in bytes.
const TYPICAL_TASK_BYTES: usize = 320;
/// Minimum size of a task in a complete record in bytes: the ids of the task and the job, and the keys that are always
/// present.
const MINIMUM_TASK_BYTES: usize = 150;
/// Minimum size of a time in the record of a task in bytes, with its key.
const MINIMUM_TIME_BYTES: usize = 40;

/// Writes a record in parts. The parts together are its text.
#[derive(Debug)]
pub struct RecordParts {
    job: Arc<JobSnapshot>,
    view: View,
    /// The values that references of the tasks lead to.
    filler: Filler,
    next: Next,
}

/// The next part to write.
#[derive(Clone, Copy, Debug)]
enum Next {
    Head,
    Task(u32),
    Nothing,
}

/// A page of task records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskPage {
    /// `{"tasks": […], "next": N}`. Without `next` on the last page.
    pub json: Json,
    /// The position of the first task of the next page.
    pub next: Option<u32>,
}

impl RecordParts {
    /// Prepares the record of `job` with the parts that `view` selects.
    #[must_use]
    pub fn new(job: Arc<JobSnapshot>, view: View) -> Self {
        Self { job, view, filler: Filler::default(), next: Next::Head }
    }

    /// A lower bound of the remaining size in bytes, without writing it.
    #[must_use]
    pub fn minimum_bytes(&self) -> usize {
        if self.view != View::whole() {
            return 0;
        }
        let left = self.job.tasks.len() - self.tasks_left()..self.job.tasks.len();
        self.job.tasks[left].iter().map(|task| minimum_bytes(task)).sum()
    }

    /// The remaining parts as one text.
    #[must_use]
    pub fn rest(mut self) -> String {
        self.write(usize::MAX, 256 + self.tasks_left() * TYPICAL_TASK_BYTES).unwrap_or_default()
    }

    fn tasks_left(&self) -> usize {
        match self.next {
            Next::Head => self.job.tasks.len(),
            Next::Task(index) => self.job.tasks.len() - index as usize,
            Next::Nothing => 0,
        }
    }

    /// Writes until the text has more than `enough` bytes or the record is complete. Returns `None` if it was complete.
    fn write(&mut self, enough: usize, capacity: usize) -> Option<String> {
        let text = String::with_capacity(capacity);
        let (text, next) = match self.next {
            Next::Nothing => return None,
            Next::Head => self.job.begin_record(text, enough, &self.view, &mut self.filler),
            Next::Task(index) => self.job.write_tasks(text, index, enough, &self.view, &mut self.filler),
        };
        self.next = next;
        Some(text)
    }
}

impl Iterator for RecordParts {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        self.write(PART_BYTES, ((self.tasks_left() + 1) * TYPICAL_TASK_BYTES).min(PART_BYTES + PART_BYTES / 8))
    }
}

impl JobSnapshot {
    /// The complete record as JSON, written in one pass.
    #[must_use]
    pub fn record(&self) -> Json {
        let text = String::with_capacity(256 + self.tasks.len() * TYPICAL_TASK_BYTES);
        Json::from_checked(self.begin_record(text, usize::MAX, &View::whole(), &mut Filler::default()).0)
    }

    /// The records of the tasks in `range`, up to `enough` bytes. If the range is not empty, there is at least one.
    #[must_use]
    pub fn task_page(&self, range: Range<u32>, enough: usize, view: &View) -> TaskPage {
        let last = self.end_of(range.start);
        let end = range.end.min(last);
        let mut filler = Filler::default();
        let (mut text, mut next) = ("{\"tasks\": [".to_owned(), range.start.min(end));
        while next < end && (text.len() <= enough || next == range.start) {
            let before = text.len();
            if next > range.start {
                text.push_str(", ");
            }
            text = self.write_task(text, next, view, &mut filler);
            // A task that exceeds the limit goes to the next page, unless it is the first.
            if text.len() > enough && next > range.start {
                text.truncate(before);
                break;
            }
            next += 1;
        }
        text.push(']');
        // Items are counted from the first one on.
        let base = self.job.item(range.start).map_or(0, |place| range.start - place.item);
        let next = Some(next).filter(|next| *next < last).map(|next| next - base);
        if let Some(next) = next {
            text.push_str(&format!(", \"next\": {next}"));
        }
        text.push('}');
        TaskPage { json: Json::from_checked(text), next }
    }

    /// One task as in the record of the job. `None` if the job has no such task.
    #[must_use]
    pub fn task_record(&self, index: u32) -> Option<Json> {
        self.tasks.get(index as usize)?;
        let text = String::with_capacity(TYPICAL_TASK_BYTES);
        Some(Json::from_checked(self.write_task(text, index, &View::whole(), &mut Filler::default())))
    }

    /// Writes the keys of the job, and then tasks as [`JobSnapshot::write_tasks`] does.
    fn begin_record(&self, text: String, enough: usize, view: &View, filler: &mut Filler) -> (String, Next) {
        let mut object = self.write_head(text, view);
        if !view.shows_tasks() {
            return (object.end(), Next::Nothing);
        }
        object.key("tasks");
        object.text.push('[');
        self.write_tasks(object.text, 0, enough, view, filler)
    }

    /// Writes tasks from `index` on, until all are written or `text` has more than `enough` bytes.
    fn write_tasks(
        &self,
        mut text: String,
        index: u32,
        enough: usize,
        view: &View,
        filler: &mut Filler,
    ) -> (String, Next) {
        for index in index..self.tasks.len() as u32 {
            if text.len() > enough {
                return (text, Next::Task(index));
            }
            if index > 0 {
                text.push_str(", ");
            }
            text = self.write_task(text, index, view, filler);
        }
        text.push_str("]}");
        (text, Next::Nothing)
    }

    /// Writes the keys of the job without its tasks.
    fn write_head(&self, text: String, view: &View) -> Object {
        let mut object = Object::new(text);
        if view.shows("id") {
            object.string("id", &self.id.to_string());
        }
        if view.shows("name") {
            object.string("name", self.job.name());
        }
        if view.shows("task_name") {
            object.string("task_name", "");
        }
        if view.shows("status") {
            object.string("status", self.state.status.as_str());
        }
        if let Some(msg) = self.state.msg.as_ref().filter(|_| view.shows("msg")) {
            object.string("msg", msg);
        }
        if view.shows("submitted_at") {
            object.time("submitted_at", Some(self.state.submitted_at));
        }
        if view.shows("started_at") {
            object.time("started_at", self.state.started_at);
        }
        if view.shows("ended_at") {
            object.time("ended_at", self.state.ended_at);
        }
        self.write_times(&mut object, view);
        if let Some(details) = self.state.details.as_deref() {
            write_job_details(&mut object, details, view);
        }
        if let Some(pin) = self.job.definition().filter(|_| view.shows("definition")) {
            object.string("definition", &pin.to_string());
        }
        let run = self.state.details.as_deref().and_then(|details| details.run.as_deref());
        if let Some(run) = run.filter(|_| view.shows("schedule")) {
            object.written("schedule", run);
        }
        if let Some(key) = self.job.key().filter(|_| view.shows("key")) {
            object.string("key", key);
        }
        let labels = self.state.labels(&self.job);
        if !labels.is_empty() && view.shows("labels") {
            object.written("labels", &*labels);
        }
        let changed = self.state.details.as_deref().and_then(|details| details.priority.as_ref());
        let priority = changed.map(|changed| changed.priority).or(self.job.priority());
        if let Some(priority) = priority.filter(|_| view.shows("priority")) {
            object.raw("priority", &priority.to_string());
        }
        for (key, value) in self.job.extra().iter().filter(|(key, _)| view.shows(key)) {
            object.users_own(key, value.get());
        }
        if let Some(details) = self.state.details.as_deref().filter(|details| !details.signals.is_empty())
            && view.shows("signals")
        {
            object.written("signals", &details.signals);
        }
        if view.shows("output") {
            object.raw("output", self.state.output.as_ref().map_or("null", Json::get));
        }
        object
    }

    /// Writes when the job starts, and its deadline.
    fn write_times(&self, object: &mut Object, view: &View) {
        let (submitted_at, clock) = (self.state.submitted_at, self.state.clock());
        let times = [("starts_at", self.job.start(submitted_at)), ("deadline_at", self.job.due(submitted_at))];
        for (key, due) in times.into_iter().filter(|(key, _)| view.shows(key)) {
            object.time(key, due.map(|due| due.wall(clock)));
        }
    }

    fn write_task(&self, text: String, index: u32, view: &View, filler: &mut Filler) -> String {
        let (spec, state) = (self.job.spec(index), self.state_of(index));
        let mut object = Object::new(text);
        if view.shows("id") {
            object.string("id", &self.task_id(index).to_string());
        }
        if view.shows("parent_id") {
            object.string("parent_id", &self.id.to_string());
        }
        if view.shows("name") {
            object.string("name", &self.job.name_of(index));
        }
        let phase = self.job.phase(index);
        if phase > Phase::Tasks && view.shows("handler") {
            object.string("handler", phase.as_str());
        }
        if view.shows("task_name") {
            object.string("task_name", if spec.is_for_worker() { spec.module() } else { "" });
        }
        if view.shows("status") {
            object.string("status", state.status.as_str());
        }
        if view.shows("args") {
            object.raw("args", self.arguments(index, spec.args(), filler).as_ref().map_or("[]", Json::get));
        }
        if let Some(kwargs) = spec.kwargs().filter(|_| view.shows("kwargs")) {
            object.raw("kwargs", self.arguments(index, Some(kwargs), filler).as_ref().map_or("{}", Json::get));
        }
        for (key, template) in spec.run().into_iter().flat_map(Run::parts).filter(|(key, _)| view.shows(key)) {
            object.raw(key, self.arguments(index, Some(template), filler).as_ref().map_or("null", Json::get));
        }
        if let Some(sub_job) = spec.sub_job() {
            write_sub_job(&mut object, sub_job, view);
        }
        if let Some(depends) = spec.depends().filter(|_| view.shows("depends")) {
            let names: Vec<&str> = depends.iter().map(|task| &**self.job.spec(*task).name()).collect();
            object.key("depends");
            object.list(&names);
        }
        if let Some(data) = state.data.as_ref().filter(|_| view.shows("data")) {
            object.raw("data", data.get());
        }
        if let Some(msg) = state.msg.as_ref().filter(|_| view.shows("msg")) {
            object.string("msg", msg);
        }
        if let Some(error) = state.error.as_ref().filter(|_| view.shows("error")) {
            object.written("error", &**error);
        }
        if let Some(log) = state.log.as_ref().filter(|_| view.shows("log")) {
            object.string("log", log);
        }
        if let Some(reason) = self.waiting_reason(index).filter(|_| view.shows("waiting_reason")) {
            object.string("waiting_reason", reason);
        }
        if let Some(issue) = state.issue {
            if view.shows("attempt") {
                object.raw("attempt", &state.attempt().to_string());
            }
            // They differ where an attempt was handed out again, since its worker was lost for one.
            if issue.number != state.attempt() && view.shows("issue") {
                object.raw("issue", &issue.number.to_string());
            }
        }
        if let Some(details) = state.details.as_deref() {
            if let Some(first) = details.first.filter(|_| view.shows("first")) {
                object.string("first", self.job.spec(first).name());
            }
            if let Some(defaults) = details.defaults.as_ref().filter(|_| view.shows("defaults")) {
                object.raw("defaults", defaults.text().get());
            }
            write_details(&mut object, details, self.state.clock(), view);
        }
        if let Some(worker) = state.worker.as_ref().filter(|_| view.shows("worker")) {
            object.string("worker", worker);
        }
        if view.shows("submitted_at") {
            object.time("submitted_at", state.submitted_at);
        }
        if view.shows("started_at") {
            object.time("started_at", state.started_at);
        }
        if view.shows("ended_at") {
            object.time("ended_at", state.ended_at);
        }
        if &**spec.pool() != crate::job::DEFAULT_POOL && view.shows("pool") {
            object.string("pool", spec.pool());
        }
        if let Some(priority) = spec.own_priority().filter(|_| view.shows("priority")) {
            object.raw("priority", &priority.to_string());
        }
        for (key, value) in spec.extra().iter().filter(|(key, _)| view.shows(key)) {
            object.users_own(key, value.get());
        }
        object.end()
    }

    /// The reason why a task waits. Reasons are in the order of the tasks.
    fn waiting_reason(&self, index: u32) -> Option<&str> {
        let found = self.waiting.binary_search_by_key(&index, |(waits, _)| *waits).ok()?;
        Some(&self.waiting[found].1)
    }
}

/// A lower bound of the size of a task in a complete record in bytes.
fn minimum_bytes(state: &TaskState) -> usize {
    let times = [state.submitted_at, state.started_at, state.ended_at].iter().flatten().count() * MINIMUM_TIME_BYTES;
    let worker = state.worker.as_ref().map_or(0, |worker| worker.len());
    let data = state.data.as_ref().map_or(0, |data| data.get().len());
    MINIMUM_TASK_BYTES + times + worker + data
}

/// Writes the job that a task runs, as it was submitted.
fn write_sub_job(object: &mut Object, sub_job: &SubJob, view: &View) {
    if view.shows("job") {
        match sub_job.job().definition() {
            Some(pin) => object.string("job", &pin.to_string()),
            None => object.raw("job", sub_job.job().source()),
        }
    }
    if let Some(inputs) = sub_job.inputs().filter(|_| view.shows("inputs")) {
        object.raw("inputs", inputs.text().get());
    }
    if sub_job.is_detached() && view.shows("detached") {
        object.raw("detached", "true");
    }
}

/// Writes what only some jobs have.
fn write_job_details(object: &mut Object, details: &JobDetails, view: &View) {
    if let Some(parent) = details.parent.as_ref().filter(|_| view.shows("parent")) {
        object.written("parent", parent);
    }
    if let Some(inputs) = details.inputs.as_ref().filter(|_| view.shows("inputs")) {
        object.raw("inputs", inputs.get());
    }
    if let Some(origin) = details.origin.as_ref().filter(|_| view.shows("origin")) {
        object.written("origin", origin);
    }
    if let Some(cancel) = details.cancel.as_ref().filter(|_| view.shows("cancel")) {
        object.raw("cancel", &serde_json::to_string(cancel).unwrap_or_else(|_| "null".to_owned()));
    }
    if let Some(change) = details.priority.as_ref().filter(|_| view.shows("priority_change")) {
        object.written("priority_change", change);
    }
    if !details.pauses.is_empty() && view.shows("pauses") {
        object.raw("pauses", &serde_json::to_string(&details.pauses).unwrap_or_else(|_| "{}".to_owned()));
    }
    if details.phase > Phase::Tasks && view.shows("phase") {
        object.string("phase", details.phase.as_str());
    }
    if let Some(verdict) = details.verdict.filter(|_| view.shows("verdict")) {
        object.string("verdict", verdict.as_str());
    }
}

/// Writes what only tasks with special options have. Their times are of the job's clock.
fn write_details(object: &mut Object, details: &TaskDetails, clock: JobClock, view: &View) {
    let times =
        [("retry_at", details.retry_at), ("delayed_until", details.delayed_until), ("held_until", details.held_until)];
    for (key, at) in times.into_iter().filter(|(key, _)| view.shows(key)) {
        object.time(key, at.map(|at| clock.wall(at)));
    }
    if let Some(job) = details.rare().child.filter(|_| view.shows("child")) {
        object.string("child", &job.to_string());
    }
    if let Some(job) = details.rare().kept_from.filter(|_| view.shows("kept_from")) {
        object.string("kept_from", &job.to_string());
    }
    if let Some(cache) = &details.rare().cache {
        if let Some(from) = cache.from.filter(|_| view.shows("cached_from")) {
            object.written("cached_from", &from);
        }
        if let Some(why) = cache.not_kept.as_ref().filter(|_| view.shows("not_cached")) {
            object.string("not_cached", why);
        }
    }
    if details.overridden && view.shows("overridden") {
        object.raw("overridden", "true");
    }
    if details.recovered && view.shows("recovered") {
        object.raw("recovered", "true");
    }
    if view.shows("waits_until") {
        object.time("waits_until", details.end_of_wait(clock));
    }
    if !details.rare().signals.is_empty() && view.shows("signals") {
        object.written("signals", &details.rare().signals);
    }
    if let Some(answer) = details.rare().answer.as_ref().filter(|_| view.shows("answer")) {
        object.written("answer", answer);
    }
    if let Some(counts) = details.rare().items.filter(|_| view.shows("items")) {
        object.raw("items", &serde_json::to_string(&counts).unwrap_or_else(|_| "{}".to_owned()));
    }
    if let Some(progress) = details.rare().progress.as_ref().filter(|_| view.shows("progress")) {
        object.raw("progress", progress.get());
    }
    if !details.rare().repairs.is_empty() && view.shows("repairs") {
        object.written("repairs", &details.rare().repairs);
    }
    if !details.attempts.is_empty() && view.shows("attempts") {
        object.written("attempts", &details.attempts);
    }
}
