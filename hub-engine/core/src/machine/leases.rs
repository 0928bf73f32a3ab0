//! Leases of workers on long tasks, and what happens when a lease expires.

use std::sync::Arc;
use std::time::Duration;

use super::Machine;
use super::place::Place;
use super::timers::Timer;
use super::types::{WorkerId, WorkerReport};
use super::workers::{Heard, LostIssue};
use crate::action::Action;
use crate::job::Timeouts;
use crate::state::ErrorKind;
use crate::{IssueId, JobId, Now, Steady, TaskStatus};

impl Machine {
    /// A worker has started these issues and holds a lease on them.
    pub fn handle_started(&mut self, worker: &WorkerId, held: &[IssueId], now: Now) {
        for issue in held {
            self.handle_running(worker, *issue, Duration::ZERO, now);
        }
    }

    /// A worker has been running an issue for `ran` and holds a lease on it.
    pub fn handle_running(&mut self, worker: &WorkerId, issue: IssueId, ran: Duration, now: Now) {
        if let Ok((id, index)) = self.awaited(issue) {
            self.lease(id, index, issue, worker, ran, now);
        }
    }

    fn lease(&mut self, id: JobId, index: u32, issue: IssueId, worker: &WorkerId, ran: Duration, now: Now) {
        let has_settled = self.settle_by_report(id, index, worker);
        let task = self.jobs.job(id).task(index);
        if task.place != Place::Window {
            // The lease is known, or a second worker has received the issue. It takes over if the first worker is lost.
            let began = task.state().started_at.filter(|_| task.place == Place::Leased);
            if has_settled {
                self.jobs.job(id).persist_task(index, &mut self.actions);
                began.into_iter().for_each(|began| self.watch_attempt(id, index, began, now));
            }
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
        let began = state.started_at.unwrap_or(now.wall);
        job.set_status(index, TaskStatus::Running, &mut self.actions);
        self.note_started(id, index);
        self.jobs.job(id).persist_task(index, &mut self.actions);
        self.watch_attempt(id, index, began, now);
    }

    /// A heartbeat with the modules of a worker, the issues that it holds, and those that it has received.
    pub fn handle_heartbeat(&mut self, mut report: WorkerReport, now: Now) -> Heard {
        let (worker, pools) = (Arc::clone(&report.id), report.pools.clone());
        let progress = std::mem::take(&mut report.progress);
        let (held, present) = (report.held.clone(), report.present.clone());
        let is_new = !self.workers.is_known(&worker);
        let heard = self.workers.report(report, now);
        if heard != Heard::Taken {
            return heard;
        }
        if is_new {
            self.tell_of_stops(&pools, now.steady);
        }
        for issue in held {
            match self.awaited(issue) {
                // The report `started` may not have arrived yet.
                Ok((id, index)) => {
                    self.lease(id, index, issue, &worker, Duration::ZERO, now);
                    // The request to stop it may not have arrived.
                    self.stop_again(id, index, now.steady);
                }
                // No result is expected. The task was cancelled, lost or ended by a posted result while the worker was
                // unreachable. Or it has just ended; then the stop has no effect.
                Err(_) => self.actions.push(Action::Stop { issue, grace: Timeouts::GRACE }),
            }
        }
        self.note_progress(&worker, progress);
        for issue in present {
            if let Ok((id, index)) = self.awaited(issue) {
                self.pools.get_mut(self.jobs.job(id).spec(index).pool()).mark_seen(issue.task, now.steady);
                self.stop_again(id, index, now.steady);
            }
        }
        for name in &pools {
            let pool = self.pools.get_mut(name);
            pool.unroutable = false;
            for (id, tasks) in pool.unpark(self.workers.offers_of(&worker)) {
                self.enqueue_all(id, &tasks);
            }
        }
        heard
    }

    /// A worker has left. Results of its issues may still arrive, so its leases expire as usual.
    pub fn handle_worker_left(&mut self, worker: &WorkerId) {
        self.workers.leave(worker);
    }

    /// The connection to the broker has been opened or lost. Without it heartbeats cannot arrive, so no lease expires.
    pub fn handle_link(&mut self, up: bool, now: Now) {
        if up && !self.workers.is_link_up() {
            self.extend_stops(now.steady);
        }
        self.workers.set_link(up, now.steady);
        // Heartbeats could not arrive while the link was down.
        for (_, pool) in self.pools.iter_mut() {
            pool.empty_since = None;
        }
        if up {
            self.serve_schedules(true, now);
            self.set_probes();
        }
    }

    /// The time at which [`Machine::handle_timeout`] must be called next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Steady> {
        self.timers.next_timeout()
    }

    /// The time at which the next lease expires unless it is renewed, or a stop waits for fewer tasks. From then on the shell has to find out whether
    /// all messages of workers have been read: see [`Machine::handle_heard`].
    #[must_use]
    pub fn poll_expiry(&self) -> Option<Steady> {
        let stop = self.stops.next_timeout().filter(|_| self.workers.is_link_up());
        self.workers.next_expiry().into_iter().chain(stop).min()
    }

    /// All messages that workers sent up to `until` have been read. Leases whose deadline was before `until` expire.
    ///
    /// A lease does not expire by time alone. The dispatcher may have been stopped or delayed by a long turn while the
    /// heartbeats that renew the leases were waiting in the queue.
    pub fn handle_heard(&mut self, until: Steady, now: Now) {
        for lost in self.workers.expire(until) {
            for issue in lost.held {
                self.lose(issue, lost.died, now);
            }
        }
        self.advance_stops(until, now);
    }

    /// Executes the timers that are due.
    pub fn handle_timeout(&mut self, now: Now) {
        for timer in self.timers.take_due(now.steady) {
            match timer {
                Timer::Rest(id, index) => self.end_rest(id, index, now),
                Timer::ToStart(id, index) => self.end_wait_for_start(id, index, now),
                Timer::Recall(id, index) => self.fail_unstarted(id, index, now),
                Timer::ToClose(id, index) => self.end_schedule(id, index, now),
                Timer::Attempt(id, index) => self.end_long_attempt(id, index, now),
                Timer::Probe(pool) => self.probe(&pool, now.steady),
                Timer::Start(id) => self.start_job(id, now),
                Timer::Deadline(id) => self.end_at_deadline(id, now),
                Timer::Handlers(id) => self.end_handlers_at_deadline(id, now),
                Timer::Schedules => self.run_schedules(now),
                Timer::Postponed(name) => self.start_postponed(&name, now),
            }
        }
    }

    /// The delay of a task is over: it becomes ready again. Or its hold is over, and it fails. Or its wait is over.
    fn end_rest(&mut self, id: JobId, index: u32, now: Now) {
        match self.jobs.find(id).map(|job| job.task(index).place) {
            Some(Place::Resting | Place::Removed) => {
                self.withdraw(id, index);
                self.admit(id, index, now);
            }
            Some(Place::Waiting) => self.end_wait(id, index, now),
            Some(Place::Held) => self.end_hold(id, index, now),
            _ => {}
        }
    }

    /// A worker's lease on an issue has expired.
    fn lose(&mut self, issue: LostIssue, died: bool, now: Now) {
        let LostIssue { issue, successor } = issue;
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
        if let Some(successor) = successor {
            self.workers.hold(&successor, issue, now);
            state.worker = Some(successor);
            job.persist_task(index, &mut self.actions);
            self.watch_attempt(id, index, now.wall, now);
        } else {
            self.hand_out_again(id, index, now);
        }
    }
}
