//! Long tasks: who runs them, and what becomes of them when that worker is not heard of any more.

use std::sync::Arc;
use std::time::Duration;

use super::Machine;
use super::place::Place;
use super::timers::Timer;
use super::types::{WorkerId, WorkerReport};
use super::workers::{Heard, LostIssue};
use crate::action::Action;
use crate::state::ErrorKind;
use crate::{IssueId, JobId, Now, Steady, TaskStatus};

impl Machine {
    /// A worker runs these and holds a lease on them.
    pub fn handle_started(&mut self, worker: &WorkerId, held: &[IssueId], now: Now) {
        for issue in held {
            self.handle_running(worker, *issue, Duration::ZERO, now);
        }
    }

    /// The same for one task that has run for `ran`: it began that much earlier.
    pub fn handle_running(&mut self, worker: &WorkerId, issue: IssueId, ran: Duration, now: Now) {
        if let Ok((id, index)) = self.awaited(issue) {
            self.lease(id, index, issue, worker, ran, now);
        }
    }

    fn lease(&mut self, id: JobId, index: u32, issue: IssueId, worker: &WorkerId, ran: Duration, now: Now) {
        if self.jobs.job(id).task(index).place != Place::Window {
            // Known already; or a second worker has it from the broker, and inherits it if the first is lost.
            return;
        }
        self.withdraw(id, index);
        self.workers.hold(worker, issue, now);
        let job = self.jobs.job_mut(id);
        let live = job.task_mut(index);
        live.place = Place::Leased;
        let state = live.state_mut();
        state.worker = Some(Arc::clone(worker));
        state.started_at = Some(now.wall.before(ran)).max(state.submitted_at);
        job.set_status(index, TaskStatus::Running, &mut self.actions);
        job.persist_task(index, &mut self.actions);
    }

    /// A worker says that it lives, what it has, and what it holds.
    pub fn handle_heartbeat(&mut self, report: WorkerReport, now: Now) -> Heard {
        let (worker, pools) = (Arc::clone(&report.id), report.pools.clone());
        let (held, present) = (report.held.clone(), report.present.clone());
        let heard = self.workers.report(report, now);
        if heard != Heard::Taken {
            return heard;
        }
        for issue in held {
            match self.awaited(issue) {
                // The report that it was started may still be on its way.
                Ok((id, index)) => self.lease(id, index, issue, &worker, Duration::ZERO, now),
                // No result is expected: it was cancelled, lost or settled from outside while the worker could
                // not be told, or has just ended; then the order to stop it meets nothing.
                Err(_) => self.actions.push(Action::Stop(issue)),
            }
        }
        for issue in present {
            if let Ok((id, index)) = self.awaited(issue) {
                self.pools.get_mut(self.jobs.job(id).spec(index).pool()).sign(issue.task, now.steady);
            }
        }
        for name in &pools {
            let pool = self.pools.get_mut(name);
            pool.unroutable = false;
            for (id, tasks) in pool.unpark(self.workers.modules_of(&worker)) {
                self.enqueue_all(id, &tasks);
            }
        }
        heard
    }

    /// A worker has left. What it holds may still have a result on its way, so its leases run out by themselves.
    pub fn handle_worker_left(&mut self, worker: &WorkerId) {
        self.workers.leave(worker);
    }

    /// The dispatcher has or has not a connection to the broker. Without one no worker can be heard of, and no
    /// lease runs out.
    pub fn handle_link(&mut self, up: bool, now: Now) {
        self.workers.set_link(up, now.steady);
        // Workers that could not be heard could give no sign.
        for (_, pool) in self.pools.iter_mut() {
            pool.empty_since = None;
        }
        if up {
            self.set_probes();
        }
    }

    /// When [`Machine::handle_timeout`] wants to be called next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Steady> {
        self.timers.next_timeout()
    }

    /// When the next lease runs out, unless its worker is heard of before. From then on the shell has to find out whether
    /// everything that workers sent has been read: see [`Machine::handle_heard`].
    #[must_use]
    pub fn poll_expiry(&self) -> Option<Steady> {
        self.workers.next_expiry()
    }

    /// Everything that workers sent up to `until` has been read. Leases that had run out by then are lost.
    ///
    /// That time has passed is not enough for a lease to be lost. The dispatcher may have been stopped, or held up by a
    /// long turn, while the heartbeats that renew its leases were waiting for it.
    pub fn handle_heard(&mut self, until: Steady, now: Now) {
        for lost in self.workers.expire(until) {
            for issue in lost.held {
                self.lose(issue, lost.died, now);
            }
        }
    }

    /// Time has passed: queues may have to be looked into, and rests may be over.
    pub fn handle_timeout(&mut self, now: Now) {
        for timer in self.timers.take_due(now.steady) {
            match timer {
                Timer::Rest(id, index) => self.end_rest(id, index, now),
                Timer::Probe(pool) => self.probe(&pool, now.steady),
            }
        }
    }

    /// A task has rested, and is handed out again; or it was held for as long as it may be.
    fn end_rest(&mut self, id: JobId, index: u32, now: Now) {
        match self.jobs.find(id).map(|job| job.task(index).place) {
            Some(Place::Resting | Place::Removed) => {
                self.withdraw(id, index);
                self.enqueue(id, index);
            }
            Some(Place::Held) => self.end_hold(id, index, now),
            _ => {}
        }
    }

    /// A worker's lease on an issue has run out.
    fn lose(&mut self, issue: LostIssue, died: bool, now: Now) {
        let LostIssue { issue, heir } = issue;
        let Ok((id, index)) = self.awaited(issue) else {
            return;
        };
        let job = self.jobs.job_mut(id);
        let state = job.task_mut(index).state_mut();
        state.deaths += u32::from(died);
        let deaths = state.deaths;
        if deaths >= self.settings.crash_limit {
            let msg = format!("{deaths} workers were lost while they ran the task");
            return self.fail(id, index, ErrorKind::WorkerLost, msg, now);
        }
        if let Some(heir) = heir {
            self.workers.hold(&heir, issue, now);
            state.worker = Some(heir);
            job.persist_task(index, &mut self.actions);
        } else {
            self.put_back(id, index);
            self.enqueue(id, index);
        }
    }
}
