//! The worker: takes tasks from its pools' queues, has its runner run them, and reports how they ended.
//!
//! A *short* task keeps its delivery unacknowledged until its result is confirmed: if the worker dies,
//! the broker gives the task to another. A task that turns out to run *long* is reported as started;
//! from then on a lease holds it, renewed by the worker's heartbeat, and its delivery is acknowledged.
//! Nothing here knows how a task runs; that is the runner's.

mod crew;
mod dead_letters;
mod handle;
mod heartbeat;
mod internal;
mod issues;
mod limits;
mod pace;
mod report;
mod results;
mod serve;
mod settings;
mod shortage;

pub use handle::Worker;
pub use settings::WorkerSettings;
