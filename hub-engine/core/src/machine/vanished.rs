//! Issues that the broker has lost: their queue was purged or deleted, or the whole broker was wiped.
//!
//! An issue in the window of its pool is seen when the broker confirms it and when a heartbeat of a worker names it. If
//! an issue has not been seen for one lease period, the shell is asked for the number of messages in the queue of the
//! pool and among the results. An issue that has not been seen while both were empty for one lease period is lost. Its
//! task is handed out again as a new issue; if the old issue reappears, its result is stale. Then the measurement
//! starts again, so that a second loss is noticed too.

use std::sync::Arc;

use super::Machine;
use super::timers::Timer;
use crate::action::Action;
use crate::{Steady, TaskId};

impl Machine {
    /// Adds an issue of this task to the window of its pool, and sets the timer to query the depth of the queue after
    /// one lease period.
    pub(super) fn enter_window(&mut self, name: &Arc<str>, task: TaskId, bytes: usize, now: Steady) {
        let pool = self.pools.get_mut(name);
        pool.enter_window(task, bytes, now);
        if pool.probe_due.is_none() {
            let due = now.after(self.settings.lease);
            pool.probe_due = Some(due);
            self.timers.set(Timer::Probe(Arc::clone(name)), due);
        }
    }

    /// The link is up: sets the timers to query queues again, with their previous deadlines.
    pub(super) fn set_probes(&mut self) {
        for (name, pool) in self.pools.iter() {
            if let Some(due) = pool.probe_due {
                self.timers.set(Timer::Probe(Arc::clone(name)), due);
            }
        }
    }

    /// Queries the depth of a pool's queue if an issue has not been seen for one lease period. Requires the link.
    pub(super) fn probe(&mut self, name: &Arc<str>, now: Steady) {
        let (lease, is_link_up) = (self.settings.lease, self.workers.is_link_up());
        let Some(pool) = self.pools.existing(name) else { return };
        if !is_link_up || pool.probe_due.is_none_or(|due| due > now) {
            return;
        }
        pool.probe_due = match pool.oldest_seen() {
            None => {
                pool.empty_since = None;
                None
            }
            Some(sign) if sign.after(lease) > now => Some(sign.after(lease)),
            Some(_) => {
                self.actions.push(Action::Probe { pool: Arc::clone(name) });
                Some(now.after(lease / 2))
            }
        };
        if let Some(due) = pool.probe_due {
            self.timers.set(Timer::Probe(Arc::clone(name)), due);
        }
    }

    /// The answer of the broker to a query sent at `asked`: the number of messages in a pool's queue and among the
    /// results. Returns the number of lost issues.
    pub fn handle_depth(&mut self, pool: &str, ready: u64, asked: Steady) -> usize {
        // Heartbeats may have been sent and not been read yet, so only the time up to the last read message counts.
        let (lease, known) = (self.settings.lease, asked.min(self.workers.heard_until()));
        let Some(pool) = self.pools.existing(pool) else {
            return 0;
        };
        if ready > 0 {
            pool.empty_since = None;
            return 0;
        }
        let since = *pool.empty_since.get_or_insert(asked);
        if since.after(lease) > known {
            return 0;
        }
        pool.empty_since = Some(asked);
        let unseen = pool.unseen_since(since);
        let mut lost = 0;
        for task in unseen {
            let Some((id, index)) = self.find_task(task) else { continue };
            // An issue that is not confirmed is still being published. One that is being stopped is not needed again.
            let job = self.jobs.job(id);
            if job.task(index).state().confirmed && !job.cancelled {
                self.put_back(id, index);
                self.enqueue(id, index);
                lost += 1;
            }
        }
        lost
    }
}
