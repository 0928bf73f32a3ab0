//! Each time of a schedule has one job, or is skipped, or waits; and jobs of a schedule overlap only where it allows that.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hub_core::action::Change;
use hub_core::schedule::{KeptSchedule, Overlap, ScheduleState, run_id};
use hub_core::{JobId, Timestamp};

use super::invariant::{Invariant, check};
use crate::simulator::event::Event;
use crate::simulator::facts::{Fact, Facts};
use crate::simulator::leftovers::Leftovers;

#[derive(Default)]
pub(super) struct EachTimeIsDecidedOnce {
    schedules: BTreeMap<Arc<str>, Schedule>,
}

struct Schedule {
    kept: Arc<KeptSchedule>,
    state: Arc<ScheduleState>,
    /// The times that have come, by the clock of the schedule itself, and the next one.
    decided: Option<(u64, Option<Timestamp>)>,
    jobs: BTreeMap<Timestamp, JobId>,
}

impl Invariant for EachTimeIsDecidedOnce {
    fn name(&self) -> &'static str {
        "each_time_is_decided_once"
    }

    fn see(&mut self, event: &Event, facts: &Facts) -> Result<(), String> {
        let Event::Kept(_, changes) = event else { return Ok(()) };
        let mut ended = BTreeSet::new();
        for change in changes.iter() {
            match change {
                Change::ScheduleSet { kept } => {
                    let new = Schedule {
                        kept: Arc::clone(kept),
                        state: Arc::default(),
                        decided: None,
                        jobs: BTreeMap::new(),
                    };
                    self.schedules.entry(Arc::clone(kept.schedule.name())).or_insert(new);
                }
                Change::ScheduleChanged { name, state } => {
                    if let Some(schedule) = self.schedules.get_mut(name) {
                        schedule.decided.get_or_insert((0, state.next_at));
                        schedule.state = Arc::clone(state);
                    }
                }
                Change::ScheduleRemoved { name } => drop(self.schedules.remove(name)),
                Change::JobChanged { id, state } if state.status.is_terminal() => drop(ended.insert(*id)),
                _ => {}
            }
        }
        for change in changes.iter() {
            let Change::JobChanged { id, state } = change else { continue };
            let Some(run) = state.details.as_deref().and_then(|details| details.run.as_ref()) else { continue };
            let Some(schedule) = self.schedules.get_mut(&run.name) else { continue };
            check(*id == run_id(schedule.kept.uid, run.at), || format!("{id:?} is not the id for {}", run.at))?;
            if schedule.jobs.insert(run.at, *id).is_none() && schedule.kept.schedule.overlap() != Overlap::AllowAll {
                let lives = |other: &&JobId| {
                    **other != *id && !ended.contains(*other) && !facts.job(**other).is_some_and(Fact::has_ended)
                };
                let other = schedule.jobs.values().find(lives);
                check(other.is_none(), || format!("{id:?} starts although {other:?} has not ended"))?;
            }
        }
        self.schedules.values_mut().try_for_each(Schedule::check)
    }

    fn end(&mut self, _: &Facts, _: &Leftovers) -> Result<(), String> {
        check(self.schedules.is_empty(), || "a schedule did not get to the present".to_owned())
    }
}

impl Schedule {
    /// Compares the state with the times that have come.
    fn check(&mut self) -> Result<(), String> {
        let Self { kept, state, decided: Some((count, next)), jobs } = self else { return Ok(()) };
        while let Some(at) = next.filter(|at| state.next_at.is_none_or(|open| *at < open)) {
            (*count, *next) = (*count + 1, kept.schedule.next_after(at));
        }
        check(*next == state.next_at, || format!("the next time is {:?} instead of {next:?}", state.next_at))?;
        check(state.started == jobs.len() as u64, || format!("{} jobs, and {} started", jobs.len(), state.started))?;
        let sum = state.started + state.skipped + state.buffered.len() as u64;
        check(sum == *count, || format!("{count} times have come, and {sum} were decided: {state:?}"))
    }
}
