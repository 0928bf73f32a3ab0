//! Tasks that wait for a time, for signals or for an approval. They need no worker, and nothing of them is published.
//!
//! A wait begins when the gates of its task are open. That may end it at once, for example if its signals have come
//! early, and a job can have a long chain of such tasks. So waits begin in [`Machine::sweep`], which does not recurse.

use std::sync::Arc;
use std::time::Duration;

use super::Machine;
use super::live::LiveJob;
use super::place::Place;
use super::schedule::COMPARISON_INTERVAL;
use super::timers::Timer;
use crate::action::Action;
use crate::job::{Awaited, Moment, OnTimeout, Until, Wait};
use crate::state::{ErrorKind, TaskError};
use crate::{JobId, Json, Now, TaskStatus, Timestamp};

/// How a wait begins.
enum Beginning {
    /// The task waits, until then at most.
    Waits(Option<Moment>),
    /// What it waits for is there.
    Over(Json),
    /// It fails with this error.
    Fails(ErrorKind, String),
}

impl Machine {
    /// Begins the next wait that is ready. Returns whether there was one.
    pub(super) fn begin_next_wait(&mut self, id: JobId, now: Now) -> bool {
        let Some(index) = self.jobs.job_mut(id).next_wait(&mut self.budget) else { return false };
        let limit = self.settings.max_value_bytes;
        let job = self.jobs.job_mut(id);
        job.begin(now.wall, &mut self.actions);
        job.start_waiting(index, now.wall);
        job.set_status(index, TaskStatus::Running, &mut self.actions);
        let before = job.bytes();
        let beginning = job.begin_wait(index, limit, now.wall, &mut self.actions);
        self.live_bytes = self.live_bytes + job.bytes() - before;
        match beginning {
            Beginning::Waits(deadline) => {
                let began = job.clock().read(now.wall);
                let details = job.task_mut(index).state_mut().details_mut();
                match deadline {
                    None => {}
                    Some(Moment::At(time)) => details.waits_until = Some(time),
                    Some(Moment::After(wait)) => {
                        details.wait_until(|details| &mut details.waits_until, began, wait);
                    }
                }
                job.share_state(index);
                job.persist_task(index, &mut self.actions);
                self.await_further(id, index, now);
            }
            Beginning::Over(data) => {
                let task = job.task_mut(index);
                task.place = Place::Blocked;
                task.state_mut().data = Some(data);
                self.end_alone(id, index, TaskStatus::Success, now);
            }
            Beginning::Fails(kind, msg) => {
                let task = job.task_mut(index);
                task.place = Place::Blocked;
                task.state_mut().msg = Some(msg.into());
                task.state_mut().error = Some(Arc::new(TaskError::new(kind)));
                self.end_alone(id, index, TaskStatus::Failed, now);
            }
        }
        // The windows may have been filled already in this turn.
        self.is_filling = true;
        true
    }

    /// A task waits, also after a restart or a resume: sets its timer, and registers it for its signal. The clock of a paused
    /// job stands still, and times go on.
    pub(super) fn await_further(&mut self, id: JobId, index: u32, now: Now) {
        let job = self.jobs.job_mut(id);
        job.task_mut(index).place = Place::Waiting;
        job.register_wait(index);
        if let Some(wait) = job.rest_of_wait(index, now.wall) {
            self.timers.set(Timer::Rest(id, index), now.steady.after(wait));
        }
    }

    /// The timer of a wait has expired.
    pub(super) fn end_wait(&mut self, id: JobId, index: u32, now: Now) {
        let job = self.jobs.job(id);
        let checked = Arc::clone(&job.job);
        let details = job.task(index).state().details.as_deref();
        let is_early = |time: Timestamp| time > now.wall && details.is_some_and(|details| !details.is_timed());
        if details.and_then(|details| details.waits_until).is_some_and(is_early) {
            return self.await_further(id, index, now);
        }
        let wait = checked.spec(index).wait().expect("the timer is a wait's");
        match (&wait.awaited, &wait.on_timeout) {
            (Awaited::Until(_), _) => self.succeed_wait(id, index, Json::null(), now),
            (_, OnTimeout::Data(data)) => self.succeed_wait(id, index, data.clone(), now),
            (_, OnTimeout::Skip) => {
                let msg = job.why_timed_out(index, wait);
                self.withdraw(id, index);
                self.jobs.job_mut(id).end_unrun(index, format!("was skipped: {msg}").into(), None);
                self.sweep(id, now);
            }
            (_, OnTimeout::Fail) => {
                let msg = job.why_timed_out(index, wait);
                self.fail_wait(id, index, ErrorKind::WaitTimeout, msg, now);
            }
        }
    }

    /// A task has waited successfully.
    pub(super) fn succeed_wait(&mut self, id: JobId, index: u32, data: Json, now: Now) {
        self.withdraw(id, index);
        self.jobs.job_mut(id).task_mut(index).state_mut().data = Some(data);
        self.end(id, index, TaskStatus::Success, now);
    }

    /// A task has waited in vain, or its question was answered in a way that fails it. It is not tried again.
    pub(super) fn fail_wait(&mut self, id: JobId, index: u32, kind: ErrorKind, msg: String, now: Now) {
        self.withdraw(id, index);
        let state = self.jobs.job_mut(id).task_mut(index).state_mut();
        state.msg = Some(msg.into());
        state.error = Some(Arc::new(TaskError::new(kind)));
        self.end(id, index, TaskStatus::Failed, now);
    }
}

impl LiveJob {
    /// A task that waits is ready.
    pub(super) fn queue_wait(&mut self, index: u32) {
        // So that no other end decides this again.
        self.task_mut(index).place = Place::Waiting;
        self.remaining_work().waits.push_back(index);
    }

    /// The next task whose wait begins, within `budget`.
    fn next_wait(&mut self, budget: &mut u32) -> Option<u32> {
        while *budget > 0
            && let Some(index) = self.sweep.as_mut().and_then(|work| work.waits.pop_front())
        {
            *budget -= 1;
            let task = self.task(index);
            // An operator may have ended it meanwhile.
            if task.place == Place::Waiting && task.state().status == TaskStatus::Pending {
                return Some(index);
            }
        }
        None
    }

    /// Time until the next look at a task that waits. `None` if it waits without a limit, or its limit stands still.
    fn rest_of_wait(&self, index: u32, wall: Timestamp) -> Option<Duration> {
        let details = self.task(index).state().details.as_deref()?;
        let until = details.waits_until?;
        match details.wait_ms.map(Duration::from_millis) {
            None => Some(until.since(wall).min(COMPARISON_INTERVAL)),
            Some(_) if self.is_paused() => None,
            Some(longest) => Some(self.clock().until(until, wall).min(longest)),
        }
    }

    fn start_waiting(&mut self, index: u32, now: Timestamp) {
        let submitted_at = self.state.submitted_at;
        let state = self.task_mut(index).state_mut();
        state.started_at = Some(now.max(submitted_at));
        if let Some(details) = &mut state.details {
            details.end_wait();
        }
    }

    /// Finds out whether what a task waits for is there, and until when it waits otherwise.
    fn begin_wait(&mut self, index: u32, limit: usize, now: Timestamp, actions: &mut Vec<Action>) -> Beginning {
        let checked = Arc::clone(&self.job);
        let wait = checked.spec(index).wait().expect("the task is a wait");
        match &wait.awaited {
            Awaited::Until(until) => {
                let until = match until {
                    Until::Of(template) => match self.fill(template, limit, None) {
                        Ok(value) => Moment::read(&value),
                        Err(error) => {
                            let (kind, why) = self.why_unfilled("the time for which it waits", &error);
                            return Beginning::Fails(kind, why);
                        }
                    },
                    Until::Fixed(moment) => Ok(*moment),
                };
                match until {
                    Ok(Moment::At(time)) if time <= now => Beginning::Over(Json::null()),
                    Ok(Moment::After(Duration::ZERO)) => Beginning::Over(Json::null()),
                    Ok(moment) => Beginning::Waits(Some(moment)),
                    Err(why) => {
                        Beginning::Fails(ErrorKind::BadArguments, format!("the time for which it waits: {why}"))
                    }
                }
            }
            Awaited::Signal { count, .. } => {
                self.take_kept_signals(index, actions);
                match self.data_of_signals(index, *count, limit) {
                    Ok(Some(data)) => Beginning::Over(data),
                    Ok(None) => Beginning::Waits(wait.timeout.map(Moment::After)),
                    Err(why) => Beginning::Fails(ErrorKind::ResultTooLarge, why),
                }
            }
            Awaited::Approval(approval) => {
                let filled =
                    approval.message.as_ref().map_or(Ok(Json::null()), |message| self.fill(message, limit, None));
                match filled {
                    Ok(_) => Beginning::Waits(wait.timeout.map(Moment::After)),
                    Err(error) => {
                        let (kind, why) = self.why_unfilled("its message", &error);
                        Beginning::Fails(kind, why)
                    }
                }
            }
        }
    }

    /// A task ends, which may have waited: its times are over, and the data of its signals is in its result, if it has one.
    pub(super) fn close_wait(&mut self, index: u32) {
        let before = self.details_weight(index);
        if let Some(details) = &mut self.task_mut(index).state_mut().details {
            details.end_wait();
            // Most tasks have no signals, and take no memory for them.
            if !details.rare().signals.is_empty() {
                details.rare_mut().signals.iter_mut().for_each(|signal| signal.data = None);
            }
        }
        let after = self.details_weight(index);
        self.resize(before, after);
    }

    pub(super) fn details_weight(&self, index: u32) -> usize {
        self.task(index).state().details.as_ref().map_or(0, |details| details.weight())
    }

    fn why_timed_out(&self, index: u32, wait: &Wait) -> String {
        let limit = wait.timeout.unwrap_or_default();
        match &wait.awaited {
            Awaited::Signal { name, count } => {
                let came = self.task(index).state().details.as_ref().map_or(0, |details| details.rare().signals.len());
                let so_far = if *count > 1 { format!(" ({came} of {count} came)") } else { String::new() };
                format!("the signal {name:?} did not come within {limit:?}{so_far}")
            }
            Awaited::Approval(_) | Awaited::Until(_) => format!("no answer was given within {limit:?}"),
        }
    }
}
