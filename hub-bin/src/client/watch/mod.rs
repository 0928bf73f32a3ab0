//! `hub-client watch`: shows what happens in a job until it has ended.
//!
//! [`session`] asks the Hub and passes what it sees to [`model`], which knows no Hub and no terminal: it compares the states of
//! tasks and says what has changed. [`story`] and [`frame`] turn that into lines, and [`screen`] writes them.

mod changes;
mod frame;
mod line;
mod model;
mod rate;
mod report;
mod screen;
mod seen;
mod session;
mod story;
#[cfg(test)]
mod terminal;
#[cfg(test)]
mod testing;

pub(super) use session::follow;
