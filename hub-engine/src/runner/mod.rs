//! Runners run tasks: Python modules and executables in separate processes.
//!
//! A runner does not know queues and dispatchers: it receives a request and returns a report.

mod catalogue;
mod children;
mod control;
mod coroutines;
mod environment;
mod executable;
mod files;
mod function;
mod guard;
mod interface;
mod interpreter;
mod interruption;
mod lane;
mod modules;
mod pace;
mod program;
mod progress_lines;
mod protocol;
mod python_process;
mod scan;
mod sdk;
mod settings;
mod streams;
mod task;
mod watcher;

pub use catalogue::{Catalogue, Language, TaskInfo};
pub use control::RunControl;
pub use function::FunctionRunner;
pub use hub_core::machine::Outcome;
pub use interface::Runner;
pub use interruption::Interruption;
pub use modules::ModuleRunner;
pub use settings::{RunnerError, RunnerSettings};
pub use task::{NoOutcome, TaskReport, TaskRequest};
