//! The measure of Hub's speed: workloads on the real programs, beside what the broker alone can do. The method is
//! explained in docs/performance.md.

mod bound;
mod command;
mod cost;
mod deployment;
mod figure;
mod inside;
mod jobs;
mod machine;
mod plot;
mod processes;
mod report;
mod round;
mod rounds;
mod run;
mod settle;
mod table;
mod workloads;

pub use command::main;
