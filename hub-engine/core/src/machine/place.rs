//! Where the machine has a task, and the one way out of there.

use super::Machine;
use super::live::LiveJob;
use super::pool::Pools;
use super::timers::{Timer, Timers};
use super::workers::Workers;
use crate::JobId;

/// Where the machine has a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Waits for other tasks, or is on its way from one place to another.
    Blocked,
    /// In its pool's queue.
    Queued,
    /// Waits for a worker that has its module.
    Parked,
    /// Waits for a moment to pass.
    Resting,
    /// The same, since a policy of the broker has removed its message.
    Removed,
    /// On the broker or with a worker, in its pool's window.
    Window,
    /// Held by the lease of the worker that its state names.
    Leased,
    /// Launched; awaits its result from outside.
    Launched,
    /// Ended.
    Ended,
}

impl Place {
    /// Whether an issue of the task is on the broker or with a worker.
    pub(super) const fn is_out(self) -> bool {
        matches!(self, Self::Window | Self::Leased)
    }
}

impl Machine {
    /// Takes a task out of wherever it is: see [`withdraw`].
    pub(super) fn withdraw(&mut self, id: JobId, index: u32) -> Place {
        withdraw(self.jobs.job_mut(id), index, &mut self.pools, &mut self.workers, &mut self.timers)
    }
}

/// Takes a task out of wherever it is, with everything that it occupies there. It is `Blocked` from then on; the caller
/// ends it or puts it into another place. Returns where it was.
///
/// # Panics
/// Where the task waits in its pool and its job is not being cancelled. Queues give up all tasks of a job at once.
pub(super) fn withdraw(
    job: &mut LiveJob,
    index: u32,
    pools: &mut Pools,
    workers: &mut Workers,
    timers: &mut Timers<Timer>,
) -> Place {
    let (id, task) = (job.id, job.id.task(index));
    let place = std::mem::replace(&mut job.task_mut(index).place, Place::Blocked);
    let spec = job.spec(index);
    match place {
        Place::Blocked | Place::Launched => {}
        Place::Queued => {
            assert!(job.cancelled, "{task:?} is taken out of a queue, and its job goes on");
            pools.get_mut(spec.pool()).forget(spec.priority(), id);
        }
        Place::Parked => {
            assert!(job.cancelled, "{task:?} is taken from the parked ones, and its job goes on");
            pools.get_mut(spec.pool()).forget_parked(spec.module(), id);
        }
        Place::Resting => timers.stop(Timer::Rest(id, index)),
        Place::Removed => {
            timers.stop(Timer::Rest(id, index));
            pools.get_mut(spec.pool()).take_back();
        }
        Place::Window => pools.get_mut(spec.pool()).leave_window(task),
        Place::Leased => {
            let worker = job.task(index).state().worker.as_ref();
            workers.release(worker.expect("a lease is a worker's"), task);
        }
        Place::Ended => panic!("{task:?} is taken out of its end"),
    }
    place
}
