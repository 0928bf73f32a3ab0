//! The worker: takes tasks from the queues of its pools, runs them with its runner, and reports their results.
//!
//! The delivery of a *short* task stays unacknowledged until its result is confirmed. If the worker dies, the broker
//! delivers the task to another one. A task that becomes *long* is reported as started. From then on it is under a
//! lease, which the worker's heartbeat renews, and its delivery is acknowledged. The worker does not know how a task
//! runs; only the runner does.

mod dead_letters;
mod handle;
mod heartbeat;
mod internal;
mod issues;
mod limits;
mod pace;
mod recent;
mod report;
mod results;
mod serve;
mod settings;
mod shortage;
mod task_group;
mod timer;
mod waiting;

pub use handle::Worker;
pub use settings::WorkerSettings;
