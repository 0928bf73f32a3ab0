//! Decides what Hub does next. Pure: no files, sockets, clock or chance of its own; all that comes in from
//! the shell around it, as values.
//!
//! ```text
//!   broker · API · clock
//!          │ facts: submitted, started, ended, returned, heartbeat, lost, cancelled …
//!          ▼
//!   ┌─────────────────────────── Machine ───────────────────────────┐
//!   │ jobs ──► tasks ready ──► pools (priority, fairness, windows)  │
//!   │   ▲                             │                             │
//!   │   └── results, failures ◄───────┴── issues, leases            │
//!   └───────────────────────────────┬───────────────────────────────┘
//!          ┌────────────────────────┼───────────────┬─────────────┐
//!          ▼                        ▼               ▼             ▼
//!   Persist (store)          Publish (task)   Stop (workers)   Notify (watchers)
//! ```
//!
//! The shell takes what has arrived, hands it to the [`machine::Machine`], asks for the
//! [`action::Action`]s and carries them out. It acknowledges to the broker only what has been committed
//! and published: see `ARCHITECTURE.md`.

pub mod action;
mod chance;
pub mod details;
mod failure;
pub mod id;
pub mod job;
mod json;
pub mod machine;
pub mod record;
pub mod state;
mod status;
pub mod text;
pub mod time;

pub use id::{Issue, IssueId, JobId, TaskId};
pub use json::{Json, Unreadable};
pub use status::{JobStatus, TaskStatus, UnknownStatus};
pub use time::{NotATime, Now, Steady, Timestamp};
