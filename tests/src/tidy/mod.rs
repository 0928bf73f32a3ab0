//! Rules about the source tree that need its code read: which files of a crate depend on each other, and what an index holds.

mod circles;
mod files;
mod index;
mod modules;

pub use circles::{Circle, circles};
pub use files::Files;
pub use index::logic_in_indexes;
