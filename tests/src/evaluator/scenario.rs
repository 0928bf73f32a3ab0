//! The inputs of the evaluator beside the job: the behaviour of its modules, and the ids of its tasks.

use std::collections::BTreeMap;

use serde_json::Value;

use super::job::Task;

/// The environment of a job.
pub trait Scenario {
    /// The outcome of a run of a task.
    fn run(&self, call: Call<'_>) -> Outcome;

    /// The outcome of a wait whose gates are open.
    fn wait(&self, task: &Task) -> Outcome;

    /// The id that the Hub has given to a task.
    fn id(&self, task: &Task) -> String;

    /// The position of the upstream task whose end has decided that a task runs, if its trigger rule has such a task and the
    /// scenario knows it.
    fn first(&self, _task: &Task) -> Option<usize> {
        None
    }

    /// The outcome of the job that a task runs, also for an item, if the scenario knows it. Otherwise it is computed.
    fn job(&self, _task: &Task, _item: Option<usize>, _inputs: &Value) -> Option<Outcome> {
        None
    }
}

/// A call of a task's module.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// The task.
    pub task: &'a Task,
    /// The number of the item, if the task runs for several.
    pub item: Option<usize>,
    /// The number of the attempt, from 1.
    pub attempt: u32,
    /// The positional arguments, a list.
    pub args: &'a Value,
    /// The keyword arguments, an object.
    pub kwargs: &'a Value,
}

/// The outcome of a run.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// It returns this value.
    Success(Value),
    /// It fails, with the kind of its error if it is known.
    Failed(Option<&'static str>),
}

/// The behaviour of a module, as a function of `args` and `kwargs`.
pub type Function = fn(&Value, &Value) -> Outcome;

/// A scenario with a table of modules.
#[derive(Debug, Default)]
pub struct Table {
    modules: BTreeMap<&'static str, Function>,
    ids: BTreeMap<String, String>,
}

impl Table {
    /// A scenario with these modules.
    #[must_use]
    pub fn new(modules: &[(&'static str, Function)]) -> Self {
        Self { modules: modules.iter().copied().collect(), ids: BTreeMap::new() }
    }

    /// Sets the ids of tasks, by their names.
    #[must_use]
    pub fn with_ids(self, ids: BTreeMap<String, String>) -> Self {
        Self { ids, ..self }
    }
}

impl Scenario for Table {
    fn run(&self, call: Call<'_>) -> Outcome {
        let module = &*call.task.module;
        let function = self.modules.get(module).unwrap_or_else(|| panic!("the table has no module {module:?}"));
        function(call.args, call.kwargs)
    }

    /// Waits end well, without data.
    fn wait(&self, _task: &Task) -> Outcome {
        Outcome::Success(Value::Null)
    }

    fn id(&self, task: &Task) -> String {
        let name = &task.name;
        self.ids.get(name).unwrap_or_else(|| panic!("the table has no id of {name:?}")).clone()
    }
}
