//! The gates between a task whose trigger rule is met and its pool: its condition, then its delay.

use std::sync::Arc;
use std::time::Duration;

use super::Machine;
use super::live::LiveJob;
use super::live_task::LiveTask;
use super::place::Place;
use crate::action::Action;
use crate::job::{Attribute, ConditionError, Delay, FillError, ResolveError};
use crate::state::{ErrorKind, TaskError, TaskState};
use crate::{JobId, Now};

/// What the gates of a task say.
enum Gate {
    /// It can run.
    Open,
    /// It can run after this time.
    OpenAfter(Duration),
    /// It ends without having run.
    Closed,
}

impl Machine {
    /// The trigger rules of these tasks are met: they go to their pools as far as their other gates let them pass. Those that
    /// end at a gate, or begin to wait, are left to [`Machine::sweep`].
    pub(super) fn make_ready(&mut self, id: JobId, tasks: &[u32], now: Now) {
        if tasks.is_empty() {
            return;
        }
        let job = self.jobs.job_mut(id);
        if job.waits_for_start {
            return tasks.iter().for_each(|index| job.task_mut(*index).place = Place::Blocked);
        }
        let checked = Arc::clone(&job.job);
        if !tasks.iter().any(|index| checked.spec(*index).has_gates()) {
            self.begin_schedules(id, tasks, now);
            return self.enqueue_all(id, tasks);
        }
        tasks.iter().for_each(|index| job.note_first(*index, &mut self.actions));
        let (limit, clock) = (self.settings.max_value_bytes, job.clock());
        let (mut open, mut delayed, mut expanding) = (Vec::with_capacity(tasks.len()), Vec::new(), Vec::new());
        for index in tasks.iter().copied() {
            match job.gate(index, limit) {
                Gate::Open if checked.spec(index).wait().is_some() => job.queue_wait(index),
                Gate::Open if checked.spec(index).for_each().is_some() && checked.item(index).is_none() => {
                    job.task_mut(index).place = Place::Blocked;
                    expanding.push(index);
                }
                Gate::Open => open.push(index),
                Gate::OpenAfter(delay) => {
                    let details = job.task_mut(index).state_mut().details_mut();
                    details.wait_until(|details| &mut details.delayed_until, clock.read(now.wall), delay);
                    job.share_state(index);
                    job.persist_task(index, &mut self.actions);
                    delayed.push(index);
                }
                Gate::Closed => job.task_mut(index).place = Place::Blocked,
            }
        }
        self.begin_schedules(id, &open, now);
        self.enqueue_all(id, &open);
        delayed.into_iter().for_each(|index| self.wait_for_its_time(id, index, now));
        expanding.into_iter().for_each(|index| self.expand(id, index, now));
    }
}

impl LiveJob {
    /// Notes which upstream task has decided the trigger rule of a task that runs, if the rule has a first task: of those whose
    /// ends meet the rule, the one that ended first. It is stored with the decision, so that it stays the same.
    fn note_first(&mut self, index: u32, actions: &mut Vec<Action>) {
        let spec = self.spec(index);
        let rule = spec.trigger_rule();
        let is_known = |task: &LiveTask| task.state().details.as_deref().is_some_and(|details| details.first.is_some());
        if !rule.has_first() || self.job.item(index).is_some() || is_known(self.task(index)) {
            return;
        }
        let ends = spec.upstream().iter().map(|before| (*before, self.task(*before).state()));
        let decides = |state: &TaskState| state.status.is_terminal() && rule.is_met_by(state.counts_as());
        let first = ends.filter(|(_, state)| decides(state)).min_by_key(|(before, state)| (state.ended_at, *before));
        if let Some((first, _)) = first {
            self.task_mut(index).state_mut().details_mut().first = Some(first);
            self.persist_task(index, actions);
        }
    }

    /// Looks at the gates of a task. Notes how it ends, if one is closed.
    fn gate(&mut self, index: u32, limit: usize) -> Gate {
        let checked = Arc::clone(&self.job);
        let spec = checked.spec(index);
        if checked.item(index).is_some() || self.task(index).state().has_passed_gates() {
            return Gate::Open;
        }
        if let Some(condition) = spec.when() {
            match condition.holds(&mut |template| self.fill(template, limit, None)) {
                Ok(true) => {}
                Ok(false) => {
                    self.end_unrun(index, "was skipped, because its condition (when) is false".into(), None);
                    return Gate::Closed;
                }
                Err(ConditionError::Fill(error)) => {
                    return self.fail_unfilled_gate(index, "its condition (when)", &error);
                }
                Err(ConditionError::WrongType(why)) => {
                    return self.fail_at_gate(index, ErrorKind::BadCondition, format!("its condition (when): {why}"));
                }
            }
        }
        let delay = match spec.delay() {
            None => return Gate::Open,
            Some(Delay::Fixed(delay)) => *delay,
            Some(Delay::Of(template)) => match self.fill(template, limit, None) {
                Ok(value) => match Delay::read(&value) {
                    Ok(delay) => delay,
                    Err(why) => return self.fail_at_gate(index, ErrorKind::BadArguments, format!("its delay: {why}")),
                },
                Err(error) => return self.fail_unfilled_gate(index, "its delay", &error),
            },
        };
        if delay.is_zero() { Gate::Open } else { Gate::OpenAfter(delay) }
    }

    fn fail_unfilled_gate(&mut self, index: u32, what: &str, error: &FillError) -> Gate {
        let (kind, why) = self.why_unfilled(what, error);
        self.fail_at_gate(index, kind, why)
    }

    fn fail_at_gate(&mut self, index: u32, kind: ErrorKind, msg: String) -> Gate {
        self.end_unrun(index, msg.into(), Some(Arc::new(TaskError::new(kind))));
        Gate::Closed
    }

    /// What a reference reads that leads to no value, for people.
    pub(super) fn what_lacks(&self, missing: &ResolveError) -> String {
        match missing.attribute {
            Attribute::JobFailure => "_.failure".to_owned(),
            Attribute::Input => "_.input".to_owned(),
            attribute if attribute.of_first().is_some() => format!("_.{attribute}"),
            _ => format!("the task {:?}", self.spec(missing.task).name()),
        }
    }

    /// Why a template of a task cannot be filled: for programs and for people.
    pub(super) fn why_unfilled(&self, what: &str, error: &FillError) -> (ErrorKind, String) {
        match error {
            FillError::Missing(missing) => {
                let from = self.what_lacks(missing);
                (ErrorKind::MissingValue, format!("{what} cannot be filled from {from}: {missing}"))
            }
            FillError::TooLarge { .. } => (ErrorKind::ArgumentsTooLarge, format!("{what} would have {error}")),
            FillError::TooDeep => (ErrorKind::ValueTooDeep, format!("{what} would be {error}")),
        }
    }
}
