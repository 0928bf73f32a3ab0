//! Hands out tasks within the windows of their pools, and ends tasks.

use std::sync::Arc;

use super::arguments::Arguments;
use super::live::LiveJob;
use super::place::Place;
use super::turn_budget::TurnBudget;
use super::{EndedJob, Machine, timeouts};
use crate::action::{Action, Assignment};
use crate::job::{DEFAULT_POOL, FillError, ItemPlace, Timeouts};
use crate::state::TaskError;
use crate::{Issue, JobId, Now, Steady, TaskStatus};

/// Maximum size of the arguments of a pool's issues on the broker. Beyond it, the number of issues is limited to the
/// slots of the pool.
const MAXIMUM_WINDOW_BYTES: usize = 64 * 1024 * 1024;
/// Number of bytes counted for arguments that cannot be filled, because the attempt takes time.
pub(super) const FAILED_BYTES: usize = 256;

impl Machine {
    /// Fills the window of every pool with waiting tasks.
    pub(super) fn fill_windows(&mut self, mut budget: TurnBudget, now: Now) {
        self.publish_again(&mut budget, now);
        // One pass is sufficient: tasks that become ready because handing out another one has failed it wait for the next turn.
        for name in self.pools.waiting() {
            self.fill_window(&name, &mut budget, now);
        }
        self.pools.drop_idle(&mut self.timers);
    }

    fn fill_window(&mut self, name: &Arc<str>, budget: &mut TurnBudget, now: Now) {
        let slots = self.workers.catalogue().slots(name);
        if !self.is_reachable(name) || self.paused_pools.contains_key(name) {
            return;
        }
        let window = self.window(name, slots, now.steady);
        loop {
            let pool = self.pools.get_mut(name);
            let is_heavy = pool.window_bytes() >= MAXIMUM_WINDOW_BYTES && pool.out() >= slots.unwrap_or(0).max(1);
            if pool.out() >= window || is_heavy {
                return;
            }
            if !budget.is_left() {
                self.is_filling = true;
                return;
            }
            let Some((id, index)) = pool.pop() else {
                return;
            };
            let job = self.jobs.job_mut(id);
            if job.cancelled {
                budget.spend(0);
                continue;
            }
            job.task_mut(index).place = Place::Blocked;
            self.flights.note_left((id, index));
            let need = job.spec(index).need();
            // Until a worker has reported the module, it is not known whether a result of it is kept.
            let is_served = slots.is_some() || job.spec(index).keeps_by_module();
            if is_served && !self.workers.catalogue().has(name, &need) {
                pool.park(need, id, index);
                job.task_mut(index).place = Place::Parked;
                budget.spend(0);
                continue;
            }
            budget.spend(self.hand_out(id, index, now));
        }
    }

    /// Whether the pool has a queue on the broker, as far as known. The dispatcher declares the queue of the default
    /// pool; workers declare the others.
    pub(super) fn is_reachable(&self, pool: &str) -> bool {
        let is_declared = pool == DEFAULT_POOL || self.workers.catalogue().slots(pool).is_some();
        is_declared && !self.pools.get(pool).is_some_and(|pool| pool.unroutable)
    }

    /// The maximum number of issues of a pool on the broker: a few for each slot of its workers, and for short tasks as
    /// many as ended recently, so that workers do not wait for the dispatcher. Issues under a lease and launched tasks
    /// are not counted, because they are not on the broker.
    fn window(&mut self, pool: &Arc<str>, slots: Option<u32>, now: Steady) -> u32 {
        let recent = self.pools.get_mut(pool).throughput.recent(now);
        let by_slots = slots.unwrap_or(0).saturating_mul(self.settings.window_factor);
        let wanted = by_slots.max(recent.saturating_mul(self.settings.window_pace)).max(self.settings.window_floor);
        self.pools.get_mut(pool).allowance.of(wanted.min(self.settings.window_ceiling), now)
    }

    /// The arguments of a task, and the number of bytes read for them. A task whose arguments cannot be filled fails, and what
    /// that cost is returned.
    pub(super) fn fill_or_fail(&mut self, id: JobId, index: u32, now: Now) -> Result<(Arguments, usize), usize> {
        let job = self.jobs.job_mut(id);
        let before = job.walked_bytes();
        let filled = job.arguments(index, self.settings.max_value_bytes);
        let walked = job.walked_bytes() - before;
        filled.map(|arguments| (arguments, walked)).map_err(|error| {
            self.fail_unfilled(id, index, &error, now);
            walked + FAILED_BYTES
        })
    }

    /// Hands out a task. Returns the number of bytes read and written for its arguments.
    fn hand_out(&mut self, id: JobId, index: u32, now: Now) -> usize {
        let (arguments, walked) = match self.fill_or_fail(id, index, now) {
            Ok(filled) => filled,
            Err(cost) => return cost,
        };
        let bytes = arguments.bytes();
        let (passes, key_bytes) = self.passes_cache(id, index, &arguments, now);
        if !passes {
            return walked + bytes + key_bytes;
        }
        self.take_defaults(id, index);
        let job = self.jobs.job_mut(id);
        job.begin(now.wall, &mut self.actions);
        let state = job.task_mut(index).state_mut();
        let number = state.issue.map_or(1, |last| last.number.saturating_add(1));
        let issue = Issue { number, incarnation: self.settings.incarnation };
        state.issue = Some(issue);
        state.confirmed = false;
        state.submitted_at = Some(now.wall);
        state.started_at = None;
        if let Some(details) = &mut state.details {
            details.end_wait();
            (state.msg, state.error, state.log) = (None, None, None);
        }
        job.task_mut(index).place = Place::Window;
        job.set_status(index, TaskStatus::Submitted, &mut self.actions);
        job.persist_task(index, &mut self.actions);
        let assignment = assignment(job, index, issue, arguments);
        self.enter_window(&assignment.pool, assignment.issue.task, bytes, now.steady);
        self.actions.push(Action::Publish(Box::new(assignment)));
        walked + bytes + key_bytes
    }

    /// Puts a ready task into the queue of its pool, unless its job is paused.
    pub(super) fn enqueue(&mut self, id: JobId, index: u32) {
        self.enqueue_all(id, &[index]);
    }

    /// Puts ready tasks of one job into the queues of their pools, unless the job is paused. Those with a cache are looked at
    /// before.
    pub(super) fn enqueue_all(&mut self, id: JobId, tasks: &[u32]) {
        let job = self.jobs.job(id);
        let has_cache = |index: &u32| job.spec(*index).cache().is_some();
        if tasks.iter().any(has_cache) {
            let (cached, others): (Vec<u32>, Vec<u32>) = tasks.iter().partition(|index| has_cache(index));
            self.send_to_cache(id, &cached);
            return self.let_in(id, &others);
        }
        self.let_in(id, tasks);
    }

    /// Puts tasks that have passed all other gates into the queues of their pools, unless their job is paused.
    pub(super) fn let_in(&mut self, id: JobId, tasks: &[u32]) {
        let job = self.jobs.job_mut(id);
        if job.is_paused() {
            return tasks.iter().for_each(|index| job.task_mut(*index).place = Place::Suspended);
        }
        if job.job.has_sub_jobs() && tasks.iter().any(|index| job.spec(*index).sub_job().is_some()) {
            let is_sub_job = |index: &&u32| job.spec(**index).sub_job().is_some();
            let (sub_jobs, others): (Vec<u32>, Vec<u32>) = tasks.iter().partition(is_sub_job);
            for index in sub_jobs {
                job.task_mut(index).place = Place::SubJob;
                self.between_jobs.begin(id, index);
            }
            return self.let_in(id, &others);
        }
        tasks.iter().for_each(|index| job.task_mut(*index).place = Place::Queued);
        let job = self.jobs.job(id);
        let queue = |index: u32| (job.priority(index), job.spec(index).pool());
        for alike in tasks.chunk_by(|one, next| queue(*one) == queue(*next)) {
            let (priority, pool) = queue(alike[0]);
            self.pools.get_mut(pool).push_all(priority, id, alike);
        }
    }

    /// Fails a task whose arguments cannot be filled.
    pub(super) fn fail_unfilled(&mut self, id: JobId, index: u32, why: &FillError, now: Now) {
        let job = self.jobs.job(id);
        let what = if job.spec(index).sub_job().is_some() { "its inputs" } else { "the arguments" };
        let (kind, msg) = job.why_unfilled(what, why);
        self.fail_with(id, index, TaskError::new(kind), msg, now);
    }

    /// Fails a task that has been withdrawn.
    pub(super) fn fail_with(&mut self, id: JobId, index: u32, error: TaskError, msg: String, now: Now) {
        let job = self.jobs.job_mut(id);
        let state = job.task_mut(index).state_mut();
        state.msg = Some(msg.into());
        state.error = Some(Arc::new(error));
        state.data = None;
        self.end_attempt(id, index, now);
    }

    /// Ends a task whose result is in its state, queues the tasks that have become ready, and ends the job after its
    /// last task.
    pub(super) fn end(&mut self, id: JobId, index: u32, status: TaskStatus, now: Now) {
        if let Some(ItemPlace { task, .. }) = self.jobs.job(id).job.item(index) {
            return self.end_item(id, index, task, status, now);
        }
        self.end_alone(id, index, status, now);
        self.sweep(id, now);
    }

    /// Ends a task, not an item, whose result is in its state, and queues the tasks that have become ready. The rest is left
    /// to [`Machine::sweep`].
    pub(super) fn end_alone(&mut self, id: JobId, index: u32, status: TaskStatus, now: Now) {
        let limit = self.settings.max_value_bytes;
        let job = self.jobs.job_mut(id);
        let before = job.bytes();
        if status == TaskStatus::Failed {
            job.recover(index, limit);
        }
        let ready = job.end_task(index, status, now.wall, &mut self.actions);
        timeouts::stop_clocks(job, index, &mut self.timers);
        self.live_bytes = self.live_bytes + job.bytes() - before;
        self.make_ready(id, &ready, now);
    }

    /// Begins with the next list of handlers, or ends and removes the job, if all its tasks have ended that run now.
    pub(super) fn settle_job(&mut self, id: JobId, now: Now) {
        let job = self.jobs.job_mut(id);
        if !job.is_phase_over() {
            return;
        }
        let verdict = job.verdict(self.settings.max_value_bytes);
        if !self.begin_next_handlers(id, verdict, now) {
            let mut job = self.jobs.remove(id);
            job.finish(verdict, now.wall, &mut self.actions);
            self.stops.forget(id);
            self.stop_job_timers(&job);
            self.live_tasks -= job.count();
            self.live_bytes -= job.bytes();
            self.leave_parent(&job);
            self.leave_schedule(&job, now);
            self.ended.push(EndedJob(job));
        }
    }

    pub(super) fn insert(&mut self, job: LiveJob) {
        self.live_tasks += job.tasks.len() as u64;
        self.live_bytes += job.bytes();
        self.count_sub_job(&job);
        self.count_run(&job);
        self.jobs.insert(job);
    }
}

/// An issue of a task with its arguments.
pub(super) fn assignment(job: &LiveJob, index: u32, issue: Issue, arguments: Arguments) -> Assignment {
    let spec = job.spec(index);
    let Arguments { args, kwargs, run } = arguments;
    let details = job.task(index).state().details.as_deref();
    let awaits_defaults = details.is_some_and(|details| details.awaits_defaults);
    let limits = job.timeouts(index).map(Timeouts::of_attempt);
    Assignment {
        issue: issue.of(job.id.task(index)),
        job: job.id,
        name: job.job.name_of(index),
        task_name: Arc::clone(spec.module()),
        attempt: job.task(index).state().attempt(),
        // The task's own limits, even if none is of an attempt, stand in place of those of the module.
        limits: limits.filter(|limits| awaits_defaults || limits.is_limited()),
        awaits_defaults,
        last_progress: details.and_then(|details| details.rare().progress.clone()),
        pool: Arc::clone(spec.pool()),
        args,
        kwargs,
        run,
        secrets: spec.secrets().cloned(),
        wants_content: spec.keeps_by_module(),
    }
}
