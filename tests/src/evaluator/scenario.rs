//! What a job alone does not tell: how its modules behave, and the ids of its tasks.

use std::collections::BTreeMap;

use serde_json::Value;

use super::job::Task;

/// The surroundings of a job.
pub trait Scenario {
    /// How a run of a task ends.
    fn run(&self, call: Call<'_>) -> Outcome;

    /// The id that the Hub has given to a task.
    fn id(&self, task: &Task) -> String;
}

/// A call of a task's module.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// The task.
    pub task: &'a Task,
    /// The number of the attempt, from 1.
    pub attempt: u32,
    /// The positional arguments, a list.
    pub args: &'a Value,
    /// The named arguments, an object.
    pub kwargs: &'a Value,
}

/// How a run ends.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// It returns this.
    Success(Value),
    /// It fails, with an error of this kind where that is known.
    Failed(Option<&'static str>),
}

/// What a module does with `args` and `kwargs`.
pub type Function = fn(&Value, &Value) -> Outcome;

/// A scenario by a table: of each module by its name, what it does.
#[derive(Debug, Default)]
pub struct Table {
    modules: BTreeMap<&'static str, Function>,
    ids: BTreeMap<String, String>,
}

impl Table {
    /// These modules.
    #[must_use]
    pub fn new(modules: &[(&'static str, Function)]) -> Self {
        Self { modules: modules.iter().copied().collect(), ids: BTreeMap::new() }
    }

    /// The same, with the ids of tasks by their names.
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

    fn id(&self, task: &Task) -> String {
        let name = &task.name;
        self.ids.get(name).unwrap_or_else(|| panic!("the table has no id of {name:?}")).clone()
    }
}
