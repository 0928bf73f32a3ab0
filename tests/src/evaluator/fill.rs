//! Replaces the references in a template by their values.

use serde_json::Value;

use super::expected::TaskEnd;
use super::job::{Job, Task};
use super::reference::{Attribute, Reference, Text, walk};
use super::scenario::Scenario;

/// A path without a value.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Missing;

/// The values for references in a template.
#[derive(Clone, Copy)]
pub(super) struct Known<'a> {
    pub(super) job: &'a Job,
    pub(super) scenario: &'a dyn Scenario,
    /// The results of ended tasks, by position.
    pub(super) ended: &'a [Option<TaskEnd>],
    /// The number and the value of the item that the task runs for.
    pub(super) item: Option<(usize, &'a Value)>,
    /// The error of the task itself, if it has failed; how the job ended, for a handler.
    pub(super) failure: &'a Value,
    /// The inputs of the job, if it is a sub-job.
    pub(super) input: &'a Value,
    /// The upstream task that has decided that the task runs, if its trigger rule has such a task.
    pub(super) first: Option<usize>,
}

impl Known<'_> {
    /// A template with every reference replaced and every escaped underscore removed.
    pub(super) fn fill(&self, template: &Value) -> Result<Value, Missing> {
        Ok(match template {
            Value::String(text) => match Text::read(text) {
                Text::Literal(literal) => literal.into(),
                Text::Reference(reference) => self.value(&reference)?,
                Text::Failure(path) => walk(self.failure, &path).cloned().map_err(|_| Missing)?,
                Text::First(reference) => {
                    let first = self.first.expect("a task with this rule that runs has a first task");
                    self.value_of(&self.job.tasks()[first], &reference)?
                }
                Text::Input(path) => walk(self.input, &path).cloned().map_err(|_| Missing)?,
            },
            Value::Array(items) => items.iter().map(|item| self.fill(item)).collect::<Result<_, _>>()?,
            Value::Object(object) => {
                let filled = object.iter().map(|(key, item)| Ok((key.clone(), self.fill(item)?)));
                Value::Object(filled.collect::<Result<_, _>>()?)
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => template.clone(),
        })
    }

    fn value(&self, reference: &Reference<'_>) -> Result<Value, Missing> {
        if let Some((index, item)) = self.item {
            match reference.attribute {
                Attribute::Item => return walk(item, &reference.path).cloned().map_err(|_| Missing),
                Attribute::Index => return Ok(index.into()),
                _ => {}
            }
        }
        self.value_of(self.job.task(reference.task), reference)
    }

    fn value_of(&self, task: &Task, reference: &Reference<'_>) -> Result<Value, Missing> {
        let whole = match reference.attribute {
            Attribute::Id => Value::from(self.scenario.id(task)),
            Attribute::Name => Value::from(&*task.name),
            attribute => {
                let end = self.ended[task.position].as_ref().expect("what is referred to has ended");
                match attribute {
                    Attribute::Status => Value::from(end.status.as_str()),
                    Attribute::Error => end.failure(),
                    _ => end.data.clone().unwrap_or_default(),
                }
            }
        };
        walk(&whole, &reference.path).cloned().map_err(|_| Missing)
    }
}
