//! Runners run tasks: Python modules, executables and commands in separate processes.
//!
//! A runner does not know queues and dispatchers: it receives a request and returns a report.

mod catalogue;
mod children;
mod command;
mod content;
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
mod mask;
mod modules;
mod order;
mod pace;
mod process;
mod program;
mod progress_lines;
mod protocol;
mod python_process;
mod request;
mod scan;
mod sdk;
mod secrets;
mod settings;
mod stamp;
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
