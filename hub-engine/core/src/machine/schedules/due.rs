//! Decides the times of schedules that have come.

use std::sync::Arc;
use std::time::Duration;

use super::live::{LiveSchedule, Starting};
use crate::action::Action;
use crate::machine::timers::Timer;
use crate::machine::{Cancel, Machine};
use crate::schedule::{
    CatchUp, MAXIMUM_BUFFERED, MAXIMUM_CAUGHT_UP, Overlap, Preparation, Run, ScheduledStart, SkipReason, run_id,
};
use crate::{Now, Timestamp};

/// Interval at which the times of schedules are compared with the wall clock, because it can be set.
const COMPARISON_INTERVAL: Duration = Duration::from_secs(10);
/// A time whose job could not start within this duration counts as missed.
const LATE: Duration = Duration::from_secs(60);
/// Maximum number of schedules that one turn looks at.
const MAXIMUM_PER_TURN: usize = 2000;
/// Maximum number of times that one turn decides.
const MAXIMUM_TIMES_PER_TURN: u32 = 10_000;

/// What is decided for one time.
enum Decision {
    /// Its job starts.
    Start,
    /// It waits for the end of earlier jobs.
    Buffer,
    /// It takes the place of what waits, and earlier jobs are cancelled.
    Replace,
    /// No job starts.
    Skip(SkipReason),
}

impl Machine {
    /// Sets the timer of the schedules. A time of the wall clock is compared with it now and then, because it can be set.
    pub(super) fn plan_schedule(&mut self, name: &Arc<str>, now: Now) {
        self.schedules.plan(name);
        self.set_schedule_timer(now);
    }

    fn set_schedule_timer(&mut self, now: Now) {
        match self.schedules.next_due().filter(|_| self.schedules.are_served) {
            Some(due) => {
                let wait = due.since(now.wall).min(COMPARISON_INTERVAL);
                self.timers.set(Timer::Schedules, now.steady.after(wait));
            }
            None => self.timers.stop(Timer::Schedules),
        }
    }

    /// Whether this dispatcher serves the Hub: one that stands by must start no jobs. While the broker cannot be reached, schedules go on.
    pub fn serve_schedules(&mut self, are_served: bool, now: Now) {
        self.schedules.serve(are_served);
        self.set_schedule_timer(now);
    }

    /// Times of schedules may have come.
    pub(in crate::machine) fn run_schedules(&mut self, now: Now) {
        let mut budget = MAXIMUM_TIMES_PER_TURN;
        for name in self.schedules.due_at(now.wall, MAXIMUM_PER_TURN) {
            self.run_schedule(&name, &mut budget, now);
            self.schedules.plan(&name);
            if budget == 0 {
                break;
            }
        }
        self.set_schedule_timer(now);
    }

    /// The job for a time is prepared again.
    pub(in crate::machine) fn start_postponed(&mut self, name: &Arc<str>, now: Now) {
        let are_served = self.schedules.are_served;
        let Some(schedule) = self.schedules.find_mut(name) else { return };
        if let Some(Starting { at, is_late, .. }) = schedule.postponed.take() {
            if are_served {
                self.start_run(name, at, is_late);
            }
            self.plan_schedule(name, now);
        }
    }

    /// Decides times of a schedule until one has to wait.
    fn run_schedule(&mut self, name: &Arc<str>, budget: &mut u32, now: Now) {
        let mut has_changed = false;
        while *budget > 0 {
            let Some(schedule) = self.schedules.find_mut(name) else { break };
            if schedule.starting.is_some() || schedule.postponed.is_some() || schedule.state.paused.is_some() {
                break;
            }
            if schedule.has_free_buffer() {
                let at = Timestamp::from_millis(schedule.state.buffered[0]);
                self.start_run(name, at, false);
                break;
            }
            let Some(at) = schedule.state.next_at else { break };
            let due = schedule.kept.schedule.due(schedule.kept.uid, at);
            if due > now.wall {
                break;
            }
            *budget -= 1;
            let next = schedule.kept.schedule.next_after(at);
            let is_late = schedule.is_late(due, now.wall);
            let decision = schedule.decide(is_late.then_some(due), next, now.wall);
            let state = schedule.state_mut();
            if !is_late {
                state.caught_up = 0;
            }
            match decision {
                Decision::Start => {
                    self.start_run(name, at, is_late);
                    break;
                }
                Decision::Skip(reason) => state.skip(at, reason, None),
                Decision::Buffer => state.buffered.push(at.as_millis()),
                Decision::Replace => {
                    for before in std::mem::take(&mut state.buffered) {
                        state.skip(Timestamp::from_millis(before), SkipReason::Superseded, None);
                    }
                    state.buffered.push(at.as_millis());
                    self.cancel_runs(name, now);
                }
            }
            if let Some(schedule) = self.schedules.find_mut(name) {
                schedule.state_mut().next_at = next;
            }
            has_changed = true;
        }
        if has_changed {
            self.persist_schedule(name);
        }
    }

    /// Has the shell prepare the job for a time.
    fn start_run(&mut self, name: &Arc<str>, at: Timestamp, is_late: bool) {
        let number = self.schedules.next_preparation();
        let Some(schedule) = self.schedules.find_mut(name) else { return };
        (schedule.starting, schedule.postponed) = (Some(Starting { at, number, is_late }), None);
        let kept = &schedule.kept;
        let labels = Some(kept.schedule.labels()).filter(|labels| !labels.is_empty()).cloned();
        let run = Run { name: Arc::clone(name), uid: kept.uid, at, triggered: false };
        let (id, text) = (run_id(kept.uid, at), Arc::clone(kept.schedule.run_text()));
        let preparation = Preparation { run, number };
        self.actions.push(Action::Start(Box::new(ScheduledStart { preparation, id, text, labels })));
    }

    /// Cancels the jobs of a schedule, because the next one takes their place.
    fn cancel_runs(&mut self, name: &Arc<str>, now: Now) {
        let Some(schedule) = self.schedules.find(name) else { return };
        for id in schedule.jobs.clone() {
            let reason = format!("the next job of the schedule {name:?} takes its place");
            let cancel = Cancel { by: Some("hub".into()), reason: Some(reason.into()), ..Cancel::default() };
            // One that is being cancelled stays so.
            let _ = self.cancel(id, cancel, now);
        }
    }
}

impl LiveSchedule {
    /// Whether a time that was due at `due` was missed. A time that had to wait for an earlier one was not.
    fn is_late(&self, due: Timestamp, wall: Timestamp) -> bool {
        wall.since(due.max(self.waited_until)) > LATE
    }

    /// Decides a time. `missed` is when it was due if it was missed, and `next` is the time after it.
    fn decide(&self, missed: Option<Timestamp>, next: Option<Timestamp>, wall: Timestamp) -> Decision {
        let (schedule, state) = (&self.kept.schedule, &self.state);
        if let Some(due) = missed {
            let is_too_old = wall.since(due) > schedule.catch_up_window();
            let has_successor = next.is_some_and(|next| self.is_late(schedule.due(self.kept.uid, next), wall));
            let is_skipped = is_too_old
                || match schedule.catch_up() {
                    CatchUp::None => true,
                    CatchUp::Last => has_successor,
                    CatchUp::All => state.caught_up >= MAXIMUM_CAUGHT_UP,
                };
            if is_skipped {
                return Decision::Skip(SkipReason::Missed);
            }
        }
        if self.jobs.is_empty() && state.buffered.is_empty() {
            return Decision::Start;
        }
        match schedule.overlap() {
            Overlap::AllowAll => Decision::Start,
            Overlap::Skip => Decision::Skip(SkipReason::Overlap),
            Overlap::BufferOne if state.buffered.is_empty() => Decision::Buffer,
            Overlap::BufferOne => Decision::Skip(SkipReason::Overlap),
            Overlap::BufferAll if state.buffered.len() < MAXIMUM_BUFFERED => Decision::Buffer,
            Overlap::BufferAll => Decision::Skip(SkipReason::BufferFull),
            Overlap::CancelOther => Decision::Replace,
        }
    }
}
