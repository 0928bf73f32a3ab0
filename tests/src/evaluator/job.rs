//! The evaluator's representation of a job: tasks and their dependencies.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use serde_json::{Value, json};

use super::reference::Text;

/// A job that was accepted.
#[derive(Clone, Debug)]
pub struct Job {
    tasks: Vec<Task>,
    /// Number of the tasks, of the handlers in `on_failure`, and of those in `finally`.
    lists: [usize; 3],
    output: Option<Value>,
    positions: BTreeMap<String, usize>,
}

/// What a task iterates over, and how.
#[derive(Clone, Debug)]
pub struct ForEach {
    /// The template of the list, the object or the number.
    pub source: Value,
    /// The condition of an item.
    pub when: Option<Value>,
    /// How many items may fail: a number, or a text such as `5%`.
    pub tolerated: Value,
    /// How many elements make an item.
    pub batch: usize,
}

/// A task of a job.
#[derive(Clone, Debug)]
pub struct Task {
    /// Its position in the text.
    pub position: usize,
    /// Its name.
    pub name: String,
    /// The module that it runs; the key that says what it runs, if it has no module.
    pub module: String,
    /// The template of its positional arguments.
    pub args: Value,
    /// The template of its keyword arguments; of the keys that say what it runs, if it has no module.
    pub kwargs: Value,
    /// Its trigger rule.
    pub trigger_rule: String,
    /// Its condition.
    pub when: Option<Value>,
    /// What it runs for.
    pub for_each: Option<ForEach>,
    /// What it waits for instead of running a module.
    pub wait: Option<Value>,
    /// The job that it runs instead of a module.
    pub sub_job: Option<Box<Job>>,
    /// The template of the inputs of this job.
    pub inputs: Value,
    /// What replaces its result after it has failed.
    pub recover: Option<Value>,
    /// Whether it can take the result of an equal task instead of running.
    pub has_cache: bool,
    /// How many attempts it has.
    pub attempts: u32,
    /// The positions of its dependencies: tasks in `depends`, and tasks that its arguments refer to.
    pub upstream: BTreeSet<usize>,
}

impl Job {
    /// Parses the text of a job.
    ///
    /// # Panics
    /// If it is not a job.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        Self::of(&serde_json::from_str(text).expect("a job is JSON"))
    }

    /// Parses a job.
    ///
    /// # Panics
    /// If it is not a job.
    #[must_use]
    pub fn of(job: &Value) -> Self {
        let list = |key: &str| job[key].as_array().map_or(&[][..], Vec::as_slice);
        let lists = ["tasks", "on_failure", "finally"].map(list);
        let all = lists.concat();
        let name = |task: &Value| task["name"].as_str().expect("a task has a name").to_owned();
        let positions = all.iter().enumerate().map(|(position, task)| (name(task), position)).collect();
        let tasks = all
            .iter()
            .enumerate()
            .map(|(position, task)| Task::of(task, position, &positions, attempts(&job["retry"])))
            .collect();
        let lists = lists.map(<[Value]>::len);
        let mut job = Self { tasks, lists, output: job.get("output").cloned(), positions };
        for handler in job.lists[0]..job.tasks.len() {
            // It reads earlier tasks without depending on them.
            let list = job.list_of(handler);
            job.tasks[handler].upstream.retain(|before| list.contains(before));
        }
        job
    }

    /// The positions of its tasks, of the handlers in `on_failure`, and of those in `finally`.
    pub(super) fn lists(&self) -> [Range<usize>; 3] {
        let [tasks, on_failure, _] = self.lists;
        [0..tasks, tasks..tasks + on_failure, tasks + on_failure..self.tasks.len()]
    }

    /// The positions of the list that a task belongs to.
    #[must_use]
    pub fn list_of(&self, task: usize) -> Range<usize> {
        self.lists().into_iter().find(|list| list.contains(&task)).expect("every task is in a list")
    }

    /// Its tasks, in the order of the text, and then its handlers.
    #[must_use]
    pub fn tasks(&self) -> &[Task] {
        &self.tasks
    }

    /// The task with this name.
    ///
    /// # Panics
    /// If there is no such task.
    #[must_use]
    pub fn task(&self, name: &str) -> &Task {
        &self.tasks[*self.positions.get(name).unwrap_or_else(|| panic!("no task {name:?}"))]
    }

    pub(super) const fn output(&self) -> Option<&Value> {
        self.output.as_ref()
    }

    /// The tasks in topological order.
    ///
    /// # Panics
    /// If dependencies form a cycle.
    #[must_use]
    pub fn in_order(&self) -> Vec<&Task> {
        let mut waits: Vec<usize> = self.tasks.iter().map(|task| task.upstream.len()).collect();
        let mut downstream = vec![Vec::new(); self.tasks.len()];
        for task in &self.tasks {
            task.upstream.iter().for_each(|before| downstream[*before].push(task.position));
        }
        let mut ordered: Vec<&Task> = self.tasks.iter().filter(|task| task.upstream.is_empty()).collect();
        let mut at = 0;
        while let Some(task) = ordered.get(at) {
            at += 1;
            for next in &downstream[task.position] {
                waits[*next] -= 1;
                if waits[*next] == 0 {
                    ordered.push(&self.tasks[*next]);
                }
            }
        }
        assert_eq!(ordered.len(), self.tasks.len(), "tasks wait for each other");
        ordered
    }
}

impl Task {
    fn of(task: &Value, position: usize, positions: &BTreeMap<String, usize>, attempts_of_job: Option<u32>) -> Self {
        let name = task["name"].as_str().expect("a task has a name");
        let form = FORMS.into_iter().find(|form| !task[*form].is_null());
        let module = form.or(task["task_name"].as_str()).unwrap_or(name);
        let or = |value: &Value, default: Value| if value.is_null() { default } else { value.clone() };
        let kwargs = if form.is_some() { run(task) } else { or(&task["kwargs"], json!({})) };
        let args = or(&task["args"], json!([]));
        let position_of = |name: &str| *positions.get(name).unwrap_or_else(|| panic!("no task {name:?}"));
        let depends = task["depends"].as_array().into_iter().flatten();
        let mut upstream: BTreeSet<usize> =
            depends.map(|name| position_of(name.as_str().expect("a name is a text"))).collect();
        let when = task.get("when").filter(|when| !when.is_null()).cloned();
        let for_each = task.get("for_each").filter(|value| !value.is_null()).map(ForEach::of);
        let recover = task.get("recover").filter(|recover| !recover.is_null()).cloned();
        let fallback = recover.as_ref().and_then(|recover| recover.get("fallback"));
        let wait = task.get("wait").filter(|wait| !wait.is_null()).cloned();
        let message = wait.as_ref().and_then(|wait| wait["approval"].get("message"));
        let until = wait.as_ref().and_then(|wait| wait.get("until"));
        let sub_job = task.get("job").filter(|job| !job.is_null()).map(|job| Box::new(Job::of(job)));
        let inputs = or(&task["inputs"], json!({}));
        let of_items = for_each.iter().flat_map(|for_each| [Some(&for_each.source), for_each.when.as_ref()]);
        let cache_key = task.get("cache").and_then(|cache| cache.get("key"));
        let arguments = [Some(&args), Some(&kwargs), Some(&inputs), cache_key];
        let others = [when.as_ref(), task.get("delay"), fallback, message, until];
        let templates = arguments.into_iter().chain(others);
        for template in templates.chain(of_items).flatten() {
            each_text(template, &mut |text| {
                if let Text::Reference(reference) = Text::read(text)
                    && reference.attribute.needs_end()
                {
                    upstream.insert(position_of(reference.task));
                }
            });
        }
        let trigger_rule = task["trigger_rule"].as_str().unwrap_or("all_success").to_owned();
        let attempts = attempts(&task["retry"]).or(attempts_of_job).unwrap_or_else(|| attempts_of_module(module));
        Self {
            position,
            name: name.to_owned(),
            module: module.to_owned(),
            args,
            kwargs,
            trigger_rule,
            when,
            for_each,
            wait,
            sub_job,
            inputs,
            recover,
            has_cache: !task["cache"].is_null(),
            attempts,
            upstream,
        }
    }
}

impl ForEach {
    fn of(value: &Value) -> Self {
        let Value::Object(options) = value else {
            return Self { source: value.clone(), when: None, tolerated: json!(0), batch: 1 };
        };
        Self {
            source: options["in"].clone(),
            when: options.get("when").filter(|when| !when.is_null()).cloned(),
            tolerated: options.get("tolerated_failures").cloned().unwrap_or(json!(0)),
            batch: options.get("batch").and_then(Value::as_u64).map_or(1, |batch| batch as usize),
        }
    }

    /// The items of a value, if it can be iterated over.
    #[must_use]
    pub fn items(&self, value: &Value) -> Option<Vec<Value>> {
        let elements: Vec<Value> = match value {
            Value::Array(list) => list.clone(),
            Value::Object(object) => object.iter().map(|(key, value)| json!({"key": key, "value": value})).collect(),
            Value::Number(number) => (0..number.as_u64()?).map(Value::from).collect(),
            _ => return None,
        };
        Some(match self.batch {
            1 => elements,
            batch => elements.chunks(batch).map(|part| json!(part)).collect(),
        })
    }

    /// How many of `count` items may fail.
    #[must_use]
    pub fn tolerates(&self, count: usize) -> usize {
        match &self.tolerated {
            Value::String(part) => {
                let part: f64 = part.trim_end_matches('%').parse().expect("a percentage is a number");
                (count as f64 * part / 100.0 + 1e-9).floor() as usize
            }
            number => number.as_u64().unwrap_or(0) as usize,
        }
    }
}

/// The keys of a task that stand for a module.
const FORMS: [&str; 3] = ["command", "shell", "http"];

/// The template of what a task runs that has no module: its keys. Keys without references are escaped.
fn run(task: &Value) -> Value {
    let replaced = ["command", "env", "http"].map(|key| (key, task[key].clone()));
    let escaped = |text: &str| if text.starts_with('_') { format!("_{text}") } else { text.to_owned() };
    let literal = ["shell", "cwd", "output"].map(|key| (key, task[key].as_str().map(escaped).into()));
    let keys = replaced.into_iter().chain(literal).filter(|(_, value)| !value.is_null());
    keys.map(|(key, value)| (key.to_owned(), value)).collect::<serde_json::Map<_, _>>().into()
}

/// How many attempts a retry policy allows; `None` where there is none.
fn attempts(policy: &Value) -> Option<u32> {
    let number = |value: &Value| u32::try_from(value.as_u64()?).ok();
    match policy {
        Value::Null => None,
        Value::Object(policy) => Some(policy.get("maximum_attempts").and_then(number).unwrap_or(3)),
        short => number(short),
    }
}

/// How many attempts the module of a test sets for its tasks.
fn attempts_of_module(module: &str) -> u32 {
    if module == "persistent" { 4 } else { 1 }
}

/// Calls `see` for each text in a value, except the keys of objects.
fn each_text<'v>(value: &'v Value, see: &mut impl FnMut(&'v str)) {
    match value {
        Value::String(text) => see(text),
        Value::Array(items) => items.iter().for_each(|item| each_text(item, see)),
        Value::Object(object) => object.values().for_each(|item| each_text(item, see)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_task_waits_for_follows_from_depends_and_references() {
        let job = Job::of(&json!({"name": "j", "tasks": [
            {"name": "late", "task_name": "m", "args": [{"_a.data": ["_b.data.0"]}, "_c.id", "__d.data"],
             "kwargs": {"k": "_e.status"}, "depends": ["f"]},
            {"name": "a"}, {"name": "b"}, {"name": "c"}, {"name": "d"}, {"name": "e", "args": null},
            {"name": "f", "args": ["_late.name", "_e.error"]}]}));
        let names = |name: &str| -> Vec<&str> {
            job.task(name).upstream.iter().map(|position| &*job.tasks()[*position].name).collect()
        };
        assert_eq!((names("late"), names("f"), names("c")), (vec!["b", "e", "f"], vec!["e"], vec![]));
        assert_eq!((&*job.task("late").module, &*job.task("b").module), ("m", "b"));
        assert_eq!((&job.task("e").args, &job.task("e").kwargs), (&json!([]), &json!({})));
        let order: Vec<&str> = job.in_order().iter().map(|task| &*task.name).collect();
        let at = |name: &str| order.iter().position(|other| *other == name).unwrap();
        assert!(at("e") < at("f") && at("f") < at("late") && at("b") < at("late"), "{order:?}");
    }

    #[test]
    #[should_panic(expected = "tasks wait for each other")]
    fn a_cycle_has_no_order() {
        let job =
            json!({"tasks": [{"name": "a", "args": ["_b.data"]}, {"name": "b", "depends": ["a"]}, {"name": "c"}]});
        let _ = Job::of(&job).in_order();
    }
}
