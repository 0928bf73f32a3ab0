//! The events of a simulation, for its trace and its invariants.

use std::fmt;
use std::sync::Arc;

use hub_core::action::Change;
use hub_core::{JobId, TaskId};
use hub_transport::Settlement;
use serde_json::Value;

use super::note::{Note, short};

/// An event.
#[derive(Clone, Debug)]
pub enum Event {
    /// A process started.
    Began(Arc<str>),
    /// A process was killed.
    Died(Arc<str>),
    /// A process was told to stop.
    Stopping(Arc<str>),
    /// A process has ended by itself.
    Stopped(Arc<str>),
    /// A dispatcher has read the store.
    Loaded(Arc<str>),
    /// A fault of another kind occurred.
    Fault(String),
    /// The wall clocks were set. The value is their offset in milliseconds.
    Clock(i64),
    /// A connection of a process broke.
    Cut(Arc<str>, u64),
    /// The broker received a message over this connection.
    Took(Arc<str>, u64, Note),
    /// A process received the confirm of a message.
    Confirmed(Arc<str>, Note),
    /// A message of a queue was delivered to a process.
    Delivered(Arc<str>, String, Note),
    /// A process settled messages of this queue.
    Settled(Arc<str>, String, Settlement, Vec<Note>),
    /// The store committed changes.
    Kept(Arc<str>, Arc<Vec<Change>>),
    /// A worker started a run.
    RunBegan(Run),
    /// A run ended, with success or failure.
    RunEnded(u64, TaskId, bool),
    /// There is an external result for a launched task, with the number of the run that launched it.
    Outside(u64, TaskId),
    /// A client received the answer to its submission.
    Submitted(JobId),
    /// A client received the answer to its cancellation.
    Cancelled(JobId),
    /// A client received the answer to its pause, or to its resume.
    Paused(JobId, bool),
    /// A client received the answer to a posted result.
    Posted(u64, TaskId),
    /// A client begins to send a signal with this name.
    Sent(JobId, String),
    /// The fault phase ended.
    Calm,
}

/// A run of a task by a worker.
#[derive(Clone, Debug)]
pub struct Run {
    /// Its unique number.
    pub number: u64,
    /// The worker.
    pub worker: Arc<str>,
    /// The task.
    pub task: TaskId,
    /// The number of the issue.
    pub issue: u32,
    /// The number of the attempt.
    pub attempt: u32,
    /// The positional arguments.
    pub args: Value,
    /// The keyword arguments.
    pub kwargs: Value,
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Began(who) => write!(f, "{who} begins"),
            Self::Died(who) => write!(f, "{who} is killed"),
            Self::Stopping(who) => write!(f, "{who} is told to stop"),
            Self::Stopped(who) => write!(f, "{who} has stopped"),
            Self::Loaded(who) => write!(f, "{who} has read the store"),
            Self::Fault(what) => write!(f, "fault: {what}"),
            Self::Clock(ahead) => write!(f, "the wall clocks are set to be {ahead} ms ahead"),
            Self::Cut(who, conn) => write!(f, "{who} loses connection {conn}"),
            Self::Took(who, conn, note) => write!(f, "broker takes from {who} over {conn}: {note}"),
            Self::Confirmed(who, note) => write!(f, "{who} has confirmed: {note}"),
            Self::Delivered(who, queue, note) => write!(f, "broker sends to {who} from {queue}: {note}"),
            Self::Settled(who, queue, settlement, notes) => {
                write!(f, "{who} settles at {queue} with {settlement:?}:")?;
                notes.iter().try_for_each(|note| write!(f, " {note};"))
            }
            Self::Kept(who, changes) => {
                write!(f, "store keeps for {who}:")?;
                changes.iter().try_for_each(|change| write_change(f, change))
            }
            Self::RunBegan(run) => {
                let (task, args) = (short(run.task), &run.args);
                let (issue, attempt) = (run.issue, run.attempt);
                write!(f, "{} begins run {}: {task}#{issue}, attempt {attempt}, with {args}", run.worker, run.number)
            }
            Self::RunEnded(run, task, well) => write!(f, "run {run} of {} ends, well: {well}", short(*task)),
            Self::Outside(run, task) => write!(f, "outside: the result of run {run} for {}", short(*task)),
            Self::Submitted(job) => write!(f, "submit of J{} answered", job.uuid().as_u128() >> 64),
            Self::Cancelled(job) => write!(f, "cancel of J{} answered", job.uuid().as_u128() >> 64),
            Self::Paused(job, pauses) => write!(f, "pause ({pauses}) of J{} answered", job.uuid().as_u128() >> 64),
            Self::Posted(run, task) => write!(f, "post of run {run} for {} answered", short(*task)),
            Self::Sent(job, name) => write!(f, "signal {name} is sent to J{}", job.uuid().as_u128() >> 64),
            Self::Calm => f.write_str("faults are over"),
        }
    }
}

fn write_change(f: &mut fmt::Formatter<'_>, change: &Change) -> fmt::Result {
    let number = |id: &JobId| id.uuid().as_u128() >> 64;
    match change {
        Change::JobAdded { id, .. } => write!(f, " J{} added;", number(id)),
        Change::JobChanged { id, state } => write!(f, " J{} {};", number(id), state.status),
        Change::JobRemoved { id } => write!(f, " J{} removed;", number(id)),
        Change::ResultKept { key, kept } => {
            let from = kept.as_ref().map_or_else(|| "none".to_owned(), |kept| short(kept.from.task));
            write!(f, " result {:.8} of {from};", key.to_string())
        }
        Change::DefinitionAdded { definition } => write!(f, " {} defined;", definition.pin),
        Change::AliasChanged { name, alias, version } => write!(f, " {name}@{alias} is {version:?};"),
        Change::ScheduleSet { kept } => write!(f, " schedule {};", kept.schedule.name()),
        Change::ScheduleChanged { name, state } => {
            let next = state.next_at.map_or(0, hub_core::Timestamp::as_millis);
            write!(f, " schedule {name}: next {next}, {} started, {} skipped;", state.started, state.skipped)
        }
        Change::ScheduleRemoved { name } => write!(f, " schedule {name} removed;"),
        Change::PoolChanged { pool, pause } => write!(f, " pool {pool} paused: {};", pause.is_some()),
        Change::TaskChanged { job, index, state } => {
            let issue = state.issue.map_or_else(String::new, |of| format!("#{}.{}", of.number, of.incarnation));
            let confirmed = if state.confirmed { " confirmed" } else { "" };
            write!(f, " J{}.{index}{issue} {}{confirmed};", number(job), state.status)
        }
    }
}
