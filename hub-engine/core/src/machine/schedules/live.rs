//! The live state of schedules.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use crate::schedule::{KeptSchedule, Run, ScheduleSnapshot, ScheduleState};
use crate::{JobId, Timestamp};

/// The schedules by name, and when each has something to decide.
#[derive(Debug, Default)]
pub(in crate::machine) struct Schedules {
    by_name: BTreeMap<Arc<str>, LiveSchedule>,
    due: BTreeSet<(Timestamp, Arc<str>)>,
    /// Whether this dispatcher has served the Hub, and no other one serves it.
    pub(super) are_served: bool,
}

/// A schedule, and its jobs.
#[derive(Debug)]
pub(super) struct LiveSchedule {
    pub(super) kept: Arc<KeptSchedule>,
    pub(super) state: Arc<ScheduleState>,
    /// Its jobs that have not ended, and their retries.
    pub(super) jobs: BTreeSet<JobId>,
    /// The time whose job the shell prepares.
    pub(super) starting: Option<Timestamp>,
    /// The time whose job is prepared again later, and when.
    pub(super) postponed: Option<(Timestamp, Timestamp)>,
    due: Option<Timestamp>,
}

/// A schedule with its jobs that have not ended.
#[derive(Clone, Debug)]
pub struct LiveScheduleView {
    /// The schedule and how far it has come.
    pub snapshot: ScheduleSnapshot,
    /// Its jobs that have not ended, and their retries.
    pub jobs: Vec<JobId>,
}

/// What setting a schedule has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
        let new = LiveSchedule { kept, state, jobs: BTreeSet::new(), starting: None, postponed: None, due: None };
        self.by_name.insert(name, new);
    }

    pub(super) fn remove(&mut self, name: &str) -> Option<LiveSchedule> {
        let (name, schedule) = self.by_name.remove_entry(name)?;
        if let Some(due) = schedule.due {
            self.due.remove(&(due, name));
        }
        Some(schedule)
    }

    pub(super) fn len(&self) -> usize {
        self.by_name.len()
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

    pub(super) fn view(&self) -> LiveScheduleView {
        let snapshot = ScheduleSnapshot { kept: Arc::clone(&self.kept), state: Arc::clone(&self.state) };
        LiveScheduleView { snapshot, jobs: self.jobs.iter().copied().collect() }
    }

    /// When the schedule has something to decide. `None`: it waits for the shell, for the end of a pause, or for ever.
    fn next_due(&self) -> Option<Timestamp> {
        if self.starting.is_some() || self.state.paused.is_some() {
            return None;
        }
        if let Some((_, again)) = self.postponed {
            return Some(again);
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
