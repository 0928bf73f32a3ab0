//! Decides the times of schedules that have come.

use std::sync::Arc;
use std::time::Duration;

use crate::action::Action;
use crate::machine::schedule::COMPARISON_INTERVAL;
use crate::machine::timers::Timer;
use crate::machine::{Cancel, Machine};
use crate::schedule::{CatchUp, MAXIMUM_BUFFERED, MAXIMUM_CAUGHT_UP, Overlap, Run, ScheduledStart, SkipReason, run_id};
use crate::{Now, Timestamp};

/// A time whose job could not start within this duration counts as missed.
pub(super) const LATE: Duration = Duration::from_secs(60);
/// Maximum number of schedules that one turn looks at.
const MAXIMUM_PER_TURN: usize = 2000;
/// Maximum number of times that a schedule decides in one turn.
const MAXIMUM_TIMES_PER_TURN: u32 = 1000;

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
    /// Sets the timer of the schedules. A time of the wall clock is compared with it at least once a minute, because it can be set.
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
        self.schedules.are_served = are_served;
        self.set_schedule_timer(now);
    }

    /// Times of schedules may have come.
    pub(in crate::machine) fn run_schedules(&mut self, now: Now) {
        for name in self.schedules.due_at(now.wall, MAXIMUM_PER_TURN) {
            self.run_schedule(&name, now);
            self.schedules.plan(&name);
        }
        self.set_schedule_timer(now);
    }

    /// Decides times of a schedule until one has to wait.
    fn run_schedule(&mut self, name: &Arc<str>, now: Now) {
        let mut has_changed = false;
        for _ in 0..MAXIMUM_TIMES_PER_TURN {
            let Some(schedule) = self.schedules.find_mut(name) else { break };
            if schedule.starting.is_some() || schedule.state.paused.is_some() {
                break;
            }
            if let Some((at, again)) = schedule.postponed {
                if again <= now.wall {
                    self.start_run(name, at);
                }
                break;
            }
            if schedule.has_free_buffer() {
                let at = Timestamp::from_millis(schedule.state.buffered[0]);
                self.start_run(name, at);
                break;
            }
            let Some(at) = schedule.state.next_at else { break };
            let due = schedule.kept.schedule.due(schedule.kept.uid, at);
            if due > now.wall {
                break;
            }
            let next = schedule.kept.schedule.next_after(at);
            let decision = schedule.decide(due, next, now.wall);
            let state = schedule.state_mut();
            match decision {
                Decision::Start => {
                    self.start_run(name, at);
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
    fn start_run(&mut self, name: &Arc<str>, at: Timestamp) {
        let Some(schedule) = self.schedules.find_mut(name) else { return };
        (schedule.starting, schedule.postponed) = (Some(at), None);
        let kept = &schedule.kept;
        let labels = Some(kept.schedule.labels()).filter(|labels| !labels.is_empty()).cloned();
        let run = Run { name: Arc::clone(name), uid: kept.uid, at, triggered: false };
        let (id, text) = (run_id(kept.uid, at), Arc::clone(kept.schedule.run_text()));
        self.actions.push(Action::Start(Box::new(ScheduledStart { run, id, text, labels })));
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

impl super::live::LiveSchedule {
    /// Decides a time that was due at `due`. `next` is the time after it.
    fn decide(&self, due: Timestamp, next: Option<Timestamp>, wall: Timestamp) -> Decision {
        let (schedule, state) = (&self.kept.schedule, &self.state);
        let late = wall.since(due);
        if late > LATE {
            let is_too_old = late > schedule.catch_up_window();
            let has_successor = next.is_some_and(|next| schedule.due(self.kept.uid, next) <= wall);
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
