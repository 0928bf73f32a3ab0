//! What a job comes to, worked out from its JSON alone: code of its own, which shares nothing with Hub's.

use std::collections::{BTreeMap, BTreeSet};

use hub_core::JobId;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::work::{self, Module};

/// What is expected of a task.
#[derive(Clone, Debug, PartialEq)]
pub enum Expected {
    /// It yields this.
    Success(Value),
    /// It fails.
    Failed,
    /// It does not run.
    UpstreamFailed,
}

/// What was left to chance, as the record has it: which run counted, or that its workers were lost.
pub trait Chance {
    /// The run whose value counts for a task.
    fn run(&self, task: usize) -> Option<u64>;
    /// Whether the workers of a task were lost so often that it failed.
    fn lost(&self, task: usize) -> bool;
}

/// Works out a job.
pub struct Evaluator<'a> {
    job: JobId,
    tasks: &'a [Value],
    output: Option<&'a Value>,
    names: BTreeMap<&'a str, usize>,
    chance: &'a dyn Chance,
    done: BTreeMap<usize, Expected>,
}

/// What a job comes to.
pub struct Evaluation {
    /// Of each task, in the order of the job.
    pub tasks: Vec<Expected>,
    /// The output, where the job succeeds; `null` where it asks for none.
    pub output: Option<Value>,
}

/// Everything that a task waits for, by position.
///
/// # Panics
/// Where `job` is no job.
#[must_use]
pub fn upstream(job: &Value, task: usize) -> BTreeSet<usize> {
    let tasks = job["tasks"].as_array().expect("a job has tasks");
    let position = |name: &str| tasks.iter().position(|task| task["name"] == name).expect("a known task");
    let mut found = BTreeSet::new();
    let mut texts = Vec::new();
    collect_texts(&tasks[task]["args"], &mut texts);
    collect_texts(&tasks[task]["kwargs"], &mut texts);
    for text in texts {
        if let Some((name, attribute, _)) = reference(text)
            && ["data", "status", "error"].contains(&attribute)
        {
            found.insert(position(name));
        }
    }
    for name in tasks[task]["depends"].as_array().into_iter().flatten() {
        found.insert(position(name.as_str().expect("a name")));
    }
    found
}

impl<'a> Evaluator<'a> {
    /// Of this job.
    ///
    /// # Panics
    /// Where `value` is no job.
    pub fn new(job: JobId, value: &'a Value, chance: &'a dyn Chance) -> Self {
        let tasks = value["tasks"].as_array().expect("a job has tasks");
        let names = tasks.iter().enumerate().map(|(at, task)| (task["name"].as_str().expect("a name"), at));
        Self { job, tasks, output: value.get("output"), names: names.collect(), chance, done: BTreeMap::new() }
    }

    /// Works it out.
    pub fn evaluate(mut self, value: &Value) -> Evaluation {
        let tasks: Vec<Expected> = (0..self.tasks.len()).map(|task| self.task(value, task)).collect();
        let all_well = tasks.iter().all(|task| matches!(task, Expected::Success(_)));
        let output = match self.output {
            None => Some(Value::Null),
            Some(output) => self.fill(output),
        };
        Evaluation { tasks, output: output.filter(|_| all_well) }
    }

    fn task(&mut self, value: &Value, task: usize) -> Expected {
        if let Some(done) = self.done.get(&task) {
            return done.clone();
        }
        // Every one is worked out, since the arguments may need it.
        let before: Vec<Expected> = upstream(value, task).into_iter().map(|before| self.task(value, before)).collect();
        let all_well = before.iter().all(|before| matches!(before, Expected::Success(_)));
        let expected = if all_well { self.run(task) } else { Expected::UpstreamFailed };
        self.done.insert(task, expected.clone());
        expected
    }

    fn run(&self, task: usize) -> Expected {
        let spec = &self.tasks[task];
        let (args, kwargs) = (self.fill(&spec["args"]), self.fill(spec.get("kwargs").unwrap_or(&Value::Null)));
        let module = Module::named(spec["task_name"].as_str().expect("a name"));
        let (Some(args), Some(kwargs)) = (args, kwargs) else { return Expected::Failed };
        if self.chance.lost(task) || module == Module::Fail || module.kills() {
            return Expected::Failed;
        }
        let kwargs = if kwargs.is_null() { Value::Object(Map::new()) } else { kwargs };
        Expected::Success(work::value(&args, &kwargs, self.chance.run(task).unwrap_or_default()))
    }

    /// A template with every reference filled; `None` where one leads to nothing.
    fn fill(&self, template: &Value) -> Option<Value> {
        Some(match template {
            Value::String(text) => match (reference(text), text.strip_prefix('_')) {
                (Some((name, attribute, path)), _) => self.look_up(name, attribute, path)?,
                (None, Some(literal)) => Value::from(literal),
                (None, None) => template.clone(),
            },
            Value::Array(items) => Value::Array(items.iter().map(|item| self.fill(item)).collect::<Option<_>>()?),
            Value::Object(object) => {
                let filled = object.iter().map(|(key, item)| Some((key.clone(), self.fill(item)?)));
                Value::Object(filled.collect::<Option<_>>()?)
            }
            _ => template.clone(),
        })
    }

    fn look_up(&self, name: &str, attribute: &str, path: &str) -> Option<Value> {
        let task = self.names[name];
        let whole = match attribute {
            // Jobs of the simulation have ids that end in zeros.
            "id" => Value::from(Uuid::from_u128(self.job.uuid().as_u128() + task as u128 + 1).to_string()),
            "name" => Value::from(name),
            "error" => Value::Null,
            "status" => Value::from("SUCCESS"),
            _ => match self.done.get(&task)? {
                Expected::Success(data) => data.clone(),
                _ => return None,
            },
        };
        path.split('.').filter(|step| !step.is_empty()).try_fold(whole, |here, step| match here {
            Value::Object(object) => object.get(step).cloned(),
            Value::Array(items) => items.get(step.parse::<usize>().ok()?).cloned(),
            _ => None,
        })
    }
}

/// The task, the attribute and the path of a reference; `None` for any other text.
fn reference(text: &str) -> Option<(&str, &str, &str)> {
    let rest = text.strip_prefix('_').filter(|rest| !rest.starts_with('_'))?;
    let (name, rest) = rest.split_once('.')?;
    let (attribute, path) = rest.split_once('.').unwrap_or((rest, ""));
    Some((name, attribute, path))
}

fn collect_texts<'v>(value: &'v Value, into: &mut Vec<&'v str>) {
    match value {
        Value::String(text) => into.push(text),
        Value::Array(items) => items.iter().for_each(|item| collect_texts(item, into)),
        Value::Object(object) => object.values().for_each(|item| collect_texts(item, into)),
        _ => {}
    }
}
