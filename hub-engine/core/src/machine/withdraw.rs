//! The one way of a task out of where it is.

use super::Machine;
use super::live::LiveJob;
use super::place::Place;
use super::pool::Pools;
use super::timers::{Timer, Timers};
use super::workers::Workers;
use crate::JobId;

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
        Place::Resting | Place::Held => timers.stop(Timer::Rest(id, index)),
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
