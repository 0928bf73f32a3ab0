//! What a runner can run.

use std::collections::BTreeMap;

/// The tasks of a runner.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Catalogue {
    /// Tasks by name.
    pub tasks: BTreeMap<String, TaskInfo>,
    /// Modules that cannot be used, by name, with the reason or the traceback.
    pub broken: BTreeMap<String, String>,
}

/// What is known of a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskInfo {
    /// What it is written in.
    pub language: Language,
    /// How it is called: `add(a, b)`.
    pub signature: Option<String>,
    /// What it says of itself.
    pub doc: Option<String>,
    /// Its result comes from outside.
    pub asynchronous: bool,
    /// It is an `async def`, of which many run in one process.
    pub coroutine: bool,
}

/// What a task is written in.
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
    /// A task of which no more is known.
    #[must_use]
    pub const fn plain(language: Language) -> Self {
        Self { language, signature: None, doc: None, asynchronous: false, coroutine: false }
    }
}
