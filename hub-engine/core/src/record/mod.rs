//! The status record of a job. It has the keys of the manual and further ones.
//!
//! A record repeats values that tasks share, so it can be many times larger than the stored data. It is written in
//! parts on demand ([`RecordParts`]); small records are written at once ([`crate::state::JobSnapshot::record`]).

mod filler;
mod object;
mod parts;
mod view;

pub use parts::{RecordParts, TaskPage};
pub use view::{UnknownField, View};
