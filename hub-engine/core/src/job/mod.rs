//! The job format: from text to a checked graph of tasks.
//!
//! [`Job::parse`] returns a job whose names, references and order are sound, or every problem it has.
//! Nothing after it checks again. It knows nothing of running jobs.
//!
//! ```text
//!   bytes ─ syntax ─► value ─ format ─► draft ─ link ─► graph ─ cycle ─► Job
//!              │                 │                │               │
//!              └─────────────────┴── report ──────┴───────────────┘──► Problems
//! ```

mod comparison;
mod condition;
mod condition_reader;
mod cycle;
mod delay;
mod draft;
mod duration;
mod fill;
mod format;
mod habits;
mod holes;
mod interner;
mod limits;
mod link;
mod model;
mod outline;
mod parse;
mod path;
mod places;
mod position;
mod problem;
mod quoted;
mod reader;
mod reference;
mod report;
mod retry;
mod roster;
mod rules;
mod suggest;
mod syntax;
mod template;
mod trigger_rule;
mod value;
mod walk;

pub use condition::{Condition, ConditionError, Operator};
pub use delay::Delay;
pub use fill::{FillError, Values};
pub use format::{definitions, schema};
pub use habits::encoding_advice;
pub use limits::Limits;
pub use model::{DEFAULT_POOL, Job, Task};
pub use problem::{Problem, ProblemCode, Problems};
pub use reference::{Attribute, Reference};
pub use retry::{Exhausted, RetryPolicy};
pub use suggest::nearest;
pub use template::Template;
pub use trigger_rule::TriggerRule;
pub use walk::ResolveError;
