//! The tasks that could run, by pool: strictly by priority, then fairly between jobs, then in the job's order.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use super::allowance::Allowance;
use super::throughput::Throughput;
use super::timers::{Timer, Timers};
use crate::{JobId, Steady, TaskId};

/// The pools that tasks wait in or are on their way to.
#[derive(Debug, Default)]
pub(super) struct Pools {
    pools: BTreeMap<Arc<str>, Pool>,
}

/// One pool.
#[derive(Debug, Default)]
pub(super) struct Pool {
    queues: BTreeMap<Reverse<i32>, Ring>,
    /// How many tasks the queues have.
    queued: u64,
    /// Tasks without a worker that has their module, by module and job.
    parked: BTreeMap<Arc<str>, BTreeMap<JobId, BTreeSet<u32>>>,
    /// How many of them there are.
    parked_count: u64,
    /// Issues on the broker that no worker has reported on.
    window: BTreeMap<TaskId, Sent>,
    /// Size of their arguments together.
    window_bytes: usize,
    /// Tasks that ended recently.
    pub(super) throughput: Throughput,
    /// How many issues its queue bears.
    pub(super) allowance: Allowance,
    /// Tasks whose messages a policy of the broker removed, and that are not handed out again yet.
    removed: u32,
    /// When the queue is to be looked into: the deadline of [`Timer::Probe`]. `None` while nothing is on its way.
    pub(super) probe_due: Option<Steady>,
    /// Since when the queue has been empty whenever it was looked into.
    pub(super) empty_since: Option<Steady>,
    /// The broker has said that the pool has no queue. It will have one when a worker of it is heard of.
    pub(super) unroutable: bool,
}

/// An issue on the broker.
#[derive(Clone, Copy, Debug)]
struct Sent {
    /// When it last gave a sign of life.
    sign: Steady,
    /// Size of its arguments; 0 where another dispatcher has sent it.
    bytes: usize,
}

/// Tasks of one priority: jobs take turns.
#[derive(Debug, Default)]
struct Ring {
    turns: VecDeque<JobId>,
    tasks: HashMap<JobId, BTreeSet<u32>>,
}

impl Ring {
    fn push(&mut self, job: JobId, indices: &[u32]) {
        let tasks = self.tasks.entry(job).or_default();
        if tasks.is_empty() {
            self.turns.push_back(job);
        }
        tasks.extend(indices);
    }

    fn pop(&mut self) -> Option<(JobId, u32)> {
        let job = self.turns.pop_front()?;
        let tasks = self.tasks.get_mut(&job)?;
        let index = tasks.pop_first()?;
        if tasks.is_empty() {
            self.tasks.remove(&job);
        } else {
            self.turns.push_back(job);
        }
        Some((job, index))
    }

    /// Takes out one task. Returns whether it was there.
    fn take(&mut self, job: JobId, index: u32) -> bool {
        let Some(tasks) = self.tasks.get_mut(&job) else { return false };
        let was_there = tasks.remove(&index);
        if tasks.is_empty() {
            self.forget(job);
        }
        was_there
    }

    /// Takes out all tasks of a job. Returns their number.
    fn forget(&mut self, job: JobId) -> usize {
        let Some(tasks) = self.tasks.remove(&job) else {
            return 0;
        };
        self.turns.retain(|turn| *turn != job);
        tasks.len()
    }
}

impl Pools {
    /// The pool of this name.
    pub(super) fn get_mut(&mut self, name: &Arc<str>) -> &mut Pool {
        // As a rule it is there, and its name need not be cloned.
        if !self.pools.contains_key(name) {
            self.pools.insert(Arc::clone(name), Pool::default());
        }
        self.pools.get_mut(name).expect("it was inserted")
    }

    /// The pool of this name, if anything waits in it or is on its way.
    pub(super) fn get(&self, name: &str) -> Option<&Pool> {
        self.pools.get(name)
    }

    /// The pool of this name, if anything waits in it or is on its way.
    pub(super) fn existing(&mut self, name: &str) -> Option<&mut Pool> {
        self.pools.get_mut(name)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &Pool)> {
        self.pools.iter()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (&Arc<str>, &mut Pool)> {
        self.pools.iter_mut()
    }

    /// The pools that have tasks to hand out.
    pub(super) fn waiting(&self) -> Vec<Arc<str>> {
        let waiting = self.pools.iter().filter(|(_, pool)| pool.queued > 0);
        waiting.map(|(name, _)| Arc::clone(name)).collect()
    }

    /// Drops the pools that have nothing: jobs name pools as they like, and names must not pile up.
    pub(super) fn drop_idle(&mut self, timers: &mut Timers<Timer>) {
        self.pools.retain(|name, pool| {
            let is_idle = pool.queued + pool.parked_count == 0 && pool.window.is_empty() && pool.removed == 0;
            if is_idle && pool.probe_due.is_some() {
                timers.stop(Timer::Probe(Arc::clone(name)));
            }
            !is_idle
        });
    }

    /// Issues on the broker.
    pub(super) fn in_flight(&self) -> u64 {
        self.pools.values().map(|pool| pool.window.len() as u64).sum()
    }

    /// Tasks that could run.
    pub(super) fn ready(&self) -> u64 {
        self.pools.values().map(|pool| pool.queued + pool.parked_count).sum()
    }
}

impl Pool {
    pub(super) fn push(&mut self, priority: i32, job: JobId, index: u32) {
        self.push_all(priority, job, &[index]);
    }

    /// Tasks of one job, at least one.
    pub(super) fn push_all(&mut self, priority: i32, job: JobId, tasks: &[u32]) {
        self.queues.entry(Reverse(priority)).or_default().push(job, tasks);
        self.queued += tasks.len() as u64;
    }

    /// The next task to hand out.
    pub(super) fn pop(&mut self) -> Option<(JobId, u32)> {
        let mut first = self.queues.first_entry()?;
        let popped = first.get_mut().pop();
        if first.get().turns.is_empty() {
            first.remove();
        }
        self.queued -= u64::from(popped.is_some());
        popped
    }

    /// Takes one task out of the queue.
    ///
    /// # Panics
    /// Where it is not there: that is a bug of the machine's.
    pub(super) fn take(&mut self, priority: i32, job: JobId, index: u32) {
        let mut ring = self.queues.get_mut(&Reverse(priority));
        let was_there = ring.as_mut().is_some_and(|ring| ring.take(job, index));
        assert!(was_there, "{:?} leaves a queue that it is not in", job.task(index));
        self.queued -= 1;
        if ring.is_some_and(|ring| ring.turns.is_empty()) {
            self.queues.remove(&Reverse(priority));
        }
    }

    /// Takes out a job's tasks of one priority.
    pub(super) fn forget(&mut self, priority: i32, job: JobId) {
        let Some(ring) = self.queues.get_mut(&Reverse(priority)) else {
            return;
        };
        self.queued -= ring.forget(job) as u64;
        if ring.turns.is_empty() {
            self.queues.remove(&Reverse(priority));
        }
    }

    /// Issues on the broker that no worker has reported on.
    pub(super) fn in_window(&self) -> u32 {
        self.window.len() as u32
    }

    /// Size of their arguments together, as far as this dispatcher has sent them.
    pub(super) const fn window_bytes(&self) -> usize {
        self.window_bytes
    }

    /// An issue of this task, with arguments of this size, is on its way.
    pub(super) fn enter_window(&mut self, task: TaskId, bytes: usize, now: Steady) {
        self.window.insert(task, Sent { sign: now, bytes });
        self.window_bytes += bytes;
    }

    /// Issues on the broker, and those that are about to be there again.
    pub(super) fn out(&self) -> u32 {
        self.in_window() + self.removed
    }

    /// A policy of the broker has removed the message of an issue that was in the window. At least `least` issues stay
    /// allowed.
    pub(super) fn remove(&mut self, least: u32, now: Steady) {
        self.removed += 1;
        self.allowance.reduce(self.out(), least, now);
    }

    /// A task whose message was removed is handed out again, or not wanted any more.
    pub(super) fn take_back(&mut self) {
        assert!(self.removed > 0, "a task comes back that was not removed");
        self.removed -= 1;
    }

    pub(super) fn leave_window(&mut self, task: TaskId) {
        let sent = self.window.remove(&task);
        assert!(sent.is_some(), "{task:?} leaves a window that it has not entered");
        self.window_bytes -= sent.map_or(0, |sent| sent.bytes);
    }

    /// The issue of this task has given a sign of life.
    pub(super) fn sign(&mut self, task: TaskId, now: Steady) {
        if let Some(sent) = self.window.get_mut(&task) {
            sent.sign = now;
        }
    }

    /// The last sign of the issue that has been silent for longest.
    pub(super) fn oldest_sign(&self) -> Option<Steady> {
        self.window.values().map(|sent| sent.sign).min()
    }

    /// The tasks whose issues have given no sign since then.
    pub(super) fn silent_since(&self, then: Steady) -> impl Iterator<Item = TaskId> {
        self.window.iter().filter(move |(_, sent)| sent.sign < then).map(|(task, _)| *task)
    }

    pub(super) fn park(&mut self, module: &Arc<str>, job: JobId, index: u32) {
        self.parked.entry(Arc::clone(module)).or_default().entry(job).or_default().insert(index);
        self.parked_count += 1;
    }

    /// Takes out the tasks that wait for one of these modules.
    pub(super) fn unpark<'a>(&mut self, modules: impl Iterator<Item = &'a Arc<str>>) -> Vec<(JobId, Vec<u32>)> {
        if self.parked.is_empty() {
            return Vec::new();
        }
        let jobs = modules.filter_map(|module| self.parked.remove(module)).flatten();
        let jobs: Vec<(JobId, Vec<u32>)> = jobs.map(|(job, tasks)| (job, tasks.into_iter().collect())).collect();
        self.parked_count -= jobs.iter().map(|(_, tasks)| tasks.len() as u64).sum::<u64>();
        jobs
    }

    /// Takes out one task that waits for this module.
    ///
    /// # Panics
    /// Where it is not there: that is a bug of the machine's.
    pub(super) fn take_parked(&mut self, module: &str, job: JobId, index: u32) {
        let (mut was_there, mut jobs) = (false, self.parked.get_mut(module));
        if let Some(jobs) = &mut jobs
            && let Some(tasks) = jobs.get_mut(&job)
        {
            was_there = tasks.remove(&index);
            if tasks.is_empty() {
                jobs.remove(&job);
            }
        }
        assert!(was_there, "{:?} is not among the parked tasks", job.task(index));
        self.parked_count -= 1;
        if jobs.is_some_and(|jobs| jobs.is_empty()) {
            self.parked.remove(module);
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn job(id: u128) -> JobId {
        JobId::new(Uuid::from_u128(id << 64))
    }

    fn filled() -> Pool {
        let mut pool = Pool::default();
        (0..4).for_each(|index| pool.push(0, job(1), index));
        (0..2).for_each(|index| pool.push(0, job(2), index));
        pool.push(5, job(3), 0);
        pool
    }

    #[test]
    fn jobs_take_turns_within_a_priority() {
        let mut pool = filled();
        let order: Vec<_> = std::iter::from_fn(|| pool.pop()).collect();
        assert_eq!(order, [(job(3), 0), (job(1), 0), (job(2), 0), (job(1), 1), (job(2), 1), (job(1), 2), (job(1), 3)]);
        assert_eq!(pool.queued, 0);
    }

    #[test]
    fn a_task_that_is_taken_out_leaves_the_others_in_the_jobs_order() {
        let mut pool = filled();
        pool.take(0, job(1), 2);
        pool.take(0, job(1), 0);
        pool.take(5, job(3), 0);
        pool.take(0, job(2), 0);
        pool.take(0, job(2), 1);
        pool.push(0, job(1), 0);
        let order: Vec<_> = std::iter::from_fn(|| pool.pop()).collect();
        assert_eq!(order, [(job(1), 0), (job(1), 1), (job(1), 3)]);
        assert!(pool.queues.is_empty() && pool.queued == 0);
    }

    #[test]
    #[should_panic(expected = "leaves a queue that it is not in")]
    fn a_task_that_is_not_queued_is_not_taken_out() {
        filled().take(0, job(3), 0);
    }

    #[test]
    fn a_forgotten_job_leaves_nothing() {
        let mut pool = filled();
        pool.forget(0, job(1));
        pool.forget(5, job(3));
        pool.forget(5, job(3));
        let order: Vec<_> = std::iter::from_fn(|| pool.pop()).collect();
        assert_eq!(order, [(job(2), 0), (job(2), 1)]);
        assert!(pool.queues.is_empty());
        let (x, y): (Arc<str>, Arc<str>) = ("x".into(), "y".into());
        pool.park(&x, job(1), 0);
        pool.park(&y, job(1), 1);
        pool.park(&y, job(2), 0);
        pool.take_parked("y", job(1), 1);
        assert_eq!(pool.unpark([&y].into_iter()), [(job(2), vec![0])]);
        assert_eq!(pool.parked_count, 1);
        pool.take_parked("x", job(1), 0);
        assert!(pool.parked.is_empty() && pool.parked_count == 0);
    }
}
