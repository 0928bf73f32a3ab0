//! What a job must give, computed from its JSON text: the status and the data of each task, the output, and the status of the job.
//!
//! The evaluator shares no code with Hub. It reads references and dependencies itself, from plain JSON values, so that a fault in Hub's
//! own reading cannot hide in it. The simulator, the chaos test and the fuzz targets compare Hub with it.
//!
//! What a job alone does not tell is a [`Scenario`]: what the modules return, and which ids the Hub has given to the tasks.
//!
//! [`evaluate()`] leads each task through gates, in this order. Each gate lets the task pass or ends it. A feature of the job format is
//! added as a gate, or within one of them:
//!
//! | gate | file | ends a task as |
//! |---|---|---|
//! | trigger rule | `trigger.rs` | `UPSTREAM_FAILED`, `SKIPPED` |
//! | condition | `condition.rs` | `SKIPPED`; `FAILED`: `BAD_CONDITION`, `MISSING_VALUE` |
//! | arguments | `fill.rs`, `limits.rs` | `FAILED`: `MISSING_VALUE`, `ARGUMENTS_TOO_LARGE`, `VALUE_TOO_DEEP` |
//! | attempts | `evaluate.rs`, the scenario | `SUCCESS`, or `FAILED` with what the scenario says |
//! | result | `limits.rs` | `FAILED`: `RESULT_TOO_LARGE`, `VALUE_TOO_DEEP` |
//!
//! A delay, a pause and a start change nothing of how a job ends, and neither does a deadline that does not pass. A `for_each`
//! leads its items through the gates from the arguments on. A sub-job is evaluated with its inputs. Handlers are tasks that run when the tasks of the job have ended.

mod condition;
mod evaluate;
mod expected;
mod fill;
mod job;
mod limits;
mod reference;
mod scenario;
mod trigger;

pub use evaluate::{evaluate, evaluate_with, evaluate_within};
pub use expected::{Expected, Status, TaskEnd};
pub use job::{ForEach, Job, Task};
pub use limits::Limits;
pub use reference::{Attribute, Reference, Text, walk};
pub use scenario::{Call, Function, Outcome, Scenario, Table};
