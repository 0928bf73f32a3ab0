//! Schedules in memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use hub_core::schedule::{KeptSchedule, ScheduleSnapshot, ScheduleState};

/// The schedules of a store in memory, by name.
#[derive(Debug, Default)]
pub(super) struct Schedules(BTreeMap<Arc<str>, ScheduleSnapshot>);

impl Schedules {
    pub(super) fn set(&mut self, kept: &Arc<KeptSchedule>) {
        let new = || ScheduleSnapshot { kept: Arc::clone(kept), state: Arc::default() };
        self.0.entry(Arc::clone(kept.schedule.name())).or_insert_with(new).kept = Arc::clone(kept);
    }

    pub(super) fn set_state(&mut self, name: &str, state: &Arc<ScheduleState>) {
        if let Some(schedule) = self.0.get_mut(name) {
            schedule.state = Arc::clone(state);
        }
    }

    pub(super) fn remove(&mut self, name: &str) {
        self.0.remove(name);
    }

    pub(super) fn all(&self) -> Vec<ScheduleSnapshot> {
        self.0.values().cloned().collect()
    }
}
