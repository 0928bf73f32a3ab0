//! The tasks that a runner can run.

use std::collections::BTreeMap;
use std::sync::Arc;

use hub_core::digest::Digest;
use hub_core::job::ModuleDefaults;

/// The tasks of a runner.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Catalogue {
    /// Tasks by name.
    pub tasks: BTreeMap<String, TaskInfo>,
    /// Broken modules by name, with the reason or the traceback.
    pub broken: BTreeMap<String, String>,
    /// The content of the modules of tasks, as far as it is known.
    pub contents: BTreeMap<String, Digest>,
}

impl Catalogue {
    /// The defaults of a module, which may be empty. `None` if it is not known to work.
    pub(crate) fn defaults(&self, module: &str) -> Option<Arc<ModuleDefaults>> {
        Some(self.tasks.get(module)?.defaults.clone().unwrap_or_default())
    }
}

/// Information about a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskInfo {
    /// The language of the task.
    pub language: Language,
    /// The signature of the task: `add(a, b)`.
    pub signature: Option<String>,
    /// The documentation of the task.
    pub doc: Option<String>,
    /// Whether its result is posted from outside.
    pub asynchronous: bool,
    /// Whether it is an `async def`, of which many run in one process.
    pub coroutine: bool,
    /// The defaults of the module.
    pub defaults: Option<Arc<ModuleDefaults>>,
}

/// The language of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// A Python module.
    Python,
    /// An executable file.
    Executable,
    /// A function of this program.
    Native,
}

impl TaskInfo {
    /// Information with only the language.
    #[must_use]
    pub const fn plain(language: Language) -> Self {
        Self { language, signature: None, doc: None, asynchronous: false, coroutine: false, defaults: None }
    }
}
