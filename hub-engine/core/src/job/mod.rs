//! The job format: from text to a checked graph of tasks.
//!
//! [`Job::parse`] returns a job whose names, references and dependencies are valid, or all its problems. Later code
//! does not check again. This module does not know running jobs.
//!
//! ```text
//!   bytes ─ syntax ─► value ─ format ─► draft ─ link ─► graph ─ cycle ─► Job
//!              │                 │                │               │
//!              └─────────────────┴── report ──────┴───────────────┘──► Problems
//! ```

mod advice;
mod cache;
mod canonical;
mod comparison;
mod condition;
mod condition_reader;
mod cycle;
mod definition_links;
mod delay;
mod draft;
mod duration;
mod fill;
mod fill_error;
mod for_each;
mod format;
mod handlers;
mod inputs;
mod insert;
mod interner;
mod labels;
mod limits;
mod link;
mod model;
mod module_defaults;
mod moment;
mod names;
mod options;
mod other_formats;
mod outline;
mod parse;
mod path;
mod phase;
mod placeholders;
mod places;
mod position;
mod problem;
mod quoted;
mod reader;
mod recover;
mod reference;
mod report;
mod retry;
mod rules;
mod run;
mod run_reader;
mod schedule;
mod schedule_rules;
mod secret;
mod start;
mod sub_job;
mod suggest;
mod syntax;
mod task_names;
mod template;
mod timeouts;
mod times;
mod trigger_rule;
mod value;
mod wait;
mod walk;

pub use cache::Cache;
pub(crate) use canonical::digest as canonical_digest;
pub use condition::{Condition, ConditionError, Operator};
pub use delay::Delay;
pub(crate) use duration::from_text as duration_from_text;
pub(crate) use fill::Lookup;
pub use fill::{Source, Values};
pub use fill_error::FillError;
pub use for_each::{ForEach, Items, ItemsError, Tolerance};
pub use format::{definitions, schema};
pub use inputs::{AnyInputs, InputCheck, NoSchemas, SchemaError, Violation};
pub use labels::Labels;
pub use limits::Limits;
pub use model::{DEFAULT_POOL, ItemPlace, Job, SubJob, Task};
pub use module_defaults::ModuleDefaults;
pub use moment::{Due, Moment};
pub use other_formats::encoding_advice;
pub use phase::Phase;
pub use problem::{Problem, ProblemCode, Problems};
pub use recover::Recover;
pub use reference::{Attribute, Reference};
pub use retry::{Exhausted, RetryPolicy};
pub(crate) use rules::label_name;
pub use rules::{MAX_LABELS, MAX_SCHEMA_BYTES, pool as check_pool, priority as read_priority};
pub use run::{Need, Run, RunForm};
pub use schedule::Schedule;
pub use schedule_rules::{CatchUp, MAXIMUM_FAILURES, Overlap};
pub use secret::Secret;
pub use suggest::nearest;
pub use template::Template;
pub use timeouts::{AttemptLimits, Timeout, Timeouts};
pub use trigger_rule::TriggerRule;
pub use wait::{Approval, Awaited, OnTimeout, Until, Wait};
pub use walk::ResolveError;
