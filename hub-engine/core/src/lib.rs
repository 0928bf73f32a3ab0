//! Decides what Hub does next. The crate is pure: it uses no files, sockets, clocks or random numbers. The shell around
//! it passes all inputs as values.
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
//! The shell passes arrived inputs to the [`machine::Machine`], asks for [`action::Action`]s and executes them. It
//! acknowledges a delivery to the broker only after its effects have been committed and published: see
//! `ARCHITECTURE.md`.

pub mod action;
pub mod cache;
mod chance;
pub mod definition;
pub mod details;
pub mod digest;
pub mod explain;
mod failure;
pub mod filter;
pub mod id;
mod id_map;
pub mod job;
pub mod job_clock;
pub mod job_details;
mod json;
pub mod machine;
pub mod received;
pub mod record;
mod retry_from;
pub mod schedule;
pub mod state;
mod status;
mod task_kind;
pub mod text;
pub mod time;

pub use id::{Issue, IssueId, JobId, TaskId};
pub use id_map::{IdMap, IdSet};
pub use json::{Json, Unreadable};
pub use retry_from::RetryFrom;
pub use status::{JobStatus, TaskStatus, UnknownStatus};
pub use task_kind::{TaskKind, TaskKinds};
pub use time::{NotATime, Now, Steady, Timestamp};
