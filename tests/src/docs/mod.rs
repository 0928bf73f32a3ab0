//! Runs pages of the documentation: files are written, commands are executed in order, and what they print is compared with
//! what the page shows.
//!
//! | on the page | in the test |
//! |---|---|
//! | a line "File `x`:" before a block | the block is written to the file x |
//! | a block in the language `sh` | is executed; it must succeed |
//! | the same, after a text that says "in a second terminal" (or third) | is started in the background |
//! | a block in the language `text` after that | is what it must print: see [`agrees`] |
//! | a line that begins with "Press Ctrl-C" | the background programs are interrupted |
//!
//! Lines that build or install something (`cargo build`, `docker run`, …) are left out: tests have built the programs and
//! started the broker.

pub mod messages;
mod output;
mod page;
mod terminal;

pub use output::agrees;
pub use page::{Page, Step};
pub use terminal::Terminal;
