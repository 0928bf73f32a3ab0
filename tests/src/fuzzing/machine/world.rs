//! A machine with its clock, its issues, and a model of the store.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use hub_core::action::{Action, Assignment};
use hub_core::machine::{Machine, Outcome, Settings, TaskResult, Update, WorkerId, WorkerReport};
use hub_core::state::{JobSnapshot, TaskState};
use hub_core::{IssueId, JobId, JobStatus, Json, Now, Steady, TaskId, TaskKinds, TaskStatus, Timestamp};

use super::plan::{MODULES, POOLS};
use crate::fuzzing::ledger::{Ledger, is_out};
use crate::fuzzing::reports;

/// The start of the clock.
const START: Now = Now { wall: Timestamp::from_millis(1_000_000), steady: Steady::from_millis(10_000_000) };
/// Maximum number of rounds to end everything. Each round ends at least one task.
const MAX_ROUNDS: usize = 500;

/// A machine and what is around it.
pub(super) struct World {
    pub(super) machine: Machine,
    pub(super) now: Now,
    /// All issues that were ever published, in order.
    pub(super) issued: Vec<Assignment>,
    pub(super) ledger: Ledger,
    /// The ledger before the last turn. A crash can lose the changes of that turn.
    before: Ledger,
    settings: Settings,
    /// The issues published in this incarnation.
    published: BTreeSet<IssueId>,
    /// Results that the machine has accepted. They must be in the changes of the next turn.
    taken: BTreeMap<TaskId, (TaskStatus, Option<Json>)>,
    has_ended: bool,
}

impl World {
    pub(super) fn new() -> Self {
        // Small values, so that every limit is reached.
        let settings = Settings { window_floor: 2, window_factor: 1, crash_limit: 2, ..Settings::default() };
        let machine = Machine::new(settings.clone());
        let (ledger, before) = (Ledger::default(), Ledger::default());
        let mut world = Self {
            machine,
            now: START,
            issued: Vec::new(),
            ledger,
            before,
            settings,
            published: BTreeSet::new(),
            taken: BTreeMap::new(),
            has_ended: false,
        };
        world.machine.handle_link(true, START);
        world
    }

    /// The live job of a task, and the task's state.
    pub(super) fn live_task(&self, task: TaskId) -> Option<(JobSnapshot, Arc<TaskState>)> {
        let id = self.machine.jobs().map(|job| job.id).find(|id| id.family() == task.family())?;
        let snapshot = self.machine.job(id)?;
        let state = snapshot.tasks.get(task.index_in(id)? as usize)?.clone();
        Some((snapshot, state))
    }

    /// Whether a report of this issue is expected.
    pub(super) fn is_awaited(&self, issue: IssueId) -> bool {
        self.live_task(issue.task).is_some_and(|(_, state)| is_out(&state) && state.issue == Some(issue.issue()))
    }

    /// Whether the job of a task is being cancelled.
    pub(super) fn is_cancelling(&self, task: TaskId) -> bool {
        self.live_task(task).is_some_and(|(job, _)| job.state.status == JobStatus::Cancelling)
    }

    /// Adds a result that the machine has accepted.
    pub(super) fn expect(&mut self, task: TaskId, status: TaskStatus, data: Option<Json>) {
        self.taken.insert(task, (status, data));
    }

    /// Executes and checks all actions of the machine. Returns the number of changes and publishes.
    pub(super) fn turn(&mut self) -> usize {
        let mut actions = Vec::new();
        self.machine.poll_actions(self.now, &mut actions);
        self.before = self.ledger.clone();
        for action in &actions {
            match action {
                Action::Persist(change) => self.ledger.keep(change),
                Action::Publish(task) => self.check_publish(task),
                Action::Stop { issue, .. } => self.check_stop(*issue),
                Action::Read { job, .. } => panic!("no task runs {job:?}"),
                Action::Start(start) => panic!("there is no schedule: {start:?}"),
                Action::Probe { pool } => assert!(POOLS.contains(&&**pool), "{pool} was never named"),
                Action::Notify(_) => {}
            }
        }
        self.ledger.agree(&self.machine);
        for (task, (status, data)) in std::mem::take(&mut self.taken) {
            let job = self.ledger.job_of(task).unwrap_or_else(|| panic!("the job of {task:?} is not kept"));
            let state = &job.tasks[task.index_in(job.id).expect("a task of that job") as usize];
            // A launched task may have ended in the meantime.
            let is_overtaken = !status.is_terminal() && state.status.is_terminal();
            let is_as_reported = (state.status, &state.data) == (status, &data);
            assert!(is_overtaken || is_as_reported, "{task:?} is not as was reported, {status} {data:?}: {state:?}");
            self.has_ended |= job.state.status.is_terminal();
        }
        actions.iter().filter(|action| matches!(action, Action::Persist(_) | Action::Publish(_))).count()
    }

    fn check_publish(&mut self, task: &Assignment) {
        let live = self.live_task(task.issue.task);
        let (job, state) = live.unwrap_or_else(|| panic!("{:?} goes out, and its job has ended", task.issue.task));
        assert_eq!((state.status, state.issue), (TaskStatus::Submitted, Some(task.issue.issue())), "{:?}", task.issue);
        assert!(!state.confirmed, "{:?} goes out again though the broker has it", task.issue.task);
        assert!(self.published.insert(task.issue), "{:?} goes out twice", task.issue.task);
        if task.issue.incarnation == self.settings.incarnation {
            assert_eq!(job.state.status, JobStatus::Running, "{:?} is handed out", task.issue.task);
            assert!(self.machine.paused_pools().all(|(pool, _)| *pool != task.pool), "{} is paused", task.pool);
        }
        let spec = &job.job.tasks()[task.issue.task.index_in(task.job).expect("a task of its job") as usize];
        assert_eq!((&task.name, &task.task_name, &task.pool), (spec.name(), spec.module(), spec.pool()));
        let is_filled = |before: &u32| job.tasks[*before as usize].status == TaskStatus::Success;
        assert!(spec.upstream().iter().all(is_filled), "{:?} goes out too early", task.issue.task);
        assert!(task.args.to_value().is_array() && task.kwargs.to_value().is_object());
        self.issued.push(task.clone());
    }

    fn check_stop(&self, issue: IssueId) {
        let is_needed = self.is_awaited(issue) && !self.is_cancelling(issue.task);
        assert!(!is_needed, "{issue:?} is to be stopped, and its result is awaited");
    }

    /// Advances the time. Before the next timer, the machine must have nothing to do.
    pub(super) fn pass(&mut self, duration: Duration) {
        self.now = self.now.after(duration);
        self.machine.handle_timeout(self.now);
        self.machine.handle_heard(self.now.steady, self.now);
        let next = self.machine.poll_timeout().into_iter().chain(self.machine.poll_expiry()).min();
        assert!(next.is_none_or(|next| next > self.now.steady), "{next:?} was to be handled at {:?}", self.now);
    }

    /// Replaces the process after a crash, which may lose the changes of the last turn.
    pub(super) fn crash(&mut self, loses_last_turn: bool) {
        if loses_last_turn {
            self.ledger = self.before.clone();
        }
        self.taken.clear();
        self.published.clear();
        self.settings.incarnation += 1;
        self.machine = Machine::new(self.settings.clone());
        for (pool, pause) in self.ledger.paused_pools() {
            self.machine.restore_paused_pool(Arc::clone(pool), pause.clone());
        }
        for job in self.ledger.unfinished() {
            self.machine.restore(job.clone(), self.now);
        }
        self.turn();
        self.machine.handle_link(true, self.now);
    }

    /// The outcome of an issue on a worker.
    pub(super) fn result(task: &Assignment, outcome: Outcome, worker: &WorkerId, took: Duration) -> TaskResult {
        TaskResult { worker: Arc::clone(worker), took, ..reports::result(task, outcome) }
    }

    /// Runs without faults until all jobs have ended. Returns whether there was a job.
    pub(super) fn conclude(mut self) -> bool {
        self.machine.handle_link(true, self.now);
        POOLS.iter().for_each(|pool| self.machine.resume_pool(&Arc::from(*pool), self.now));
        let jobs: Vec<JobId> = self.machine.jobs().map(|job| job.id).collect();
        for id in jobs {
            assert_eq!(self.machine.resume_job(id, self.now), Ok(()));
        }
        for _ in 0..MAX_ROUNDS {
            self.machine.handle_heartbeat(helper(), self.now);
            self.turn();
            if self.machine.jobs().next().is_none() {
                break;
            }
            self.end_what_runs();
            // Longer than the delay of a task, and shorter than a lease.
            self.pass(Duration::from_secs(5));
        }
        let left: Vec<JobSnapshot> = self.machine.jobs().filter_map(|job| self.machine.job(job.id)).collect();
        assert!(left.is_empty(), "these jobs do not end: {left:#?}");
        self.pass(Duration::from_secs(3600));
        self.turn();
        let stats = self.machine.stats();
        assert_eq!((stats.live_jobs, stats.live_tasks, stats.workers, stats.in_flight, stats.ready), (0, 0, 0, 0, 0));
        assert_eq!(
            (self.machine.poll_timeout(), self.machine.poll_expiry()),
            (None, None),
            "nothing is left to wait for"
        );
        self.has_ended
    }

    /// Lets all published issues succeed and posts the results of all launched tasks.
    fn end_what_runs(&mut self) {
        let ids: Vec<JobId> = self.machine.jobs().map(|job| job.id).collect();
        for task in self.issued.clone() {
            if self.is_awaited(task.issue) {
                self.machine.handle_result(reports::null(&task), self.now);
                self.expect(task.issue.task, TaskStatus::Success, Some(Json::null()));
            }
        }
        for id in ids {
            let Some(job) = self.machine.job(id) else { continue };
            for (state, index) in job.tasks.iter().zip(0..) {
                if state.launched {
                    let update = Update { status: TaskStatus::Success, data: None, msg: None };
                    self.machine.post_result(id.task(index), update, self.now).expect("it was launched");
                    self.expect(id.task(index), TaskStatus::Success, Some(Json::null()));
                }
            }
        }
    }
}

/// A worker with all pools and modules.
fn helper() -> WorkerReport {
    reports::helper(POOLS.map(Arc::from), MODULES.map(Arc::from), TaskKinds::default())
}
