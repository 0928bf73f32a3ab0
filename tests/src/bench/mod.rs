//! The benchmark: workloads on the real programs, compared with the broker without Hub. docs/performance.md explains the
//! method.

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
