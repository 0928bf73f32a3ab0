//! The stops of tasks that are out: what they wait for, and for how long. See [`super::cancel`].

use std::collections::BTreeSet;

use super::place::Place;
use super::timers::Timers;
use super::workers::Workers;
use crate::{JobId, Steady};

/// The stop of the tasks of a job that are out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stop {
    pub(super) since: Steady,
    /// Whether tasks are killed without their grace.
    pub(super) is_now: bool,
    pub(super) waits_for: WaitsFor,
}

/// The tasks that a stop waits for. Later ones are fewer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum WaitsFor {
    /// All tasks that are out.
    All,
    /// Tasks that a worker may have received: those that have started, and those whose pool has a live worker.
    Served,
    /// Tasks that a worker has reported as started.
    Started,
    /// None.
    Nothing,
}

/// The jobs whose tasks are being stopped, and when a stop waits for fewer tasks.
#[derive(Debug, Default)]
pub(super) struct Stops {
    pub(super) jobs: BTreeSet<JobId>,
    pub(super) timers: Timers<(JobId, WaitsFor)>,
}

impl Stops {
    /// When a stop waits for fewer tasks.
    pub(super) fn next_timeout(&self) -> Option<Steady> {
        self.timers.next_timeout()
    }

    /// The job has ended.
    pub(super) fn forget(&mut self, id: JobId) {
        if self.jobs.remove(&id) {
            for next in [WaitsFor::Served, WaitsFor::Started, WaitsFor::Nothing] {
                self.timers.stop((id, next));
            }
        }
    }
}

impl Stop {
    /// Whether the stop waits for a task of this pool in this place.
    pub(super) fn awaits(self, place: Place, pool: &str, workers: &Workers) -> bool {
        match self.waits_for {
            WaitsFor::All => true,
            WaitsFor::Served => place == Place::Leased || workers.catalogue().slots(pool).is_some(),
            WaitsFor::Started => place == Place::Leased,
            WaitsFor::Nothing => false,
        }
    }
}
