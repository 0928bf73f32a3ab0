//! A machine with its clock, its issues, and a model of the store.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use hub_core::action::{Action, Assignment};
use hub_core::details::RepairAction;
use hub_core::machine::{Choice, Machine, Repair, RetriedJob, Settings, Signal, Update, WorkerReport};
use hub_core::state::TaskState;
use hub_core::{IssueId, JobId, Json, Now, Steady, TaskId, TaskKinds, TaskStatus, Timestamp};

use super::plan::{CHOICES, MODULES, POOLS, SIGNAL};
use super::store::Store;
use crate::fuzzing::reports;

/// The start of the clock.
const START: Now = Now { wall: Timestamp::from_millis(1_000_000), steady: Steady::from_millis(10_000_000) };
/// Maximum number of rounds to end everything.
const MAX_ROUNDS: usize = 500;
/// Maximum size of a value.
const VALUE_LIMIT: usize = 1 << 20;

/// A machine and what is around it.
pub(super) struct World {
    pub(super) machine: Machine,
    pub(super) now: Now,
    /// All issues that were ever published, in order.
    pub(super) issued: Vec<Assignment>,
    pub(super) store: Store,
    /// The store before the last turn. A crash can lose the changes of that turn.
    before: Store,
    settings: Settings,
    /// The issues published in this incarnation.
    published: BTreeSet<IssueId>,
}

impl World {
    pub(super) fn new() -> Self {
        // Small values, so that every limit is reached.
        let settings =
            Settings { window_floor: 2, window_factor: 1, crash_limit: 2, max_kept_results: 3, ..Settings::default() };
        let mut machine = Machine::new(settings.clone());
        machine.handle_link(true, START);
        let (store, before) = (Store::default(), Store::default());
        Self { machine, now: START, issued: Vec::new(), store, before, settings, published: BTreeSet::new() }
    }

    /// The state of a task or an item of a live job. The machine shows no states of items, so theirs are the stored ones.
    pub(super) fn state_of(&self, task: TaskId) -> Option<Arc<TaskState>> {
        let (id, index) = self.machine.find_task(task)?;
        let (live, stored) = (self.machine.job(id)?, self.store.jobs.get(&id));
        live.tasks.get(index as usize).or_else(|| stored?.items.get(&index)).cloned()
    }

    /// Whether a report of this issue is expected.
    pub(super) fn is_awaited(&self, issue: IssueId) -> bool {
        let is_out =
            |state: &TaskState| matches!(state.status, TaskStatus::Submitted | TaskStatus::Running) && !state.launched;
        self.state_of(issue.task).is_some_and(|state| is_out(&state) && state.issue == Some(issue.issue()))
    }

    /// Executes all actions of the machine, until it has no more.
    pub(super) fn turn(&mut self) {
        loop {
            let mut actions = Vec::new();
            self.machine.poll_actions(self.now, &mut actions);
            self.before = self.store.clone();
            let mut reads = false;
            for action in &actions {
                if let Action::Persist(change) = action {
                    self.store.keep(change);
                }
            }
            self.store.agree(&self.machine);
            for action in &actions {
                match action {
                    Action::Publish(task) => self.note_publish(task),
                    Action::Read { task, job } => {
                        reads = true;
                        let ended = self.store.jobs.get(job).cloned();
                        let before = ended.and_then(|ended| RetriedJob::of_sub_job(ended, VALUE_LIMIT, self.now.wall));
                        self.machine.continue_sub_job(*task, *job, before, self.now);
                    }
                    Action::Start(_) => panic!("this target has no schedules"),
                    Action::Persist(_) | Action::Stop { .. } | Action::Probe { .. } | Action::Notify(_) => {}
                }
            }
            if !reads && !self.machine.wants_turn() {
                return;
            }
        }
    }

    fn note_publish(&mut self, task: &Assignment) {
        let state = self.state_of(task.issue.task);
        let state = state.unwrap_or_else(|| panic!("{:?} goes out, and is not live", task.issue.task));
        assert_eq!((state.status, state.issue), (TaskStatus::Submitted, Some(task.issue.issue())), "{:?}", task.issue);
        assert!(self.published.insert(task.issue), "{:?} goes out twice", task.issue.task);
        self.issued.push(task.clone());
    }

    /// Advances the time. A timer may set another one that is due at once, but not for ever.
    pub(super) fn pass(&mut self, duration: Duration) {
        self.now = self.now.after(duration);
        for _ in 0..3 {
            self.machine.handle_timeout(self.now);
            self.machine.handle_heard(self.now.steady, self.now);
            let next = self.machine.poll_timeout().into_iter().chain(self.machine.poll_expiry()).min();
            if next.is_none_or(|next| next > self.now.steady) {
                return;
            }
        }
        panic!("a timer is due again and again at {:?}", self.now);
    }

    /// Replaces the process after a crash, which may lose the changes of the last turn.
    pub(super) fn crash(&mut self, loses_last_turn: bool) {
        if loses_last_turn {
            self.store = self.before.clone();
        }
        self.published.clear();
        self.settings.incarnation += 1;
        self.machine = Machine::new(self.settings.clone());
        for (pool, pause) in &self.store.paused_pools {
            self.machine.restore_paused_pool(Arc::clone(pool), pause.clone());
        }
        let kept = self.store.kept_results.iter().map(|(key, kept)| (*key, kept.clone())).collect();
        self.machine.restore_kept_results(kept, self.now);
        for job in self.store.unfinished() {
            self.machine.restore(job.clone(), self.now);
        }
        self.turn();
        self.machine.handle_link(true, self.now);
    }

    /// The live jobs, in the order of their ids.
    pub(super) fn jobs(&self) -> BTreeSet<JobId> {
        self.machine.jobs().map(|job| job.id).collect()
    }

    /// The live tasks and items.
    pub(super) fn tasks(&self) -> Vec<(TaskId, Arc<TaskState>)> {
        let jobs = self.jobs().into_iter().filter_map(|id| self.machine.job(id));
        jobs.flat_map(|job| {
            let id = job.id;
            let items = self.store.jobs.get(&id).map(|job| job.items.clone()).unwrap_or_default();
            let items = items.into_iter().map(move |(index, state)| (id.task(index), state));
            job.tasks.into_iter().zip(0..).map(move |(state, index)| (id.task(index), state)).chain(items)
        })
        .collect()
    }

    /// Runs with workers and operators until all jobs have ended. Returns whether one of them has.
    pub(super) fn conclude(mut self) -> bool {
        self.machine.handle_link(true, self.now);
        POOLS.iter().for_each(|pool| self.machine.resume_pool(&Arc::from(*pool), self.now));
        for _ in 0..MAX_ROUNDS {
            self.machine.handle_heartbeat(helper(), self.now);
            self.turn();
            let jobs = self.jobs();
            if jobs.is_empty() {
                break;
            }
            for id in jobs {
                let _ = self.machine.resume_job(id, self.now);
                let _ = self.machine.signal(id, signal(), self.now);
            }
            self.end_what_is_open();
            // Longer than a delay, and shorter than a lease.
            self.pass(Duration::from_secs(5));
        }
        let left: Vec<_> = self.machine.jobs().filter_map(|job| self.machine.job(job.id)).collect();
        assert!(left.is_empty(), "these jobs do not end: {left:#?}");
        self.pass(Duration::from_secs(24 * 3600));
        self.turn();
        let stats = self.machine.stats();
        assert_eq!((stats.live_jobs, stats.live_tasks, stats.workers, stats.in_flight, stats.ready), (0, 0, 0, 0, 0));
        assert_eq!(
            (self.machine.poll_timeout(), self.machine.poll_expiry()),
            (None, None),
            "nothing is left to wait for"
        );
        self.store.jobs.values().any(|job| job.state.status.is_terminal())
    }

    /// Lets all published issues succeed, posts the results of launched tasks, answers questions, and skips what is held.
    fn end_what_is_open(&mut self) {
        for task in self.issued.clone() {
            if self.is_awaited(task.issue) {
                self.machine.handle_result(reports::null(&task), self.now);
            }
        }
        for (id, state) in self.tasks() {
            if state.launched {
                let update = Update { status: TaskStatus::Success, data: None, msg: None };
                let _ = self.machine.post_result(id, update, self.now);
            }
            if state.details.as_deref().is_some_and(|details| details.held_until.is_some()) {
                let repair = Repair { action: RepairAction::Skip, data: None, by: None, reason: None };
                let _ = self.machine.repair(id, repair, self.now);
            }
            let _ = self.machine.choose(id, choice(0), self.now);
        }
    }
}

/// The signal that tasks wait for.
pub(super) fn signal() -> Signal {
    Signal { name: SIGNAL.into(), data: Json::null(), key: None, by: None, broadcast: false }
}

/// An answer to an approval.
pub(super) fn choice(number: usize) -> Choice {
    Choice { choice: CHOICES[number % CHOICES.len()].into(), input: Json::null(), by: None }
}

/// A worker with all pools and modules.
pub(super) fn helper() -> WorkerReport {
    reports::helper(POOLS.map(Arc::from), MODULES.map(Arc::from), TaskKinds::all())
}
