//! Issues that the broker has lost: their queue was purged or deleted, or the whole broker was wiped.
//!
//! An issue in its pool's window gives signs of life: that the broker confirms it, and that the heartbeats of a
//! worker name it. Where the signs stop for a lease, the shell is asked how many messages wait in the pool's queue
//! and among the results. What gave no sign while both were empty for a lease is nowhere. It is handed out again,
//! as a new issue: should the old one turn up after all, its result is stale. From then on emptiness and silence are
//! measured anew, so that what is lost again is noticed again.

use std::sync::Arc;

use super::Machine;
use crate::action::Action;
use crate::{Steady, TaskId};

impl Machine {
    /// When a pool wants to be looked into next.
    pub(super) fn next_probe(&self) -> Option<Steady> {
        self.pools.iter().filter_map(|(_, pool)| pool.probe_due).min().filter(|_| self.workers.is_link_up())
    }

    /// Asks for the depth of queues whose issues have been silent.
    pub(super) fn probe(&mut self, now: Steady) {
        if !self.workers.is_link_up() {
            return;
        }
        let lease = self.settings.lease;
        for (name, pool) in self.pools.iter_mut() {
            if pool.probe_due.is_none_or(|due| due > now) {
                continue;
            }
            match pool.oldest_sign() {
                None => (pool.probe_due, pool.empty_since) = (None, None),
                Some(sign) if sign.after(lease) > now => pool.probe_due = Some(sign.after(lease)),
                Some(_) => {
                    pool.probe_due = Some(now.after(lease / 2));
                    self.actions.push(Action::Probe { pool: Arc::clone(name) });
                }
            }
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
