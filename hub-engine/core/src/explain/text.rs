//! The sentences of reasons.

use std::fmt;

use super::reason::{Listed, Reason, RootCause, TaskNow};
use crate::job_details::{CancelRecord, PauseRecord};
use crate::{TaskKind, TaskStatus, Timestamp};

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Upstream { open, .. } => write!(f, "waits for {open}"),
            Self::Handler { list } => {
                write!(f, "it is a task of {list:?}, which runs when the tasks before have ended")
            }
            Self::JobStart { at } => write!(f, "the job starts at {at}"),
            Self::JobPaused { job, pause } => {
                write!(f, "the job is paused since {pause}: hub-client resume {job}")
            }
            Self::Stopping { worker: Some(worker) } => write!(f, "is being stopped on the worker {worker}"),
            Self::Stopping { worker: None } => f.write_str(
                "is being stopped; no worker has started it, so it ends when a worker returns it, or after a lease",
            ),
            Self::Cancelling { cancel, msg, open } => write_cancelling(f, cancel.as_ref(), msg.as_deref(), open),
            Self::Time { until } => write!(f, "waits{}", Until(*until)),
            Self::Signal { name, count, came, until } => {
                write!(f, "waits{} for the signal {name:?}", Until(*until))?;
                if *count > 1 {
                    write!(f, ", of which {came} of {count} have come")?;
                }
                f.write_str(": send it with hub-client signal")
            }
            Self::Approval { question, choices, until } => {
                write!(f, "waits{} for an approval", Until(*until))?;
                question.iter().try_for_each(|question| write!(f, " ({question})"))?;
                write!(f, ": answer with hub-client approve; its choices are {choices}")
            }
            Self::Launched => f.write_str("waits for its result from outside: post it with hub-client result"),
            Self::SubJob { job } => write!(f, "runs the sub-job {job}, which has not ended: hub-client explain {job}"),
            Self::Delay { until } => write!(f, "waits until {until}, since it has a delay"),
            Self::Retry { until, failures, .. } => {
                write!(f, "attempt {failures} failed; the next one begins at {until}")
            }
            Self::Held { until, failures, .. } => write!(
                f,
                "attempt {failures} failed, and it was the last one: retry, skip or fail the task; it fails at {until}"
            ),
            Self::Parallel { task, parallel: Some(parallel), active } => write!(
                f,
                "waits for a place among the items of the task {task:?}: {active} are active, and parallel is {parallel}"
            ),
            Self::Parallel { task, parallel: None, active } => {
                write!(f, "is about to go to its pool with the other items of the task {task:?}: {active} are active")
            }
            Self::Items { counts, active, waiting, parallel } => {
                let ended = counts.success + counts.failed + counts.skipped + counts.cancelled;
                write!(f, "{ended} of {} items have ended", counts.total)?;
                if counts.failed > 0 {
                    write!(f, ", {} of them failed", counts.failed)?;
                }
                write!(f, "; {active} are active")?;
                match parallel {
                    Some(parallel) if *waiting > 0 => write!(f, ", {waiting} wait, because parallel is {parallel}"),
                    _ if *waiting > 0 => write!(f, ", {waiting} are about to go to their pool"),
                    _ => Ok(()),
                }
            }
            Self::EqualTask { job, task, status } => write!(
                f,
                "waits for the result of the task {task:?} of job {job}, which is {status} and computes the same (cache)"
            ),
            Self::PoolPaused { pool, pause } => {
                write!(f, "the pool {pool:?} is paused since {pause}: hub-client resume --pool {pool}")
            }
            Self::NoWorker { pool } => write!(f, "no worker serves the pool {pool:?}"),
            Self::NoModule { pool, module, modules, nearest } => {
                write!(f, "no worker of the pool {pool:?} has a task module {module:?}: they have ")?;
                if modules.is_empty() {
                    f.write_str("none")?;
                } else {
                    write!(f, "{modules}")?;
                }
                nearest.iter().try_for_each(|near| write!(f, "; did you mean {near:?}?"))
            }
            Self::KindNotAllowed { pool, allow } => write!(
                f,
                "no worker of the pool {pool:?} allows {}: add {allow} to allow in the configuration of a worker that may run \
                 them, such as allow = modules,{allow}",
                kind_name(allow)
            ),
            Self::NoRoom { pool, on_broker, .. } => {
                write!(f, "waits for its turn in the pool {pool:?}: {on_broker} tasks are handed out before it")
            }
            Self::MessageRemoved { pool } => write!(
                f,
                "a policy of the broker (a message TTL or a maximum length) keeps its message out of the queue of the pool \
                 {pool:?}: it is handed out again in a moment"
            ),
            Self::OnBroker { pool, confirmed, workers, slots } => {
                let sent = if *confirmed { "is in" } else { "is being sent to" };
                let (some, serve) = if *workers == 1 { ("worker", "serves") } else { ("workers", "serve") };
                write!(
                    f,
                    "{sent} the queue of the pool {pool:?} on the broker; {workers} {some} with {slots} slots {serve} it"
                )
            }
            Self::Running { worker } => write!(f, "runs on the worker {worker}"),
            Self::InProgress => f.write_str("is about to go on"),
            Self::Ended { root: Some(root), through, .. } => {
                write!(f, "did not run, because {root}")?;
                through.iter().try_for_each(|through| write!(f, " (through {through})"))
            }
            Self::Ended { msg, .. } => f.write_str(msg.as_deref().unwrap_or("has ended")),
        }
    }
}

fn write_cancelling(
    f: &mut fmt::Formatter<'_>,
    cancel: Option<&CancelRecord>,
    msg: Option<&str>,
    open: &Listed<TaskNow>,
) -> fmt::Result {
    match (cancel, msg) {
        (Some(cancel), _) => write!(f, "the job is being cancelled since {cancel}")?,
        (None, Some(msg)) => write!(f, "the job is being stopped ({msg})")?,
        (None, None) => f.write_str("the job is being stopped")?,
    }
    if open.is_empty() { Ok(()) } else { write!(f, ": it waits for the end of {open}") }
}

/// The tasks of a kind, for people.
fn kind_name(word: &str) -> &'static str {
    match TaskKind::from_word(word) {
        Some(TaskKind::Command) => "commands",
        Some(TaskKind::Http) => "HTTP requests",
        Some(TaskKind::Modules) | None => "task modules",
    }
}

/// The end of a wait, if it has one.
struct Until(Option<Timestamp>);

impl fmt::Display for Until {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|until| write!(f, " until {until}"))
    }
}

impl<T: fmt::Display> fmt::Display for Listed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, one) in self.first.iter().enumerate() {
            write!(f, "{}{one}", if at > 0 { ", " } else { "" })?;
        }
        if self.more > 0 { write!(f, " and {} more", self.more) } else { Ok(()) }
    }
}

impl fmt::Display for TaskNow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl fmt::Display for RootCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = match self.status {
            TaskStatus::Failed => "failed: ",
            TaskStatus::Cancelled => return write!(f, "the task {:?} was cancelled", self.task),
            _ => "",
        };
        write!(f, "the task {:?} {how}{}", self.task, self.msg.as_deref().unwrap_or("gave no message"))
    }
}

/// When something was paused, by whom, and why.
impl fmt::Display for PauseRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_remark(f, self.at, self.by.as_deref(), self.reason.as_deref())
    }
}

/// When a job was cancelled, by whom, and why.
impl fmt::Display for CancelRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_remark(f, self.at, self.by.as_deref(), self.reason.as_deref())
    }
}

fn write_remark(f: &mut fmt::Formatter<'_>, at: Timestamp, by: Option<&str>, reason: Option<&str>) -> fmt::Result {
    write!(f, "{at}")?;
    by.iter().try_for_each(|by| write!(f, " by {by}"))?;
    reason.iter().try_for_each(|reason| write!(f, " ({reason})"))
}
