//! The live state of schedules.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::schedule::{KeptSchedule, Run, ScheduleSnapshot, ScheduleState, SkipReason};
use crate::{JobId, Timestamp};

/// The schedules by name, and when each has something to decide.
#[derive(Debug, Default)]
pub(in crate::machine) struct Schedules {
    by_name: BTreeMap<Arc<str>, LiveSchedule>,
    due: BTreeSet<(Timestamp, Arc<str>)>,
    /// Whether this dispatcher has served the Hub, and no other one serves it.
    pub(super) are_served: bool,
    /// The number of preparations of jobs.
    preparations: u64,
    /// The size of the texts in bytes.
    bytes: u64,
}

/// A schedule, and its jobs.
#[derive(Debug)]
pub(super) struct LiveSchedule {
    pub(super) kept: Arc<KeptSchedule>,
    pub(super) state: Arc<ScheduleState>,
    /// Its jobs that have not ended, and their retries.
    pub(super) jobs: BTreeSet<JobId>,
    /// What the shell prepares.
    pub(super) starting: Option<Starting>,
    /// What is prepared again later.
    pub(super) postponed: Option<Starting>,
    /// How often that was postponed.
    pub(super) postponements: u32,
    /// When it was known last that a time had to wait for an earlier one, and not for a dispatcher.
    pub(super) waited_until: Timestamp,
    due: Option<Timestamp>,
}

/// A time whose job is prepared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Starting {
    pub(super) at: Timestamp,
    /// The number of the preparation.
    pub(super) number: u64,
    /// Whether the time was missed.
    pub(super) is_late: bool,
}

/// A schedule with its jobs that have not ended.
#[derive(Clone, Debug)]
pub struct LiveScheduleView {
    /// The schedule and how far it has come.
    pub snapshot: ScheduleSnapshot,
    /// The number of its jobs that have not ended, and of their retries.
    pub running: usize,
    /// The first of these jobs.
    pub jobs: Vec<JobId>,
}

/// What setting a schedule has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScheduleChange {
    /// It is new.
    Created,
    /// It has another text.
    Changed,
    /// It has the same text.
    Unchanged,
}

impl Schedules {
    pub(super) fn find(&self, name: &str) -> Option<&LiveSchedule> {
        self.by_name.get(name)
    }

    pub(super) fn find_mut(&mut self, name: &str) -> Option<&mut LiveSchedule> {
        self.by_name.get_mut(name)
    }

    /// The schedule of a run, if it has not been removed since.
    pub(super) fn of_run(&mut self, run: &Run) -> Option<&mut LiveSchedule> {
        self.find_mut(&run.name).filter(|schedule| schedule.kept.uid == run.uid)
    }

    pub(super) fn insert(&mut self, snapshot: ScheduleSnapshot) {
        let name = Arc::clone(snapshot.name());
        let ScheduleSnapshot { kept, state } = snapshot;
        self.bytes += size_of_texts(&kept);
        let new = LiveSchedule {
            kept,
            state,
            jobs: BTreeSet::new(),
            starting: None,
            postponed: None,
            postponements: 0,
            waited_until: Timestamp::default(),
            due: None,
        };
        self.by_name.insert(name, new);
    }

    /// Replaces the text of a schedule.
    pub(super) fn replace(
        &mut self,
        name: &str,
        kept: &Arc<KeptSchedule>,
    ) -> Option<(&mut LiveSchedule, Arc<KeptSchedule>)> {
        let schedule = self.by_name.get_mut(name)?;
        let before = std::mem::replace(&mut schedule.kept, Arc::clone(kept));
        self.bytes = self.bytes + size_of_texts(kept) - size_of_texts(&before);
        Some((schedule, before))
    }

    /// The number of a further preparation.
    pub(super) fn next_preparation(&mut self) -> u64 {
        self.preparations += 1;
        self.preparations
    }

    /// No dispatcher but this one may start jobs from now on, or this one may not.
    pub(super) fn serve(&mut self, are_served: bool) {
        self.are_served = are_served;
        if !are_served {
            for name in self.by_name.keys().cloned().collect::<Vec<_>>() {
                if let Some(schedule) = self.by_name.get_mut(&name) {
                    schedule.starting = None;
                }
                self.plan(&name);
            }
        }
    }

    pub(super) fn remove(&mut self, name: &str) -> Option<LiveSchedule> {
        let (name, schedule) = self.by_name.remove_entry(name)?;
        self.bytes -= size_of_texts(&schedule.kept);
        if let Some(due) = schedule.due {
            self.due.remove(&(due, name));
        }
        Some(schedule)
    }

    /// The number of schedules, and the size of their texts in bytes.
    pub(super) fn size(&self) -> (usize, u64) {
        (self.by_name.len(), self.bytes)
    }

    /// The schedules with names after `after`, by name.
    pub(super) fn after(&self, after: Option<&str>) -> impl Iterator<Item = &LiveSchedule> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.by_name.range::<str, _>((from, Bound::Unbounded)).map(|(_, schedule)| schedule)
    }

    /// Notes when a schedule has something to decide, after a change of it.
    pub(super) fn plan(&mut self, name: &Arc<str>) {
        let Some(schedule) = self.by_name.get_mut(name) else { return };
        let due = schedule.next_due();
        let before = std::mem::replace(&mut schedule.due, due);
        if before == due {
            return;
        }
        if let Some(before) = before {
            self.due.remove(&(before, Arc::clone(name)));
        }
        if let Some(due) = due {
            self.due.insert((due, Arc::clone(name)));
        }
    }

    /// When the first schedule has something to decide.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        self.due.first().map(|(due, _)| *due)
    }

    /// The schedules that have something to decide at `wall`, at most `limit`.
    pub(super) fn due_at(&self, wall: Timestamp, limit: usize) -> Vec<Arc<str>> {
        self.due.iter().take_while(|(due, _)| *due <= wall).take(limit).map(|(_, name)| Arc::clone(name)).collect()
    }
}

impl LiveSchedule {
    pub(super) fn state_mut(&mut self) -> &mut ScheduleState {
        Arc::make_mut(&mut self.state)
    }

    /// A view with at most this number of jobs.
    pub(super) fn view(&self, jobs: usize) -> LiveScheduleView {
        let snapshot = ScheduleSnapshot { kept: Arc::clone(&self.kept), state: Arc::clone(&self.state) };
        LiveScheduleView { snapshot, running: self.jobs.len(), jobs: self.jobs.iter().copied().take(jobs).collect() }
    }

    /// Gives up what is being prepared.
    pub(super) fn drop_preparation(&mut self) {
        (self.starting, self.postponed) = (None, None);
    }

    /// Gives up what is being prepared. If the next time has come already, and waits for its jitter or for its job, it is recorded as skipped.
    pub(super) fn withdraw(&mut self, wall: Timestamp) {
        self.drop_preparation();
        if let Some(at) = self.state.next_at.filter(|at| *at <= wall) {
            self.state_mut().skip(at, SkipReason::Withdrawn, None);
        }
    }

    /// When the schedule has something to decide. `None`: it waits for the shell or for the end of a pause, or has no further time.
    fn next_due(&self) -> Option<Timestamp> {
        if self.starting.is_some() || self.postponed.is_some() || self.state.paused.is_some() {
            return None;
        }
        if self.has_free_buffer() {
            return Some(Timestamp::default());
        }
        self.state.next_at.map(|next| self.kept.schedule.due(self.kept.uid, next))
    }

    /// Whether a time waits whose job can start now.
    pub(super) fn has_free_buffer(&self) -> bool {
        !self.state.buffered.is_empty() && self.jobs.is_empty()
    }
}

/// The memory of the texts of a schedule in bytes.
fn size_of_texts(kept: &KeptSchedule) -> u64 {
    (kept.schedule.source().len() + kept.schedule.run_text().len()) as u64
}
