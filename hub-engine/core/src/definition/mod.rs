//! Definitions: jobs that Hub keeps under a name, in numbered versions.
//!
//! A version never changes, so a job that has begun with it stays what it is. An *alias* is another name of one version, such as `prod`, and can
//! be moved to another one. A [`Reference`] selects a version: `etl` the newest one, `etl@7` the seventh, `etl@prod` the one that the
//! alias stands for. A [`Pin`] is what a reference stood for when a job was accepted.

mod library;
mod reference;
mod rules;
mod version;

pub use library::Library;
pub(crate) use library::Parsed;
pub use reference::{Pin, Pins, Reference, Which};
pub use rules::{MAXIMUM_NAME_BYTES, alias as check_alias, name as check_name};
pub use version::{Definition, VersionSummary};
