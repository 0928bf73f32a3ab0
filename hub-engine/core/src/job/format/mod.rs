//! The objects of the job format, each with one table of its keys.
//!
//! An entry of a table contains everything about a key: its name, its reader, the schema of its value, the version that
//! introduced it, and its documentation. Parsing, suggestions, the list of planned keys and the JSON Schema come from
//! the tables.
//!
//! ```text
//!   values, shapes ──► retry, timeout, for_each, http, recover, cache, approval ──► wait ──► task ──► job ──► start, schedule ──► objects ──► schema
//!                                        ▲                                    ▲        ▲
//!   key ──► object ──────────────────────┴────────────────────────────────────┴────────┘
//! ```

mod approval;
mod cache;
mod for_each;
mod http;
mod job;
mod key;
mod module_defaults;
mod object;
mod objects;
mod recover;
mod retry;
mod schedule;
mod schedule_shapes;
mod schema;
mod shapes;
mod start;
mod task;
mod timeout;
mod values;
mod wait;

pub(super) use job::read;
pub(super) use module_defaults::read as read_module_defaults;
pub(super) use objects::OBJECTS;
pub(super) use schedule::read as read_schedule;
pub use schema::{definitions, schema};
pub(super) use start::read as read_start;
pub(super) use values::{duration_or_zero, is_word, moment};
