//! Signals: what happens to one that comes.

use std::sync::Arc;

use super::Machine;
use super::live::LiveJob;
use super::signal_waits::{WaitsOfSignal, signal_of};
use super::texts;
use super::types::OutOfBounds;
use crate::action::Action;
use crate::job::{Limits, nearest};
use crate::job_details::JobDetails;
use crate::received::{KEPT_SIGNAL_BYTES, KEPT_SIGNALS, ReceivedSignal, SIGNAL_BYTES, SignalKey};
use crate::state::ErrorKind;
use crate::text::cut;
use crate::{JobId, Json, Now, Timestamp};

/// What stands between the data of two signals.
const SEPARATOR: &str = ", ";
/// Maximum length of the key of a signal in bytes.
const MAXIMUM_KEY: usize = 255;

/// A signal to a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signal {
    /// Its name.
    pub name: Arc<str>,
    /// Its data.
    pub data: Json,
    /// Makes it idempotent: a further signal with this name and this key has no effect.
    pub key: Option<Arc<str>>,
    /// Who sends it.
    pub by: Option<Arc<str>>,
    /// Whether all tasks that wait for it now receive it, instead of the first one.
    pub broadcast: bool,
}

/// What happened to a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signalled {
    /// A task has received it, or several have.
    Delivered,
    /// It is kept until a task waits for it.
    Kept,
    /// The same signal was accepted before.
    Repeated,
    /// No task waits for it now, and a broadcast is not kept.
    Dropped,
}

/// Why a signal is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignalError {
    /// No live job has this id.
    #[error("no such job is live")]
    UnknownJob,
    /// The job was cancelled.
    #[error("the job was cancelled, so its tasks do not wait any more")]
    Cancelled,
    /// No task of the job waits for a signal with this name.
    #[error("no task of the job waits for a signal {name:?}; {known}")]
    UnknownSignal {
        /// The name.
        name: Arc<str>,
        /// The names that exist.
        known: String,
    },
    /// The tasks that wait for it have ended.
    #[error("every task that waits for the signal {0:?} has ended")]
    TooLate(Arc<str>),
    /// The job keeps too many signals.
    #[error(
        "the job keeps as many signals as it can until its tasks wait for them: {KEPT_SIGNALS}, or {} MiB of data",
        KEPT_SIGNAL_BYTES / 1024 / 1024
    )]
    TooMany,
    /// The key is too long.
    #[error("the key of the signal has {bytes} bytes, the limit is {MAXIMUM_KEY}")]
    KeyTooLong {
        /// Its size in bytes.
        bytes: usize,
    },
    /// The data is too large.
    #[error("the data of the signal has {bytes} bytes, the limit is {SIGNAL_BYTES}")]
    TooLarge {
        /// Its size in bytes.
        bytes: usize,
    },
    /// The data is not a value that every program can read.
    #[error(transparent)]
    OutOfBounds(#[from] OutOfBounds),
}

impl Machine {
    /// Sends a signal to a job. The task that has waited for it longest receives it, and among those that began at the
    /// same time the first one in the job. A signal that comes before a task waits for it is kept.
    ///
    /// # Errors
    /// If the job is unknown or was cancelled, no task can receive the signal any more, or a limit is exceeded.
    pub fn signal(&mut self, id: JobId, signal: Signal, now: Now) -> Result<Signalled, SignalError> {
        let Signal { name, data, key, by, broadcast } = signal;
        let job = self.jobs.find_mut(id).ok_or(SignalError::UnknownJob)?;
        if key.as_ref().is_some_and(|key| job.knows_signal(&name, key)) {
            return Ok(Signalled::Repeated);
        }
        if job.cancelled {
            return Err(SignalError::Cancelled);
        }
        if let Some(bytes) = key.as_ref().map(|key| key.len()).filter(|bytes| *bytes > MAXIMUM_KEY) {
            return Err(SignalError::KeyTooLong { bytes });
        }
        if data.get().len() > SIGNAL_BYTES {
            return Err(SignalError::TooLarge { bytes: data.get().len() });
        }
        OutOfBounds::check_part(&data, SIGNAL_BYTES)?;
        let receivers = job.receivers(&name, broadcast)?;
        if receivers.is_empty() && broadcast {
            return Ok(Signalled::Dropped);
        }
        let is_kept = receivers.is_empty();
        if is_kept && job.state.details.as_ref().is_some_and(|details| !details.has_room_for(&data)) {
            return Err(SignalError::TooMany);
        }
        let by = by.map(|by| cut(by, texts::MAXIMUM_REASON));
        let received = ReceivedSignal { name: Arc::clone(&name), at: now.wall, by, data: Some(data) };
        let before = job.bytes();
        if is_kept || key.is_some() {
            job.change_details(|details| {
                details.signals.extend(is_kept.then(|| received.clone()));
                if let Some(key) = key {
                    details.remember(SignalKey { name, key });
                }
            });
            job.persist_job(&mut self.actions);
        }
        self.live_bytes = self.live_bytes + job.bytes() - before;
        for index in receivers {
            self.deliver(id, index, received.clone(), now);
        }
        Ok(if is_kept { Signalled::Kept } else { Signalled::Delivered })
    }

    /// A task that waits receives a signal.
    fn deliver(&mut self, id: JobId, index: u32, signal: ReceivedSignal, now: Now) {
        let job = self.jobs.job_mut(id);
        let before = job.bytes();
        job.receive(index, [signal]);
        self.live_bytes = self.live_bytes + job.bytes() - before;
        let job = self.jobs.job(id);
        let (_, count) = signal_of(job.spec(index)).expect("the task waits for a signal");
        match job.data_of_signals(index, count, self.settings.max_value_bytes) {
            Ok(Some(data)) => self.succeed_wait(id, index, data, now),
            Ok(None) => job.persist_task(index, &mut self.actions),
            Err(why) => self.fail_wait(id, index, ErrorKind::ResultTooLarge, why, now),
        }
    }
}

impl LiveJob {
    fn knows_signal(&self, name: &str, key: &str) -> bool {
        self.state.details.as_ref().is_some_and(|details| details.knows(name, key))
    }

    /// The tasks that receive a signal with this name: the first one that waits, or all.
    fn receivers(&self, name: &Arc<str>, broadcast: bool) -> Result<Vec<u32>, SignalError> {
        let Some(waits) = self.signal_waits.get(name) else {
            let name = Arc::clone(name);
            return Err(SignalError::UnknownSignal { known: self.known_signals(&name), name });
        };
        if waits.open == 0 {
            return Err(SignalError::TooLate(Arc::clone(name)));
        }
        let most = if broadcast { usize::MAX } else { 1 };
        Ok(waits.waiting.iter().take(most).map(|(_, index)| *index).collect())
    }

    /// The names of signals that tasks of the job wait for, as a part of a message.
    fn known_signals(&self, name: &str) -> String {
        let known: Vec<&str> = self.signal_waits.names().take(texts::MAXIMUM_LISTED_NAMES).collect();
        match nearest(name, self.signal_waits.names()) {
            Some(near) => format!("did you mean {near:?}?"),
            None if known.is_empty() => "none of its tasks waits for a signal".to_owned(),
            None => format!("its tasks wait for {}", known.join(", ")),
        }
    }

    /// A task begins to wait, if it waits for a signal.
    pub(super) fn register_wait(&mut self, index: u32) {
        self.with_wait(index, |waits, began| {
            waits.waiting.insert((began, index));
        });
    }

    /// A task does not wait any more, if it waited for a signal.
    pub(super) fn unregister_wait(&mut self, index: u32) {
        self.with_wait(index, |waits, began| {
            waits.waiting.remove(&(began, index));
        });
    }

    /// A task has ended, which may have waited for a signal, or would have.
    pub(super) fn count_ended_wait(&mut self, index: u32) {
        self.with_wait(index, |waits, _| waits.open -= 1);
    }

    /// The waits of the signal that a task waits for, and the time at which it began.
    fn with_wait(&mut self, index: u32, change: impl FnOnce(&mut WaitsOfSignal, Timestamp)) {
        let began = self.task(index).state().started_at.unwrap_or_default();
        if let Some((name, _)) = signal_of(self.job.spec(index))
            && let Some(waits) = self.signal_waits.get_mut(name)
        {
            change(waits, began);
        }
    }

    /// Gives a task the signals that came before it waited.
    pub(super) fn take_kept_signals(&mut self, index: u32, actions: &mut Vec<Action>) {
        let checked = Arc::clone(&self.job);
        let Some((name, count)) = signal_of(checked.spec(index)) else { return };
        let is_kept = |details: &Arc<JobDetails>| details.signals.iter().any(|signal| signal.name == *name);
        if self.state.details.as_ref().is_some_and(is_kept) {
            let mut taken = Vec::new();
            self.change_details(|details| taken = details.take_signals(name, count as usize));
            self.receive(index, taken);
            self.persist_job(actions);
        }
    }

    /// Adds signals to those that a task has received.
    fn receive(&mut self, index: u32, signals: impl IntoIterator<Item = ReceivedSignal>) {
        let before = self.details_weight(index);
        self.task_mut(index).state_mut().details_mut().rare_mut().signals.extend(signals);
        let after = self.details_weight(index);
        self.resize(before, after);
    }

    /// The data of a task that has received all its signals: that of the only one, or a list. It has at most `limit`
    /// bytes.
    pub(super) fn data_of_signals(&self, index: u32, count: u32, limit: usize) -> Result<Option<Json>, String> {
        let Some(details) = &self.task(index).state().details else { return Ok(None) };
        let signals = &details.rare().signals;
        let data: Vec<&str> = signals.iter().map(|signal| signal.data.as_ref().map_or("null", Json::get)).collect();
        let bytes = data.iter().map(|data| data.len() + SEPARATOR.len()).sum::<usize>();
        if bytes > limit {
            let name = Limits::VALUE_BYTES;
            return Err(format!("the data of its signals would have {bytes} bytes, the limit {name} is {limit}"));
        }
        if data.len() < count as usize {
            return Ok(None);
        }
        let data = if count == 1 { data[0].to_owned() } else { format!("[{}]", data.join(SEPARATOR)) };
        Ok(Some(Json::from_checked(data)))
    }

    fn change_details(&mut self, change: impl FnOnce(&mut JobDetails)) {
        let details = self.state.details_mut();
        let before = details.weight();
        change(details);
        let after = details.weight();
        self.resize(before, after);
    }
}
