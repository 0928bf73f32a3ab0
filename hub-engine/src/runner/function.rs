//! Tasks that are functions of this program, for tests and for benchmarks of Hub without task processes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;

use super::{Catalogue, Language, NoOutcome, Outcome, RunControl, Runner, TaskInfo, TaskReport, TaskRequest};

type Function = Arc<dyn Fn(&TaskRequest) -> Outcome + Send + Sync>;

/// Runs functions by name.
pub struct FunctionRunner {
    functions: BTreeMap<String, Function>,
    catalogue: watch::Sender<Arc<Catalogue>>,
}

impl FunctionRunner {
    /// Creates a runner without functions.
    #[must_use]
    pub fn new() -> Self {
        Self { functions: BTreeMap::new(), catalogue: watch::channel(Arc::default()).0 }
    }

    /// Adds a function.
    #[must_use]
    pub fn with(mut self, name: &str, function: impl Fn(&TaskRequest) -> Outcome + Send + Sync + 'static) -> Self {
        self.functions.insert(name.to_owned(), Arc::new(function));
        let names = self.functions.keys().map(|name| (name.clone(), TaskInfo::plain(Language::Native)));
        let catalogue = Catalogue { tasks: names.collect(), ..Catalogue::default() };
        self.catalogue.send_replace(Arc::new(catalogue));
        self
    }
}

impl Default for FunctionRunner {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Runner for FunctionRunner {
    async fn run(&self, request: TaskRequest, _control: RunControl) -> TaskReport {
        let function = self.functions.get(&*request.task_name);
        match function {
            Some(function) => TaskReport::silent(function(&request)),
            None => TaskReport::without(NoOutcome::Unknown),
        }
    }

    /// A function needs no process and returns immediately.
    fn can_queue_ahead(&self, _module: &str) -> bool {
        true
    }

    fn catalogue(&self) -> watch::Receiver<Arc<Catalogue>> {
        self.catalogue.subscribe()
    }

    async fn shutdown(&self, _grace: Duration) {}
}

impl std::fmt::Debug for FunctionRunner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.functions.keys()).finish()
    }
}
