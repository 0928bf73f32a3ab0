//! The deterministic heart: facts in, actions out.
//!
//! [`Machine`] holds every job that has not ended. Verbs (`submit`, `cancel`, `post_result`) are what users
//! want, `handle_*` is what happened, `poll_*` is what has to be done next. Handling the same fact twice
//! changes nothing the second time, and what has ended never changes.

mod catalogue;
mod delay;
mod downstream;
mod leases;
mod live;
mod pool;
mod reports;
mod requests;
mod restore;
mod schedule;
mod throughput;
mod types;
mod vanished;
mod waiting;
mod workers;

use std::collections::HashMap;
use std::sync::Arc;

use crate::action::Action;
use crate::id::Family;
use crate::state::{JobSnapshot, JobSummary};
use crate::{JobId, TaskId, Timestamp};

use delay::Delays;
use live::LiveJob;
use pool::Pools;
use workers::Workers;

pub(crate) use live::value_of;
pub use types::{
    ControlError, Outcome, PostError, Posted, Published, Refused, Returned, Settings, Stats, Submitted, TaskResult,
    Update, Verdict, WorkerId, WorkerReport,
};

/// A job that has just ended.
#[derive(Debug)]
pub struct EndedJob(LiveJob);

impl EndedJob {
    /// Its id.
    #[must_use]
    pub const fn id(&self) -> JobId {
        self.0.id
    }

    /// The job as it ended.
    #[must_use]
    pub fn into_snapshot(self) -> JobSnapshot {
        self.0.into_snapshot()
    }
}

/// Decides what Hub does next.
#[derive(Debug)]
pub struct Machine {
    settings: Settings,
    jobs: HashMap<JobId, LiveJob>,
    families: HashMap<Family, JobId>,
    pools: Pools,
    workers: Workers,
    delays: Delays,
    actions: Vec<Action>,
    /// Jobs that have ended since they were last asked for.
    ended: Vec<EndedJob>,
    live_tasks: u64,
    stale: u64,
}

impl Machine {
    /// A machine that knows no jobs, and has no link to the broker yet: see [`Machine::handle_link`].
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            workers: Workers::new(settings.lease, settings.lease_grace),
            settings,
            jobs: HashMap::new(),
            families: HashMap::new(),
            pools: Pools::default(),
            delays: Delays::default(),
            actions: Vec::new(),
            ended: Vec::new(),
            live_tasks: 0,
            stale: 0,
        }
    }

    /// Hands out tasks as far as there is room for them, and moves everything that is to be done into `into`.
    pub fn poll_actions(&mut self, now: Timestamp, into: &mut Vec<Action>) {
        self.fill_windows(now);
        if into.is_empty() {
            std::mem::swap(into, &mut self.actions);
        } else {
            into.append(&mut self.actions);
        }
    }

    /// The jobs that have ended since this was called last. They are live no more.
    pub fn poll_ended(&mut self) -> Vec<EndedJob> {
        std::mem::take(&mut self.ended)
    }

    /// A job that has not ended, as it stands.
    #[must_use]
    pub fn job(&self, id: JobId) -> Option<JobSnapshot> {
        let job = self.jobs.get(&id)?;
        Some(JobSnapshot {
            id,
            job: Arc::clone(&job.job),
            state: job.state.clone(),
            tasks: job.tasks.iter().map(|task| task.state().clone()).collect(),
            waiting: self.waiting_reasons(job),
        })
    }

    /// The line of a job that has not ended in a listing.
    #[must_use]
    pub fn summary(&self, id: JobId) -> Option<JobSummary> {
        self.jobs.get(&id).map(LiveJob::summary)
    }

    /// Whether a job of this id is here and has not ended.
    #[must_use]
    pub fn is_live(&self, id: JobId) -> bool {
        self.jobs.contains_key(&id)
    }

    /// The job and position of a task, if its job has not ended.
    #[must_use]
    pub fn find_task(&self, task: TaskId) -> Option<(JobId, u32)> {
        let id = *self.families.get(&task.family())?;
        let index = task.index_in(id)?;
        let job = self.jobs.get(&id)?;
        ((index as usize) < job.tasks.len()).then_some((id, index))
    }

    /// The jobs that have not ended, in no particular order.
    pub fn jobs(&self) -> impl Iterator<Item = JobSummary> + '_ {
        self.jobs.values().map(LiveJob::summary)
    }

    /// The live workers, and when each was last heard of.
    pub fn workers(&self) -> impl Iterator<Item = (&WorkerReport, Timestamp)> {
        self.workers.reports()
    }

    /// Figures.
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats {
            live_jobs: self.jobs.len() as u64,
            live_tasks: self.live_tasks,
            workers: self.workers.reports().count() as u64,
            in_flight: self.pools.in_flight() + self.workers.leased() as u64,
            ready: self.pools.ready(),
            stale: self.stale,
        }
    }
}
