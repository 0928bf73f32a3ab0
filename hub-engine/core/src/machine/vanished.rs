//! Issues that the broker has lost: their queue was purged or deleted, or the whole broker was wiped.
//!
//! An issue in its pool's window gives signs of life: that the broker confirms it, and that the heartbeats of a
//! worker name it. Where the signs stop for a lease, the shell is asked how many messages wait in the pool's queue
//! and among the results. What gave no sign while both were empty for a lease is nowhere. It is handed out again,
//! as a new issue: should the old one turn up after all, its result is stale. From then on emptiness and silence are
//! measured anew, so that what is lost again is noticed again.

use std::sync::Arc;

use super::Machine;
use super::timers::Timer;
use crate::action::Action;
use crate::{Steady, TaskId};

impl Machine {
    /// An issue of this task is on its way. If nothing is heard of it, the queue is looked into after a lease.
    pub(super) fn enter_window(&mut self, name: &Arc<str>, task: TaskId, bytes: usize, now: Steady) {
        let pool = self.pools.get_mut(name);
        pool.enter_window(task, bytes, now);
        if pool.probe_due.is_none() {
            let due = now.after(self.settings.lease);
            pool.probe_due = Some(due);
            self.timers.set(Timer::Probe(Arc::clone(name)), due);
        }
    }

    /// The link is there: queues are looked into at the moments that were set before.
    pub(super) fn set_probes(&mut self) {
        for (name, pool) in self.pools.iter() {
            if let Some(due) = pool.probe_due {
                self.timers.set(Timer::Probe(Arc::clone(name)), due);
            }
        }
    }

    /// Asks for the depth of a pool's queue where its issues have been silent. Without a link it cannot be asked for.
    pub(super) fn probe(&mut self, name: &Arc<str>, now: Steady) {
        let (lease, is_link_up) = (self.settings.lease, self.workers.is_link_up());
        let Some(pool) = self.pools.existing(name) else { return };
        if !is_link_up || pool.probe_due.is_none_or(|due| due > now) {
            return;
        }
        pool.probe_due = match pool.oldest_sign() {
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

    /// The broker's answer to a question asked at `asked`: the number of messages in a pool's queue and among the results.
    /// Returns how many issues are held to be lost.
    pub fn handle_depth(&mut self, pool: &str, ready: u64, asked: Steady) -> usize {
        // A sign may have been sent and not been read yet: silence is known up to what has been read.
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
        let silent: Vec<TaskId> = pool.silent_since(since).collect();
        let mut lost = 0;
        for task in silent {
            let Some((id, index)) = self.find_task(task) else { continue };
            // What is not confirmed is still being published.
            if self.jobs.job(id).task(index).state().confirmed {
                self.put_back(id, index);
                self.enqueue(id, index);
                lost += 1;
            }
        }
        lost
    }
}
