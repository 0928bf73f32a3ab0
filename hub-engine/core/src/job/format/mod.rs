//! The objects of the job format, each with one table of its keys.
//!
//! A line of a table has everything that is said of a key: its name, its reader, what a schema says of its value, since when
//! it exists, and a sentence of documentation. Parsing, suggestions, the list of planned keys and the JSON Schema come
//! from the tables.
//!
//! ```text
//!   values, shapes ──► retry ──► task ──► job ──► objects ──► schema
//!                        ▲       ▲
//!   key ──► object ──────┴───────┘
//! ```

mod job;
mod key;
mod object;
mod objects;
mod retry;
mod schema;
mod shapes;
mod task;
mod values;

pub(super) use job::read;
pub(super) use objects::OBJECTS;
pub use schema::{definitions, schema};
pub(super) use values::duration_or_zero;
