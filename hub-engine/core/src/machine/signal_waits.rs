//! The tasks of a job that wait for signals.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::Timestamp;
use crate::job::{Awaited, Job, Task};

/// The tasks of a job that wait for signals, by the name of the signal.
#[derive(Debug, Default)]
pub(super) struct SignalWaits(BTreeMap<Arc<str>, WaitsOfSignal>);

/// The tasks that wait for one signal.
#[derive(Debug, Default)]
pub(super) struct WaitsOfSignal {
    /// Number of tasks that have not ended.
    pub(super) open: u32,
    /// The tasks that wait now, in the order in which they receive signals.
    pub(super) waiting: BTreeSet<(Timestamp, u32)>,
}

impl SignalWaits {
    /// The waits of a job of which none has begun. `has_ended` tells whether a task has ended.
    pub(super) fn new(job: &Job, has_ended: impl Fn(usize) -> bool) -> Self {
        let mut waits = Self::default();
        for (index, task) in job.tasks().iter().enumerate() {
            if let Some((name, _)) = signal_of(task) {
                waits.0.entry(Arc::clone(name)).or_default().open += u32::from(!has_ended(index));
            }
        }
        waits
    }

    /// The waits of a signal. `None` if no task waits for it.
    pub(super) fn get(&self, name: &str) -> Option<&WaitsOfSignal> {
        self.0.get(name)
    }

    /// Like [`SignalWaits::get`], for writing.
    pub(super) fn get_mut(&mut self, name: &str) -> Option<&mut WaitsOfSignal> {
        self.0.get_mut(name)
    }

    /// The names of the signals.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(|name| &**name)
    }
}

/// The name and the number of the signals that a task waits for.
pub(super) fn signal_of(task: &Task) -> Option<(&Arc<str>, u32)> {
    match &task.wait()?.awaited {
        Awaited::Signal { name, count } => Some((name, *count)),
        Awaited::Until(_) | Awaited::Approval(_) => None,
    }
}
