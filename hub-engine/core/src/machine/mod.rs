//! The deterministic heart: facts in, actions out.
//!
//! [`Machine`] holds every job that has not ended. Verbs (`submit`, `cancel`, `post_result`) are what users
//! want, `handle_*` is what happened, `poll_*` is what has to be done next. Handling the same fact twice
//! changes nothing the second time, and what has ended never changes.

mod allowance;
mod catalogue;
mod delay;
mod downstream;
mod finish;
mod hand_out;
mod jobs;
mod leases;
mod live;
mod place;
mod pool;
mod remainder;
mod reports;
mod requests;
mod restore;
mod sweep;
#[cfg(test)]
mod testing;
mod texts;
mod throughput;
mod timers;
mod trigger;
mod types;
mod vanished;
mod waiting;
mod withdraw;
mod workers;

use std::collections::{BTreeSet, VecDeque};
use std::ops::Range;
use std::sync::Arc;

use crate::action::Action;
use crate::job::Job;
use crate::state::{JobSnapshot, JobState, JobSummary, TaskState};
use crate::{JobId, Now, TaskId, Timestamp};

use jobs::Jobs;
use live::LiveJob;
use pool::Pools;
use timers::{Timer, Timers};
use workers::Workers;

pub(crate) use live::value_of;
pub use types::{
    ControlError, DeadLetter, OutOfBounds, Outcome, PostError, Posted, Published, Refused, Returned, Settings, Stats,
    Submitted, TaskResult, Update, Verdict, WorkerId, WorkerReport,
};
pub use workers::Heard;

/// A job that has just ended.
#[derive(Debug)]
pub struct EndedJob(LiveJob);

impl EndedJob {
    /// Its id.
    #[must_use]
    pub const fn id(&self) -> JobId {
        self.0.id
    }

    /// How many tasks it has.
    #[must_use]
    pub const fn tasks(&self) -> usize {
        self.0.tasks.len()
    }

    /// Has it end otherwise: for what cannot be kept as it is.
    pub fn replace_state(&mut self, replacement: impl FnOnce(&JobState) -> JobState) {
        self.0.state = replacement(&self.0.state);
    }

    /// The job as it ended.
    #[must_use]
    pub fn into_snapshot(self) -> JobSnapshot {
        self.0.into_snapshot()
    }
}

/// A job that has not ended, as it stands. Shares what it can with the machine.
#[derive(Debug)]
pub struct LiveView {
    id: JobId,
    job: Arc<Job>,
    state: JobState,
    /// The tasks that are in view and that something has happened to: position and state.
    tasks: Vec<(u32, Arc<TaskState>)>,
    waiting: Vec<(u32, String)>,
}

impl LiveView {
    /// How many tasks the job has.
    #[must_use]
    pub fn tasks(&self) -> usize {
        self.job.tasks().len()
    }

    /// The job. Tasks that are not in view are pending.
    #[must_use]
    pub fn into_snapshot(self) -> JobSnapshot {
        let mut tasks = TaskState::all_pending(self.tasks());
        let Self { id, job, state, tasks: seen, waiting } = self;
        for (index, task) in seen {
            tasks[index as usize] = task;
        }
        JobSnapshot { id, job, state, tasks, waiting }
    }
}

/// Decides what Hub does next.
#[derive(Debug)]
pub struct Machine {
    settings: Settings,
    jobs: Jobs,
    pools: Pools,
    workers: Workers,
    /// What is due by the clock. Leases have timers of their own, since they do not expire by the clock alone.
    timers: Timers<Timer>,
    actions: Vec<Action>,
    /// Jobs that have ended since they were last asked for.
    ended: Vec<EndedJob>,
    live_tasks: u64,
    live_bytes: u64,
    stale: u64,
    /// How many more tasks this turn looks at.
    effort: u32,
    /// Windows have room for more than one turn hands out.
    is_filling: bool,
    /// Nothing is handed out for the time being.
    is_held_back: bool,
    /// Issues of an earlier incarnation that the broker had not confirmed: they are to be published again.
    unconfirmed: VecDeque<(JobId, u32)>,
    /// Jobs with tasks that are still to be ended.
    sweeping: Vec<JobId>,
}

impl Machine {
    /// A machine that knows no jobs, and has no link to the broker yet: see [`Machine::handle_link`].
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            workers: Workers::new(settings.lease, settings.lease_grace),
            settings,
            jobs: Jobs::default(),
            pools: Pools::default(),
            timers: Timers::default(),
            actions: Vec::new(),
            ended: Vec::new(),
            live_tasks: 0,
            live_bytes: 0,
            stale: 0,
            effort: remainder::TASKS,
            is_filling: false,
            is_held_back: false,
            unconfirmed: VecDeque::new(),
            sweeping: Vec::new(),
        }
    }

    /// Whether nothing is to be handed out for the time being, since enough is on its way to the broker.
    pub const fn hold_back(&mut self, is_held_back: bool) {
        self.is_held_back = is_held_back;
    }

    /// Hands out tasks as far as there is room for them, and moves everything that is to be done into `into`. One call
    /// does a bounded part of what there is: see [`Machine::wants_turn`].
    pub fn poll_actions(&mut self, now: Now, into: &mut Vec<Action>) {
        self.sweep_on(now.wall);
        self.is_filling = false;
        if !self.is_held_back {
            self.fill_windows(now);
        }
        self.effort = remainder::TASKS;
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
        self.view(id).map(LiveView::into_snapshot)
    }

    /// The same at once, however large it is: the rest is to be done elsewhere.
    #[must_use]
    pub fn view(&self, id: JobId) -> Option<LiveView> {
        let job = self.jobs.find(id)?;
        Some(self.view_of(job, 0..job.tasks.len() as u32, 0..job.tasks.len() as u32))
    }

    /// The same with only these tasks, and those that their arguments may refer to. The effort depends on the number of
    /// these tasks, not on the size of the job.
    #[must_use]
    pub fn view_part(&self, id: JobId, tasks: Range<u32>) -> Option<LiveView> {
        let job = self.jobs.find(id)?;
        let end = tasks.end.min(job.tasks.len() as u32);
        let tasks = tasks.start.min(end)..end;
        let upstream = tasks.clone().flat_map(|index| job.spec(index).upstream().iter().copied());
        let in_view: BTreeSet<u32> = tasks.clone().chain(upstream).collect();
        Some(self.view_of(job, in_view, tasks))
    }

    /// The states of the tasks `in_view`, and why those of `explained` wait.
    fn view_of(&self, job: &LiveJob, in_view: impl IntoIterator<Item = u32>, explained: Range<u32>) -> LiveView {
        let shared = |index| Some((index, job.task(index).shared()?));
        LiveView {
            id: job.id,
            job: Arc::clone(&job.job),
            state: job.state.clone(),
            tasks: in_view.into_iter().filter_map(shared).collect(),
            waiting: self.waiting_reasons(job, explained),
        }
    }

    /// The line of a job that has not ended in a listing.
    #[must_use]
    pub fn summary(&self, id: JobId) -> Option<JobSummary> {
        self.jobs.find(id).map(LiveJob::summary)
    }

    /// Whether a job of this id is here and has not ended.
    #[must_use]
    pub fn is_live(&self, id: JobId) -> bool {
        self.jobs.find(id).is_some()
    }

    /// The job and position of a task, if its job has not ended.
    #[must_use]
    pub fn find_task(&self, task: TaskId) -> Option<(JobId, u32)> {
        self.jobs.find_task(task)
    }

    /// The pool of a task, if its job has not ended.
    #[must_use]
    pub fn pool_of(&self, task: TaskId) -> Option<&str> {
        let (id, index) = self.find_task(task)?;
        Some(self.jobs.job(id).spec(index).pool())
    }

    /// The jobs that have not ended, in no particular order.
    pub fn jobs(&self) -> impl Iterator<Item = JobSummary> + '_ {
        self.jobs.iter().map(LiveJob::summary)
    }

    /// The live workers, and when each was last heard of.
    pub fn workers(&self) -> impl Iterator<Item = (&WorkerReport, Timestamp)> {
        self.workers.reports()
    }

    /// How many tasks live jobs have, ended ones included, and how much memory those jobs take, about.
    #[must_use]
    pub const fn live(&self) -> (u64, u64) {
        (self.live_tasks, self.live_bytes)
    }

    /// Figures.
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats {
            live_jobs: self.jobs.len() as u64,
            live_tasks: self.live_tasks,
            live_bytes: self.live_bytes,
            workers: self.workers.reports().count() as u64,
            in_flight: self.pools.in_flight() + self.workers.leased() as u64,
            ready: self.pools.ready(),
            stale: self.stale,
        }
    }
}
