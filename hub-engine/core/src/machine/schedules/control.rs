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
        let is_same = |known: &LiveSchedule| known.kept.schedule == kept.schedule;
        if self.schedules.find(&name).is_some_and(is_same) {
            return ScheduleChange::Unchanged;
        }
        let change = match self.schedules.replace(&name, &kept) {
            Some((schedule, before)) => {
                schedule.change_from(&before, now.wall);
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

    /// Removes a schedule. Its jobs go on. Returns whether there was one.
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

    /// A schedule with at most this number of its live jobs.
    #[must_use]
    pub fn schedule(&self, name: &str, jobs: usize) -> Option<LiveScheduleView> {
        self.schedules.find(name).map(|schedule| schedule.view(jobs))
    }

    /// The schedules with names after `after`, by name, without their jobs.
    pub fn schedules(&self, after: Option<&str>) -> impl Iterator<Item = LiveScheduleView> {
        self.schedules.after(after).map(|schedule| schedule.view(0))
    }

    /// The number of schedules, and the size of their texts in bytes.
    #[must_use]
    pub fn size_of_schedules(&self) -> (usize, u64) {
        self.schedules.size()
    }

    pub(super) fn persist_schedule(&mut self, name: &Arc<str>) {
        if let Some(schedule) = self.schedules.find(name) {
            let (name, state) = (Arc::clone(name), Arc::clone(&schedule.state));
            self.actions.push(Action::Persist(Change::ScheduleChanged { name, state }));
        }
    }
}

impl LiveSchedule {
    /// The schedule has another text than before.
    fn change_from(&mut self, before: &KeptSchedule, wall: Timestamp) {
        let kept = Arc::clone(&self.kept);
        let has_other_times = before.schedule.values(&TIMES) != kept.schedule.values(&TIMES);
        // A job of the text before must not start any more.
        self.drop_preparation();
        if has_other_times {
            self.withdraw(wall);
            self.state_mut().next_at = kept.schedule.next_after(wall);
        }
        let is_paused = kept.schedule.is_paused();
        if before.schedule.is_paused() != is_paused {
            match (is_paused, self.state.paused.is_some()) {
                (true, false) => self.pause(pause_of_file(&kept, wall)),
                (false, true) => self.resume(wall),
                _ => {}
            }
        }
    }

    /// Pauses. A run that is being prepared is dropped.
    pub(super) fn pause(&mut self, pause: PauseRecord) {
        self.withdraw(pause.at);
        let next_at = self.kept.schedule.next_after(pause.at);
        let state = self.state_mut();
        (state.paused, state.next_at) = (Some(pause), next_at);
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
