//! The deterministic state machine: facts in, actions out.
//!
//! [`Machine`] contains every live job, which is a job that has not ended. Verbs (`submit`, `cancel`, `post_result`)
//! are requests of users, `handle_*` takes facts, and `poll_*` returns what has to be done next. Handling a fact is
//! idempotent, and a task or job that has ended never changes.

mod allowance;
mod approval;
mod arguments;
mod between_jobs;
mod cache;
mod cancel;
mod catalogue;
mod control;
mod delay;
mod downstream;
mod ended_reasons;
mod explain;
mod finish;
mod flights;
mod for_each;
mod gates;
mod hand_out;
mod handlers;
mod item_group;
mod items;
mod job_failure;
mod job_retry;
mod jobs;
mod kept_results;
mod leases;
mod live;
mod live_task;
mod module_defaults;
mod pause;
mod place;
mod pool;
mod priority;
mod recover;
mod remaining_work;
mod repair;
mod reports;
mod requests;
mod restore;
mod resubmit;
mod retry;
mod schedule;
mod schedules;
mod signal_waits;
mod signals;
mod stop;
mod sub_jobs;
mod sweep;
#[cfg(test)]
mod testing;
mod texts;
mod throughput;
mod timeouts;
mod timers;
mod trigger;
mod turn_budget;
mod types;
mod vanished;
mod wait;
mod waiting;
mod withdraw;
mod workers;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Range;
use std::sync::Arc;

use crate::action::Action;
use crate::job::Job;
use crate::job_details::PauseRecord;
use crate::state::{JobSnapshot, JobState, JobSummary, TaskState};
use crate::{JobId, Now, TaskId, Timestamp};

use between_jobs::{BetweenJobs, Descendants};
use flights::Flights;
use jobs::Jobs;
use kept_results::KeptResults;
use live::LiveJob;
use pool::Pools;
use schedules::Schedules;
use stop::Stops;
use timers::{Timer, Timers};
use turn_budget::TurnBudget;
use workers::Workers;

pub use approval::{Choice, ChoiceError};
pub use cancel::Handlers;
pub use control::{Cancel, Remark};
pub use ended_reasons::explain_ended;
pub use job_retry::{RetriedJob, Retry, RetryError};
pub(crate) use live::Owner;
pub use repair::{Repair, RepairError};
pub use schedules::{LiveScheduleView, ScheduleChange};
pub use signals::{Signal, SignalError, Signalled};
pub use sub_jobs::{MAXIMUM_SUB_JOB_BYTES, MAXIMUM_SUB_JOB_TASKS, MAXIMUM_SUB_JOBS};
pub use timeouts::MAXIMUM_PROGRESS;
pub use types::{
    ControlError, DeadLetter, OutOfBounds, Outcome, PostError, Posted, Published, Refused, Returned, Settings, Stats,
    Submitted, TaskResult, Update, Verdict, WorkerId, WorkerReport,
};
pub use workers::Heard;

/// A job that has just ended.
#[derive(Debug)]
pub struct EndedJob(LiveJob);

impl EndedJob {
    /// The id of the job.
    #[must_use]
    pub const fn id(&self) -> JobId {
        self.0.id
    }

    /// The number of tasks.
    #[must_use]
    pub const fn tasks(&self) -> usize {
        self.0.tasks.len()
    }

    /// Replaces the state of the job, for a state that cannot be stored.
    pub fn replace_state(&mut self, replacement: impl FnOnce(&JobState) -> JobState) {
        self.0.state = replacement(&self.0.state);
    }

    /// The final snapshot of the job.
    #[must_use]
    pub fn into_snapshot(self) -> JobSnapshot {
        self.0.into_snapshot()
    }
}

/// The state of a live job. Shares data with the machine.
#[derive(Debug)]
pub struct LiveView {
    id: JobId,
    job: Arc<Job>,
    state: JobState,
    /// The position and the state of each selected task whose state has changed at least once.
    tasks: Vec<(u32, Arc<TaskState>)>,
    waiting: Vec<(u32, String)>,
}

impl LiveView {
    /// The number of tasks of the job.
    #[must_use]
    pub fn tasks(&self) -> usize {
        self.job.tasks().len()
    }

    /// The snapshot of the job. Tasks that are not selected are shown as pending.
    #[must_use]
    pub fn into_snapshot(self) -> JobSnapshot {
        let mut tasks = TaskState::all_pending(self.tasks());
        let Self { id, job, state, tasks: seen, waiting } = self;
        for (index, task) in seen {
            tasks[index as usize] = task;
        }
        JobSnapshot { id, job, state, tasks, items: BTreeMap::new(), waiting }
    }
}

/// The state machine of the dispatcher.
#[derive(Debug)]
pub struct Machine {
    settings: Settings,
    jobs: Jobs,
    pools: Pools,
    workers: Workers,
    /// The timers. Leases have separate timers, because they do not expire by time alone.
    timers: Timers<Timer>,
    actions: Vec<Action>,
    /// Jobs that have ended since the last call of [`Machine::poll_ended`].
    ended: Vec<EndedJob>,
    live_tasks: u64,
    live_bytes: u64,
    stale: u64,
    /// Number of tasks that this turn may still process.
    budget: u32,
    /// Whether the windows have space for more tasks than this turn handed out.
    is_filling: bool,
    /// Whether handing out is suspended.
    is_held_back: bool,
    /// Issues of an earlier incarnation that the broker had not confirmed. They have to be published again.
    unconfirmed: VecDeque<(JobId, u32)>,
    /// Jobs with tasks that have to be ended in later turns.
    sweeping: Vec<JobId>,
    /// Tasks with items that have to be let into their pools, or given up, in later turns.
    advancing: Vec<(JobId, u32)>,
    /// Jobs whose tasks are being stopped.
    stops: Stops,
    paused_pools: BTreeMap<Arc<str>, PauseRecord>,
    /// What jobs cause in other jobs, until it is done.
    between_jobs: BetweenJobs,
    /// The number of sub-jobs, by the first job of their chains.
    descendants: BTreeMap<JobId, Descendants>,
    /// Restored tasks with sub-jobs.
    restored_parents: Vec<(JobId, u32)>,
    /// Tasks with a cache that are handed out or wait for an equal one.
    flights: Flights,
    kept_results: KeptResults,
    schedules: Schedules,
}

impl Machine {
    /// Creates a machine without jobs and without a link to the broker: see [`Machine::handle_link`].
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            kept_results: KeptResults::new(settings.max_kept_results, settings.max_kept_bytes),
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
            budget: remaining_work::MAXIMUM_TASKS_PER_TURN,
            is_filling: false,
            is_held_back: false,
            unconfirmed: VecDeque::new(),
            sweeping: Vec::new(),
            advancing: Vec::new(),
            stops: Stops::default(),
            paused_pools: BTreeMap::new(),
            between_jobs: BetweenJobs::default(),
            descendants: BTreeMap::new(),
            restored_parents: Vec::new(),
            flights: Flights::default(),
            schedules: Schedules::default(),
        }
    }

    /// Suspends or resumes handing out, which limits the number of publishes in progress.
    pub const fn hold_back(&mut self, is_held_back: bool) {
        self.is_held_back = is_held_back;
    }

    /// Hands out tasks within the windows, and moves all pending actions to `into`. One call does a bounded amount of
    /// work: see [`Machine::wants_turn`].
    pub fn poll_actions(&mut self, now: Now, into: &mut Vec<Action>) {
        self.end_lost_sub_jobs();
        self.sweep_on(now);
        self.is_filling = false;
        self.advance_on(now);
        self.settle_sub_jobs(now);
        // Each with a budget of its own, so that many tasks that are looked at do not keep others from being handed out.
        self.check_cache(TurnBudget::new(), now);
        if !self.is_held_back {
            self.fill_windows(TurnBudget::new(), now);
        }
        // Arguments that cannot be filled may have ended jobs.
        self.settle_sub_jobs(now);
        self.is_filling |= self.flights.is_checking();
        self.budget = remaining_work::MAXIMUM_TASKS_PER_TURN;
        if into.is_empty() {
            std::mem::swap(into, &mut self.actions);
        } else {
            into.append(&mut self.actions);
        }
    }

    /// The jobs that have ended since the last call. They are no longer live.
    pub fn poll_ended(&mut self) -> Vec<EndedJob> {
        std::mem::take(&mut self.ended)
    }

    /// The snapshot of a live job.
    #[must_use]
    pub fn job(&self, id: JobId) -> Option<JobSnapshot> {
        self.view(id).map(LiveView::into_snapshot)
    }

    /// A view of a live job. It is cheap also for a large job; [`LiveView::into_snapshot`] does the rest, on any
    /// thread.
    #[must_use]
    pub fn view(&self, id: JobId) -> Option<LiveView> {
        let job = self.jobs.find(id)?;
        Some(self.view_of(job, 0..job.tasks.len() as u32, 0..job.tasks.len() as u32))
    }

    /// A view with only these tasks and those that their arguments may refer to. The cost depends on the number of
    /// these tasks, not on the size of the job.
    #[must_use]
    pub fn view_part(&self, id: JobId, tasks: Range<u32>) -> Option<LiveView> {
        let job = self.jobs.find(id)?;
        let end = tasks.end.min(job.tasks.len() as u32);
        let tasks = tasks.start.min(end)..end;
        let upstream = tasks.clone().flat_map(|index| job.job.reads(index).into_owned());
        let in_view: BTreeSet<u32> = tasks.clone().chain(upstream).collect();
        Some(self.view_of(job, in_view, tasks))
    }

    /// A view with the states of the tasks `in_view`, and with the reasons why tasks of `explained` wait.
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

    /// The summary of a live job for listings.
    #[must_use]
    pub fn summary(&self, id: JobId) -> Option<JobSummary> {
        self.jobs.find(id).map(LiveJob::summary)
    }

    /// Whether there is a live job with this id.
    #[must_use]
    pub fn is_live(&self, id: JobId) -> bool {
        self.jobs.find(id).is_some()
    }

    /// The job and the position of a task, if its job is live.
    #[must_use]
    pub fn find_task(&self, task: TaskId) -> Option<(JobId, u32)> {
        self.jobs.find_task(task)
    }

    /// The pool of a task, if its job is live.
    #[must_use]
    pub fn pool_of(&self, task: TaskId) -> Option<&str> {
        let (id, index) = self.find_task(task)?;
        Some(self.jobs.job(id).spec(index).pool())
    }

    /// The live jobs, in no particular order.
    pub fn jobs(&self) -> impl Iterator<Item = JobSummary> + '_ {
        self.jobs.iter().map(LiveJob::summary)
    }

    /// The live workers and the times of their last messages.
    pub fn workers(&self) -> impl Iterator<Item = (&WorkerReport, Timestamp)> {
        self.workers.reports()
    }

    /// The number of tasks of live jobs, including ended tasks, and the approximate memory of these jobs in bytes.
    #[must_use]
    pub const fn live(&self) -> (u64, u64) {
        (self.live_tasks, self.live_bytes)
    }

    /// Statistics.
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
