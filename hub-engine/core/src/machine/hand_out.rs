//! Hands out tasks as far as the windows allow, and puts back what comes free.

use std::sync::Arc;

use super::live::LiveJob;
use super::place::Place;
use super::{EndedJob, Machine, remainder};
use crate::action::{Action, Assignment};
use crate::job::{DEFAULT_POOL, FillError, Template};
use crate::state::{ErrorKind, TaskError};
use crate::{Issue, JobId, Json, Now, Steady, TaskStatus, Timestamp};

/// Maximum number of bytes that one turn reads and writes to fill arguments; the last ones may go beyond it.
const FILLED_BYTES: usize = 4 * 1024 * 1024;
/// Maximum size of the arguments of a pool's issues on the broker. Beyond it, only as many issues are there as the pool has slots.
const WINDOW_BYTES: usize = 64 * 1024 * 1024;
/// What arguments that cannot be filled count as: finding that out takes time too.
pub(super) const FAILED_BYTES: usize = 256;

/// What a turn may still do.
pub(super) struct Room {
    /// Tasks to look at.
    tasks: u32,
    /// Arguments to fill, in bytes.
    bytes: usize,
}

impl Room {
    pub(super) const fn is_there(&self) -> bool {
        self.tasks > 0 && self.bytes > 0
    }

    /// Counts one task looked at, and the bytes of its arguments.
    pub(super) const fn take(&mut self, bytes: usize) {
        self.tasks -= 1;
        self.bytes = self.bytes.saturating_sub(bytes);
    }
}

impl Machine {
    /// Fills the window of every pool that has tasks waiting.
    pub(super) fn fill_windows(&mut self, now: Now) {
        let mut room = Room { tasks: remainder::TASKS, bytes: FILLED_BYTES };
        self.publish_again(&mut room, now);
        // One pass is enough: tasks that become ready since handing out another one has failed it are left to the next turn.
        for name in self.pools.waiting() {
            self.fill_window(&name, &mut room, now);
        }
        self.pools.drop_idle(&mut self.timers);
    }

    fn fill_window(&mut self, name: &Arc<str>, room: &mut Room, now: Now) {
        let slots = self.workers.catalogue().slots(name);
        if !self.is_reachable(name) {
            return;
        }
        let window = self.window(name, slots, now.steady);
        loop {
            let pool = self.pools.get_mut(name);
            let is_heavy = pool.window_bytes() >= WINDOW_BYTES && pool.out() >= slots.unwrap_or(0).max(1);
            if pool.out() >= window || is_heavy {
                return;
            }
            if !room.is_there() {
                self.is_filling = true;
                return;
            }
            let Some((id, index)) = pool.pop() else {
                return;
            };
            let job = self.jobs.job_mut(id);
            if job.cancelled {
                room.take(0);
                continue;
            }
            job.task_mut(index).place = Place::Blocked;
            let module = job.spec(index).module();
            if slots.is_some() && !self.workers.catalogue().knows(name, module) {
                pool.park(module, id, index);
                job.task_mut(index).place = Place::Parked;
                room.take(0);
                continue;
            }
            room.take(self.hand_out(id, index, now));
        }
    }

    /// Whether the pool has a queue on the broker, as far as known. That of the default pool is declared by the
    /// dispatcher; the others come with their workers.
    pub(super) fn is_reachable(&self, pool: &str) -> bool {
        let is_declared = pool == DEFAULT_POOL || self.workers.catalogue().slots(pool).is_some();
        is_declared && !self.pools.get(pool).is_some_and(|pool| pool.unroutable)
    }

    /// How many issues of a pool may be on the broker without a worker's word of them: a few for each slot of
    /// its workers, and of short tasks as many as are run within a moment, so that no worker ever waits for the
    /// dispatcher. Issues under a lease and launched ones are not counted: they are not on the broker.
    fn window(&mut self, pool: &Arc<str>, slots: Option<u32>, now: Steady) -> u32 {
        let recent = self.pools.get_mut(pool).throughput.recent(now);
        let by_slots = slots.unwrap_or(0).saturating_mul(self.settings.window_factor);
        let wanted = by_slots.max(recent.saturating_mul(self.settings.window_pace)).max(self.settings.window_floor);
        self.pools.get_mut(pool).allowance.of(wanted.min(self.settings.window_ceiling), now)
    }

    /// Returns how many bytes were read and written for its arguments.
    fn hand_out(&mut self, id: JobId, index: u32, now: Now) -> usize {
        let job = self.jobs.job_mut(id);
        let before = job.walked();
        let filled = arguments(job, index, self.settings.max_value_bytes);
        let walked = job.walked() - before;
        let (args, kwargs) = match filled {
            Ok(arguments) => arguments,
            Err(error) => {
                self.fail_unfilled(id, index, &error, now.wall);
                return walked + FAILED_BYTES;
            }
        };
        let bytes = args.get().len() + kwargs.get().len();
        job.begin(now.wall, &mut self.actions);
        let state = job.task_mut(index).state_mut();
        let number = state.issue.map_or(1, |last| last.number.saturating_add(1));
        let issue = Issue { number, incarnation: self.settings.incarnation };
        state.issue = Some(issue);
        state.confirmed = false;
        state.submitted_at = Some(now.wall);
        state.started_at = None;
        job.task_mut(index).place = Place::Window;
        job.set_status(index, TaskStatus::Submitted, &mut self.actions);
        job.persist_task(index, &mut self.actions);
        let assignment = assignment(job, index, issue, args, kwargs);
        self.enter_window(&assignment.pool, assignment.issue.task, bytes, now.steady);
        self.actions.push(Action::Publish(assignment));
        walked + bytes
    }

    /// Puts a task that could run into its pool's queue.
    pub(super) fn enqueue(&mut self, id: JobId, index: u32) {
        let job = self.jobs.job_mut(id);
        job.task_mut(index).place = Place::Queued;
        let spec = job.spec(index);
        self.pools.get_mut(spec.pool()).push(spec.priority(), id, index);
    }

    /// The same for many tasks of one job.
    pub(super) fn enqueue_all(&mut self, id: JobId, tasks: &[u32]) {
        let job = self.jobs.job_mut(id);
        let checked = Arc::clone(&job.job);
        let spec = |index: u32| checked.spec(index);
        let is_alike = |one: &u32, next: &u32| {
            let (one, next) = (spec(*one), spec(*next));
            one.priority() == next.priority() && one.pool() == next.pool()
        };
        for alike in tasks.chunk_by(is_alike) {
            alike.iter().for_each(|index| job.task_mut(*index).place = Place::Queued);
            let first = spec(alike[0]);
            self.pools.get_mut(first.pool()).push_all(first.priority(), id, alike);
        }
    }

    /// Fails a task whose arguments cannot be filled.
    pub(super) fn fail_unfilled(&mut self, id: JobId, index: u32, why: &FillError, now: Timestamp) {
        let job = self.jobs.job(id);
        let (kind, msg) = match why {
            FillError::Missing(missing) => {
                let from = job.spec(missing.task).name();
                (ErrorKind::MissingValue, format!("an argument cannot be filled from the task {from:?}: {missing}"))
            }
            FillError::TooLarge { .. } => (ErrorKind::ArgumentsTooLarge, format!("the arguments would have {why}")),
            FillError::TooDeep => (ErrorKind::ValueTooDeep, format!("the arguments would be {why}")),
        };
        self.fail_with(id, index, TaskError { kind, type_name: None, traceback: None }, msg, now);
    }

    /// Fails a task that is in no place any more.
    pub(super) fn fail_with(&mut self, id: JobId, index: u32, error: TaskError, msg: String, now: Timestamp) {
        let job = self.jobs.job_mut(id);
        let state = job.task_mut(index).state_mut();
        state.msg = Some(msg.into());
        state.error = Some(Arc::new(error));
        state.data = None;
        self.end(id, index, TaskStatus::Failed, now);
    }

    /// Ends a task whose result is in its state, queues what has become ready, and ends the job with its last task.
    pub(super) fn end(&mut self, id: JobId, index: u32, status: TaskStatus, now: Timestamp) {
        let job = self.jobs.job_mut(id);
        let before = job.bytes();
        let ripple = job.end_task(index, status, now, &mut self.actions);
        self.live_bytes += job.bytes() - before;
        self.enqueue_all(id, &ripple.ready);
        self.sweep(id, now);
    }

    /// Ends a job whose tasks have all ended, and lets go of it.
    pub(super) fn settle_job(&mut self, id: JobId, now: Timestamp) {
        if self.jobs.job(id).is_over() {
            let mut job = self.jobs.remove(id);
            job.finish(self.settings.max_value_bytes, now, &mut self.actions);
            self.live_tasks -= job.tasks.len() as u64;
            self.live_bytes -= job.bytes();
            self.ended.push(EndedJob(job));
        }
    }

    pub(super) fn insert(&mut self, job: LiveJob) {
        self.live_tasks += job.tasks.len() as u64;
        self.live_bytes += job.bytes();
        self.jobs.insert(job);
    }
}

/// A task's arguments with every reference filled, `limit` bytes at most together.
pub(super) fn arguments(job: &mut LiveJob, index: u32, limit: usize) -> Result<(Json, Json), FillError> {
    let checked = Arc::clone(&job.job);
    let spec = checked.spec(index);
    let mut fill = |template: Option<&Template>, none: &'static str, limit| {
        template.map_or_else(|| Ok(Json::from_checked(none)), |template| job.fill(template, limit))
    };
    let args = fill(spec.args(), "[]", limit)?;
    let taken = args.get().len();
    let kwargs = fill(spec.kwargs(), "{}", limit.saturating_sub(taken)).map_err(|error| match error {
        FillError::TooLarge { bytes, .. } => FillError::TooLarge { bytes: bytes + taken as u64, limit },
        other => other,
    })?;
    Ok((args, kwargs))
}

pub(super) fn assignment(job: &LiveJob, index: u32, issue: Issue, args: Json, kwargs: Json) -> Assignment {
    let spec = job.spec(index);
    Assignment {
        issue: issue.of(job.id.task(index)),
        job: job.id,
        name: Arc::clone(spec.name()),
        task_name: Arc::clone(spec.module()),
        pool: Arc::clone(spec.pool()),
        args,
        kwargs,
    }
}
