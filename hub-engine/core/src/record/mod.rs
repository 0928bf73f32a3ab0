//! The status record: what users see of a job. Its keys are those of the manual, with more beside.
//!
//! A record repeats what many tasks share, so it can be many times larger than what it is made of. It is written in
//! parts ([`RecordParts`]), each when the reader takes it; what is small is written at once ([`crate::state::JobSnapshot::record`]).

mod object;
mod parts;
mod view;

pub use parts::{RecordParts, TaskPage};
pub use view::{UnknownField, View};
