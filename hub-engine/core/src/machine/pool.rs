//! The ready tasks of each pool: strictly by priority, then in turns between jobs, then in the order of the job.

use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::allowance::Allowance;
use super::throughput::Throughput;
use super::timers::{Timer, Timers};
use crate::job::Need;
use crate::{IdMap, JobId, Steady, TaskId};

/// The pools with waiting tasks or issues on the broker.
#[derive(Debug, Default)]
pub(super) struct Pools {
    pools: BTreeMap<Arc<str>, Pool>,
}

/// One pool.
#[derive(Debug, Default)]
pub(super) struct Pool {
    queues: BTreeMap<Reverse<i32>, Ring>,
    /// Number of tasks in the queues.
    queued: u64,
    /// Tasks that no worker can run, by what they need and by job.
    parked: BTreeMap<Need, BTreeMap<JobId, Vec<u32>>>,
    /// Number of parked tasks.
    parked_count: u64,
    /// Issues on the broker that no worker has reported.
    window: IdMap<TaskId, Sent>,
    /// Total size of their arguments.
    window_bytes: usize,
    /// Tasks that ended recently.
    pub(super) throughput: Throughput,
    /// The limit of issues on the broker if a policy removes messages.
    pub(super) allowance: Allowance,
    /// Tasks whose messages a policy of the broker removed, and that are not handed out again yet.
    removed: u32,
    /// When the depth of the queue is queried: the deadline of [`Timer::Probe`]. `None` if no issue is on the broker.
    pub(super) probe_due: Option<Steady>,
    /// Since when all queries have found the queue empty.
    pub(super) empty_since: Option<Steady>,
    /// Whether the broker has reported that the pool has no queue. The next heartbeat of a worker of the pool resets
    /// it.
    pub(super) unroutable: bool,
}

/// An issue on the broker.
#[derive(Clone, Copy, Debug)]
struct Sent {
    /// When it was last confirmed or reported.
    seen: Steady,
    /// Size of its arguments; 0 if an earlier dispatcher sent it.
    bytes: usize,
}

/// Tasks of one priority. Jobs take turns.
#[derive(Debug, Default)]
struct Ring {
    turns: VecDeque<JobId>,
    tasks: IdMap<JobId, VecDeque<u32>>,
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
        let index = tasks.pop_front()?;
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
        // Near the front as a rule: tasks are taken out in their order.
        let found = tasks.iter().position(|task| *task == index);
        let was_there = found.and_then(|at| tasks.remove(at)).is_some();
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
        // Usually the pool exists, and its name need not be cloned.
        if !self.pools.contains_key(name) {
            self.pools.insert(Arc::clone(name), Pool::default());
        }
        self.pools.get_mut(name).expect("the pool was inserted")
    }

    /// The pool of this name, if it has tasks.
    pub(super) fn get(&self, name: &str) -> Option<&Pool> {
        self.pools.get(name)
    }

    /// The pool of this name, if it has tasks.
    pub(super) fn existing(&mut self, name: &str) -> Option<&mut Pool> {
        self.pools.get_mut(name)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &Pool)> {
        self.pools.iter()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (&Arc<str>, &mut Pool)> {
        self.pools.iter_mut()
    }

    /// The pools with tasks to hand out.
    pub(super) fn waiting(&self) -> Vec<Arc<str>> {
        let waiting = self.pools.iter().filter(|(_, pool)| pool.queued > 0);
        waiting.map(|(name, _)| Arc::clone(name)).collect()
    }

    /// Drops pools without tasks. Jobs can name any pool, so unused pools must not accumulate.
    pub(super) fn drop_idle(&mut self, timers: &mut Timers<Timer>) {
        self.pools.retain(|name, pool| {
            let is_idle = pool.queued + pool.parked_count == 0 && pool.window.is_empty() && pool.removed == 0;
            if is_idle && pool.probe_due.is_some() {
                timers.stop(Timer::Probe(Arc::clone(name)));
            }
            !is_idle
        });
    }

    /// Number of issues on the broker.
    pub(super) fn in_flight(&self) -> u64 {
        self.pools.values().map(|pool| pool.window.len() as u64).sum()
    }

    /// Number of ready tasks.
    pub(super) fn ready(&self) -> u64 {
        self.pools.values().map(|pool| pool.queued + pool.parked_count).sum()
    }
}

impl Pool {
    /// Adds tasks of one job, at least one.
    pub(super) fn push_all(&mut self, priority: i32, job: JobId, tasks: &[u32]) {
        self.queues.entry(Reverse(priority)).or_default().push(job, tasks);
        self.queued += tasks.len() as u64;
    }

    /// Removes and returns the next task to hand out.
    pub(super) fn pop(&mut self) -> Option<(JobId, u32)> {
        let mut first = self.queues.first_entry()?;
        let popped = first.get_mut().pop();
        if first.get().turns.is_empty() {
            first.remove();
        }
        self.queued -= u64::from(popped.is_some());
        popped
    }

    /// Removes one task from its queue.
    ///
    /// # Panics
    /// If it is not there: that is a bug of the machine.
    pub(super) fn take(&mut self, priority: i32, job: JobId, index: u32) {
        let mut ring = self.queues.get_mut(&Reverse(priority));
        let was_there = ring.as_mut().is_some_and(|ring| ring.take(job, index));
        assert!(was_there, "{:?} leaves a queue that it is not in", job.task(index));
        self.queued -= 1;
        if ring.is_some_and(|ring| ring.turns.is_empty()) {
            self.queues.remove(&Reverse(priority));
        }
    }

    /// Removes the tasks of a job with this priority.
    pub(super) fn forget(&mut self, priority: i32, job: JobId) {
        let Some(ring) = self.queues.get_mut(&Reverse(priority)) else {
            return;
        };
        self.queued -= ring.forget(job) as u64;
        if ring.turns.is_empty() {
            self.queues.remove(&Reverse(priority));
        }
    }

    /// Moves tasks of a job to another priority, behind those that it has there already.
    pub(super) fn move_tasks(&mut self, job: JobId, from: i32, to: i32, moves: impl Fn(u32) -> bool) {
        let Some(ring) = self.queues.get_mut(&Reverse(from)) else { return };
        let Some(tasks) = ring.tasks.get_mut(&job) else { return };
        let (mut moved, kept): (VecDeque<u32>, VecDeque<u32>) =
            std::mem::take(tasks).into_iter().partition(|index| moves(*index));
        let is_drained = kept.is_empty();
        *tasks = kept;
        if is_drained {
            ring.forget(job);
        }
        if ring.turns.is_empty() {
            self.queues.remove(&Reverse(from));
        }
        if !moved.is_empty() {
            self.queues.entry(Reverse(to)).or_default().push(job, moved.make_contiguous());
        }
    }

    /// The tasks that wait in the queues or for a module.
    pub(super) fn waiting(&self) -> impl Iterator<Item = (JobId, u32)> {
        let queued = self.queues.values().flat_map(|ring| &ring.tasks);
        let queued = queued.flat_map(|(job, tasks)| tasks.iter().map(|index| (*job, *index)));
        let parked = self.parked.values().flatten();
        queued.chain(parked.flat_map(|(job, tasks)| tasks.iter().map(|index| (*job, *index))))
    }

    /// Issues on the broker that no worker has reported.
    pub(super) fn in_window(&self) -> u32 {
        self.window.len() as u32
    }

    /// Total size of the arguments in the window that this dispatcher has sent.
    pub(super) const fn window_bytes(&self) -> usize {
        self.window_bytes
    }

    /// Adds an issue of this task to the window. `bytes` is the size of its arguments.
    pub(super) fn enter_window(&mut self, task: TaskId, bytes: usize, now: Steady) {
        self.window.insert(task, Sent { seen: now, bytes });
        self.window_bytes += bytes;
    }

    /// Number of issues on the broker, including removed ones that will be handed out again.
    pub(super) fn out(&self) -> u32 {
        self.in_window() + self.removed
    }

    /// Counts an issue of the window whose message a policy of the broker has removed. At least `least` issues stay
    /// allowed.
    pub(super) fn remove(&mut self, least: u32, now: Steady) {
        self.removed += 1;
        self.allowance.reduce(self.out(), least, now);
    }

    /// A task whose message was removed is handed out again or withdrawn.
    pub(super) fn take_back(&mut self) {
        assert!(self.removed > 0, "a task that was not removed is taken back");
        self.removed -= 1;
    }

    pub(super) fn leave_window(&mut self, task: TaskId) {
        let sent = self.window.remove(&task);
        assert!(sent.is_some(), "{task:?} leaves a window that it has not entered");
        self.window_bytes -= sent.map_or(0, |sent| sent.bytes);
    }

    /// The issue of this task was confirmed or reported.
    pub(super) fn mark_seen(&mut self, task: TaskId, now: Steady) {
        if let Some(sent) = self.window.get_mut(&task) {
            sent.seen = now;
        }
    }

    /// The earliest time in the window at which an issue was last seen.
    pub(super) fn oldest_seen(&self) -> Option<Steady> {
        self.window.values().map(|sent| sent.seen).min()
    }

    /// The tasks whose issues have not been seen since `then`, sorted.
    pub(super) fn unseen_since(&self, then: Steady) -> Vec<TaskId> {
        let unseen = self.window.iter().filter(|(_, sent)| sent.seen < then);
        let mut unseen: Vec<TaskId> = unseen.map(|(task, _)| *task).collect();
        unseen.sort_unstable();
        unseen
    }

    pub(super) fn park(&mut self, need: Need, job: JobId, index: u32) {
        self.parked.entry(need).or_default().entry(job).or_default().push(index);
        self.parked_count += 1;
    }

    /// Removes and returns the tasks that wait for a worker with one of these.
    pub(super) fn unpark(&mut self, offers: impl Iterator<Item = Need>) -> Vec<(JobId, Vec<u32>)> {
        if self.parked.is_empty() {
            return Vec::new();
        }
        let jobs = offers.filter_map(|offer| self.parked.remove(&offer)).flatten();
        let jobs: Vec<(JobId, Vec<u32>)> = jobs.collect();
        self.parked_count -= jobs.iter().map(|(_, tasks)| tasks.len() as u64).sum::<u64>();
        jobs
    }

    /// Removes one task that waits for a worker with this.
    ///
    /// # Panics
    /// If it is not there: that is a bug of the machine.
    pub(super) fn take_parked(&mut self, need: &Need, job: JobId, index: u32) {
        let (mut was_there, mut jobs) = (false, self.parked.get_mut(need));
        if let Some(jobs) = &mut jobs
            && let Some(tasks) = jobs.get_mut(&job)
        {
            let found = tasks.iter().position(|task| *task == index);
            was_there = found.map(|at| tasks.remove(at)).is_some();
            if tasks.is_empty() {
                jobs.remove(&job);
            }
        }
        assert!(was_there, "{:?} is not among the parked tasks", job.task(index));
        self.parked_count -= 1;
        if jobs.is_some_and(|jobs| jobs.is_empty()) {
            self.parked.remove(need);
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::TaskKind;

    fn job(id: u128) -> JobId {
        JobId::new(Uuid::from_u128(id << 64))
    }

    fn filled() -> Pool {
        let mut pool = Pool::default();
        (0..4).for_each(|index| pool.push_all(0, job(1), &[index]));
        (0..2).for_each(|index| pool.push_all(0, job(2), &[index]));
        pool.push_all(5, job(3), &[0]);
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
    fn removing_a_task_keeps_the_others() {
        let mut pool = filled();
        pool.take(0, job(1), 2);
        pool.take(0, job(1), 0);
        pool.take(5, job(3), 0);
        pool.take(0, job(2), 0);
        pool.take(0, job(2), 1);
        pool.push_all(0, job(1), &[0]);
        let order: Vec<_> = std::iter::from_fn(|| pool.pop()).collect();
        assert_eq!(order, [(job(1), 1), (job(1), 3), (job(1), 0)]);
        assert!(pool.queues.is_empty() && pool.queued == 0);
    }

    #[test]
    fn moved_tasks_keep_their_order_and_leave_no_turn_behind() {
        let mut pool = filled();
        pool.move_tasks(job(1), 0, 5, |index| index != 1);
        pool.move_tasks(job(2), 0, -1, |_| true);
        pool.move_tasks(job(3), 0, 9, |_| true);
        let order: Vec<_> = std::iter::from_fn(|| pool.pop()).collect();
        assert_eq!(order, [(job(3), 0), (job(1), 0), (job(1), 2), (job(1), 3), (job(1), 1), (job(2), 0), (job(2), 1)]);
        assert!(pool.queues.is_empty() && pool.queued == 0);
    }

    #[test]
    #[should_panic(expected = "leaves a queue that it is not in")]
    fn removing_a_task_that_is_not_queued_panics() {
        filled().take(0, job(3), 0);
    }

    #[test]
    fn forgetting_a_job_removes_all_its_tasks() {
        let mut pool = filled();
        pool.forget(0, job(1));
        pool.forget(5, job(3));
        pool.forget(5, job(3));
        let order: Vec<_> = std::iter::from_fn(|| pool.pop()).collect();
        assert_eq!(order, [(job(2), 0), (job(2), 1)]);
        assert!(pool.queues.is_empty());
        let (x, y) = (Need::Module("x".into()), Need::Kind(TaskKind::Command));
        pool.park(x.clone(), job(1), 0);
        pool.park(y.clone(), job(1), 1);
        pool.park(y.clone(), job(2), 0);
        pool.take_parked(&y, job(1), 1);
        assert_eq!(pool.unpark([y].into_iter()), [(job(2), vec![0])]);
        assert_eq!(pool.parked_count, 1);
        pool.take_parked(&x, job(1), 0);
        assert!(pool.parked.is_empty() && pool.parked_count == 0);
    }
}
