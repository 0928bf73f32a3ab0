//! What operators ask of schedules.

use std::sync::Arc;

use super::live::{LiveSchedule, LiveScheduleView, ScheduleChange};
use crate::action::{Action, Change};
use crate::job_details::PauseRecord;
use crate::machine::{Machine, Remark};
use crate::schedule::{KeptSchedule, ScheduleSnapshot, ScheduleState};
use crate::{Now, Timestamp};

/// The keys whose values are the times of a schedule.
const TIMES: [&str; 6] = ["cron", "every", "anchor", "timezone", "start", "end"];
/// The key of a schedule that is created as a paused one.
const PAUSED: [&str; 1] = ["paused"];

impl Machine {
    /// Restores a schedule from the store. Schedules are restored before jobs.
    pub fn restore_schedule(&mut self, snapshot: ScheduleSnapshot, now: Now) {
        let name = Arc::clone(snapshot.name());
        self.schedules.insert(snapshot);
        self.plan_schedule(&name, now);
    }

    /// Keeps a schedule, in place of the one with its name. With other times than before, it goes on with its next time from now. `kept` has the `uid` of
    /// the one before.
    pub fn set_schedule(&mut self, kept: Arc<KeptSchedule>, now: Now) -> ScheduleChange {
        let name = Arc::clone(kept.schedule.name());
        let change = match self.schedules.find_mut(&name) {
            Some(before) if before.kept.schedule == kept.schedule => return ScheduleChange::Unchanged,
            Some(before) => {
                before.change(Arc::clone(&kept), now.wall);
                ScheduleChange::Changed
            }
            None => {
                let next_at = kept.schedule.next_after(now.wall);
                let paused = kept.schedule.is_paused().then(|| pause_of_file(&kept, now.wall));
                let state = Arc::new(ScheduleState { next_at, paused, ..ScheduleState::default() });
                self.schedules.insert(ScheduleSnapshot { kept: Arc::clone(&kept), state });
                ScheduleChange::Created
            }
        };
        self.actions.push(Action::Persist(Change::ScheduleSet { kept }));
        self.persist_schedule(&name);
        self.plan_schedule(&name, now);
        change
    }

    /// Forgets a schedule. Its jobs go on. Returns whether there was one.
    pub fn remove_schedule(&mut self, name: &str, now: Now) -> bool {
        let Some(removed) = self.schedules.remove(name) else { return false };
        let name = Arc::clone(removed.kept.schedule.name());
        self.actions.push(Action::Persist(Change::ScheduleRemoved { name: Arc::clone(&name) }));
        self.plan_schedule(&name, now);
        true
    }

    /// Pauses a schedule. Its jobs go on. A pause of a paused schedule has no effect. Returns whether there is such a schedule.
    pub fn pause_schedule(&mut self, name: &str, remark: Remark, now: Now) -> bool {
        let Some(schedule) = self.schedules.find_mut(name) else { return false };
        if schedule.state.paused.is_none() {
            let Remark { by, reason } = remark;
            schedule.pause(PauseRecord { at: now.wall, by, reason });
            let name = Arc::clone(schedule.kept.schedule.name());
            self.persist_schedule(&name);
            self.plan_schedule(&name, now);
        }
        true
    }

    /// Resumes a schedule, which goes on with its next time from now. Returns whether there is such a schedule.
    pub fn resume_schedule(&mut self, name: &str, now: Now) -> bool {
        let Some(schedule) = self.schedules.find_mut(name) else { return false };
        if schedule.state.paused.is_some() {
            schedule.resume(now.wall);
            let name = Arc::clone(schedule.kept.schedule.name());
            self.persist_schedule(&name);
            self.plan_schedule(&name, now);
        }
        true
    }

    /// A schedule with its live jobs.
    #[must_use]
    pub fn schedule(&self, name: &str) -> Option<LiveScheduleView> {
        self.schedules.find(name).map(LiveSchedule::view)
    }

    /// The schedules with names after `after`, by name.
    pub fn schedules(&self, after: Option<&str>) -> impl Iterator<Item = LiveScheduleView> {
        self.schedules.after(after).map(LiveSchedule::view)
    }

    /// The number of schedules.
    #[must_use]
    pub fn count_schedules(&self) -> usize {
        self.schedules.len()
    }

    pub(super) fn persist_schedule(&mut self, name: &Arc<str>) {
        if let Some(schedule) = self.schedules.find(name) {
            let (name, state) = (Arc::clone(name), Arc::clone(&schedule.state));
            self.actions.push(Action::Persist(Change::ScheduleChanged { name, state }));
        }
    }
}

impl LiveSchedule {
    /// Replaces the schedule by one with another text.
    fn change(&mut self, kept: Arc<KeptSchedule>, wall: Timestamp) {
        let before = std::mem::replace(&mut self.kept, Arc::clone(&kept));
        let differ = |keys: &[&str]| before.schedule.values(keys) != kept.schedule.values(keys);
        if differ(&TIMES) {
            self.postponed = None;
            self.state_mut().next_at = kept.schedule.next_after(wall);
        }
        if differ(&PAUSED) {
            match (kept.schedule.is_paused(), self.state.paused.is_some()) {
                (true, false) => self.pause(pause_of_file(&kept, wall)),
                (false, true) => self.resume(wall),
                _ => {}
            }
        }
    }

    /// Pauses. What the shell prepares does not count any more.
    pub(super) fn pause(&mut self, pause: PauseRecord) {
        (self.starting, self.postponed) = (None, None);
        self.state_mut().paused = Some(pause);
    }

    fn resume(&mut self, wall: Timestamp) {
        let next_at = self.kept.schedule.next_after(wall);
        let state = self.state_mut();
        (state.paused, state.failures, state.next_at) = (None, 0, next_at);
    }
}

fn pause_of_file(kept: &KeptSchedule, at: Timestamp) -> PauseRecord {
    PauseRecord { at, by: kept.by.clone(), reason: Some("the schedule has \"paused\": true".into()) }
}
