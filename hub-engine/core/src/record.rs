//! The status record: what users see of a job. Its keys are those of the manual, with more beside.

use std::fmt::Write as _;

use crate::job::{Limits, Template, Values};
use crate::machine::value_of;
use crate::state::{JobSnapshot, TaskState};
use crate::{Json, Timestamp};

impl JobSnapshot {
    /// The job as JSON. Written in one pass into one string: a job of a million tasks has a record too.
    #[must_use]
    pub fn record(&self) -> Json {
        let mut object = Object::new(String::with_capacity(256 + self.tasks.len() * 320));
        object.string("id", &self.id.to_string());
        object.string("name", self.job.name());
        object.string("task_name", "");
        object.string("status", self.state.status.as_str());
        if let Some(msg) = &self.state.msg {
            object.string("msg", msg);
        }
        object.time("submitted_at", Some(self.state.submitted_at));
        object.time("started_at", self.state.started_at);
        object.time("ended_at", self.state.ended_at);
        if let Some(key) = self.job.key() {
            object.string("key", key);
        }
        if let Some(priority) = self.job.priority() {
            object.raw("priority", &priority.to_string());
        }
        for (key, value) in self.job.extra() {
            object.raw(key, value.get());
        }
        object.raw("output", self.state.output.as_ref().map_or("null", Json::get));
        object.key("tasks");
        object.text.push('[');
        let mut waiting = self.waiting.iter().peekable();
        let mut values = Values::default();
        for index in 0..self.tasks.len() as u32 {
            if index > 0 {
                object.text.push_str(", ");
            }
            let reason = waiting.next_if(|(waits, _)| *waits == index).map(|(_, reason)| reason.as_str());
            let text = std::mem::take(&mut object.text);
            object.text = self.write_task(text, index, reason, &mut values);
        }
        object.text.push(']');
        Json::from_checked(object.end())
    }

    /// One task as JSON, as it stands in the job's record. `None` where the job has no such task.
    #[must_use]
    pub fn task_record(&self, index: u32) -> Option<Json> {
        self.tasks.get(index as usize)?;
        let reason = self.waiting.iter().find(|(waits, _)| *waits == index).map(|(_, reason)| reason.as_str());
        let text = String::with_capacity(320);
        Some(Json::from_checked(self.write_task(text, index, reason, &mut Values::default())))
    }

    fn write_task(&self, text: String, index: u32, waiting: Option<&str>, values: &mut Values) -> String {
        let (spec, state) = (&self.job.tasks()[index as usize], &self.tasks[index as usize]);
        let mut object = Object::new(text);
        object.string("id", &self.task_id(index).to_string());
        object.string("parent_id", &self.id.to_string());
        object.string("name", spec.name());
        object.string("task_name", spec.task_name().map_or("", |name| name));
        object.string("status", state.status.as_str());
        object.raw("args", self.arguments(spec.args(), state, values).as_ref().map_or("[]", Json::get));
        if let Some(kwargs) = self.arguments(spec.kwargs(), state, values) {
            object.raw("kwargs", kwargs.get());
        }
        if let Some(depends) = spec.depends() {
            let names: Vec<&str> = depends.iter().map(|task| &**self.job.tasks()[*task as usize].name()).collect();
            object.key("depends");
            object.list(&names);
        }
        if let Some(data) = &state.data {
            object.raw("data", data.get());
        }
        if let Some(msg) = &state.msg {
            object.string("msg", msg);
        }
        if let Some(error) = &state.error {
            object.raw("error", &serde_json::to_string(&**error).unwrap_or_else(|_| "null".to_owned()));
        }
        if let Some(log) = &state.log {
            object.string("log", log);
        }
        if let Some(reason) = waiting {
            object.string("waiting_reason", reason);
        }
        if let Some(attempt) = state.attempt {
            object.raw("attempt", &attempt.attempt.to_string());
        }
        if let Some(worker) = &state.worker {
            object.string("worker", worker);
        }
        object.time("submitted_at", state.submitted_at);
        object.time("started_at", state.started_at);
        object.time("ended_at", state.ended_at);
        if &**spec.pool() != crate::job::DEFAULT_POOL {
            object.string("pool", spec.pool());
        }
        if let Some(priority) = spec.own_priority() {
            object.raw("priority", &priority.to_string());
        }
        for (key, value) in spec.extra() {
            object.raw(key, value.get());
        }
        object.end()
    }

    /// Arguments as they were handed out; as they were written, where they were not yet or could not be filled.
    /// `values`: what was found for other tasks of this record.
    fn arguments(&self, template: Option<&Template>, state: &TaskState, values: &mut Values) -> Option<Json> {
        let template = template?;
        if state.attempt.is_none() {
            return Some(template.text());
        }
        let lookup =
            |task: u32, attribute| value_of(self.id, &self.job, task, self.tasks.get(task as usize)?, attribute);
        // What was handed out was within the limit of the dispatcher that did it.
        let filled = self.job.fill(template, Limits::LARGEST_VALUE, values, lookup);
        Some(filled.unwrap_or_else(|_| template.text()))
    }
}

/// Writes one JSON object behind what is there already, in the manual's style: a space after colons and commas.
struct Object {
    text: String,
    first: bool,
}

impl Object {
    fn new(mut text: String) -> Self {
        text.push('{');
        Self { text, first: true }
    }

    fn key(&mut self, key: &str) {
        if !std::mem::take(&mut self.first) {
            self.text.push_str(", ");
        }
        self.quoted(key);
        self.text.push_str(": ");
    }

    fn raw(&mut self, key: &str, json: &str) {
        self.key(key);
        self.text.push_str(json);
    }

    fn string(&mut self, key: &str, value: &str) {
        self.key(key);
        self.quoted(value);
    }

    fn list(&mut self, values: &[&str]) {
        self.text.push('[');
        for (index, value) in values.iter().enumerate() {
            if index > 0 {
                self.text.push_str(", ");
            }
            self.quoted(value);
        }
        self.text.push(']');
    }

    fn time(&mut self, key: &str, time: Option<Timestamp>) {
        if let Some(time) = time {
            self.key(key);
            let _ = write!(self.text, "\"{time}\"");
        }
    }

    fn quoted(&mut self, text: &str) {
        // Hardly anything needs an escape.
        if text.bytes().all(|byte| byte >= b' ' && byte != b'"' && byte != b'\\') {
            self.text.push('"');
            self.text.push_str(text);
            self.text.push('"');
            return;
        }
        match serde_json::to_string(text) {
            Ok(quoted) => self.text.push_str(&quoted),
            Err(_) => self.text.push_str("\"\""),
        }
    }

    fn end(mut self) -> String {
        self.text.push('}');
        self.text
    }
}
