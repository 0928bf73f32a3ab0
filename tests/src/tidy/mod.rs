//! Rules about the source tree that need parsed code: cyclic dependencies between files, and the contents of an index.

mod circles;
mod files;
mod index;
mod modules;

pub use circles::{Circle, circles};
pub use files::Files;
pub use index::logic_in_indexes;
