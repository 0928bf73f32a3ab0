//! A machine under a simulated clock, and workers that the test controls.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]

pub mod cache;
pub mod schedules;
pub mod sub_jobs;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use hub_core::action::{Action, Assignment, Change, Notice};
use hub_core::cache::KeptResult;
use hub_core::digest::Digest;
use hub_core::job::{Job, Limits};
use hub_core::job_details::PauseRecord;
use hub_core::machine::{Cancel, Machine, Outcome, RetriedJob, Settings, TaskResult, Verdict, WorkerReport};
use hub_core::schedule::ScheduleSnapshot;
use hub_core::state::{JobSnapshot, TaskState};
use hub_core::{JobId, Json, Now, Steady, TaskStatus, Timestamp};

/// The manual's job.
pub const SUM_PRODUCT: &str = r#"{ "name": "sum_product",
  "tasks": [
    { "args": [1, 2], "name": "add" },
    { "depends": ["add"], "args": ["_add.data", 2], "name": "multiply_this", "task_name": "multiply" } ],
  "output": ["_multiply_this.data"] }"#;

/// A machine and its clock.
pub struct Hub {
    pub machine: Machine,
    pub now: Now,
    /// Ended jobs in their last stored state.
    pub ended: BTreeMap<JobId, JobSnapshot>,
    jobs: BTreeMap<JobId, JobSnapshot>,
    paused_pools: BTreeMap<Arc<str>, PauseRecord>,
    /// The results that are kept.
    pub kept_results: BTreeMap<Digest, KeptResult>,
    /// The schedules that are kept.
    pub schedules: BTreeMap<Arc<str>, ScheduleSnapshot>,
    settings: Settings,
}

pub fn id(number: u128) -> JobId {
    JobId::new(uuid::Uuid::from_u128(number << 64))
}

pub fn parse(text: &str) -> Arc<Job> {
    Arc::new(Job::parse(text, &Limits::default()).unwrap_or_else(|problems| panic!("{problems}")))
}

pub fn json(text: &str) -> Json {
    Json::parse(text).unwrap()
}

/// The actions in order as short texts, to compare complete lists.
pub fn told(actions: &[Action]) -> Vec<String> {
    let tell = |action: &Action| match action {
        Action::Persist(Change::JobAdded { .. }) => "keep job".to_owned(),
        Action::Persist(Change::TaskChanged { index, state, .. }) => {
            format!("keep task {index} {}", state.status)
        }
        Action::Persist(Change::JobChanged { state, .. }) => format!("keep job {}", state.status),
        Action::Persist(Change::JobRemoved { .. }) => "forget job".to_owned(),
        Action::Persist(Change::PoolChanged { pool, pause }) => format!("keep pool {pool} {}", pause.is_some()),
        Action::Persist(Change::DefinitionAdded { .. } | Change::AliasChanged { .. }) => "keep definition".to_owned(),
        Action::Persist(
            Change::ScheduleSet { .. } | Change::ScheduleChanged { .. } | Change::ScheduleRemoved { .. },
        ) => "keep schedule".to_owned(),
        Action::Start(start) => format!("start {} at {}", start.preparation.run.name, start.preparation.run.at),
        Action::Persist(Change::ResultKept { kept, .. }) => format!("keep result {}", kept.is_some()),
        Action::Publish(task) => format!("publish {} {}{}", task.task_name, task.args, task.issue.number),
        Action::Stop { issue, grace } => format!("stop {} in {} s", issue.number, grace.as_secs()),
        Action::Read { .. } => "read job".to_owned(),
        Action::Probe { pool } => format!("probe {pool}"),
        Action::Notify(Notice::Job { status, .. }) => format!("job is {status}"),
        Action::Notify(Notice::Task { name, status, .. }) => format!("{name} is {status}"),
    };
    actions.iter().map(tell).collect()
}

/// The first issue of a task, as a worker would report it.
pub fn first_issue(hub: &Hub, job: JobId, index: u32) -> Assignment {
    let stored = hub.stored(job);
    let spec = &stored.job.tasks()[index as usize];
    Assignment {
        issue: stored.tasks[index as usize].issue.unwrap().of(job.task(index)),
        job,
        name: spec.name().clone(),
        task_name: spec.module().clone(),
        attempt: stored.tasks[index as usize].attempt(),
        limits: None,
        awaits_defaults: false,
        last_progress: None,
        pool: spec.pool().clone(),
        args: json("[]"),
        kwargs: json("{}"),
        run: None,
        secrets: None,
        wants_content: false,
    }
}

/// The initial time of the clock.
const START: Now = Now { wall: Timestamp::from_millis(1_000_000), steady: Steady::from_millis(50_000) };

fn linked(settings: Settings) -> Machine {
    let mut machine = Machine::new(settings);
    machine.handle_link(true, START);
    machine
}

impl Hub {
    pub fn new() -> Self {
        Self::with(Settings::default())
    }

    pub fn with(settings: Settings) -> Self {
        Self {
            machine: linked(settings.clone()),
            settings,
            now: START,
            ended: BTreeMap::new(),
            jobs: BTreeMap::new(),
            paused_pools: BTreeMap::new(),
            kept_results: BTreeMap::new(),
            schedules: BTreeMap::new(),
        }
    }

    pub fn submit(&mut self, number: u128, text: &str) -> JobId {
        self.machine.submit(id(number), parse(text), self.now).unwrap();
        id(number)
    }

    /// Cancels a job.
    pub fn cancel(&mut self, id: JobId) {
        self.machine.cancel(id, Cancel::default(), self.now).unwrap();
    }

    /// Sets the wall clock.
    pub fn set_clock(&mut self, wall: Timestamp) {
        self.now.wall = wall;
    }

    /// Lets time pass, and reads all messages of workers.
    pub fn pass(&mut self, duration: Duration) {
        self.now = self.now.after(duration);
        if self.machine.poll_timeout().is_some_and(|due| due <= self.now.steady) {
            self.machine.handle_timeout(self.now);
        }
        self.machine.handle_heard(self.now.steady, self.now);
    }

    /// The duration until the next timer or lease is due.
    pub fn next_due(&self) -> Option<Duration> {
        let due = self.machine.poll_timeout().into_iter().chain(self.machine.poll_expiry()).min()?;
        Some(due.since(self.now.steady))
    }

    /// All pending actions. Changes are applied to the stored jobs.
    pub fn actions(&mut self) -> Vec<Action> {
        let mut actions = self.turn();
        let mut seen = 0;
        while self.machine.wants_turn() || actions[seen..].iter().any(|action| matches!(action, Action::Read { .. })) {
            seen = actions.len();
            actions.extend(self.turn());
        }
        actions
    }

    /// The actions of one turn.
    pub fn turn(&mut self) -> Vec<Action> {
        let mut actions = Vec::new();
        self.machine.poll_actions(self.now, &mut actions);
        for action in &actions {
            self.keep(action);
        }
        for action in &actions {
            if let Action::Read { task, job } = action {
                let before = self.ended.get(job).cloned();
                let before = before.and_then(|before| RetriedJob::of_sub_job(before, 12 << 20, self.now.wall));
                self.machine.continue_sub_job(*task, *job, before, self.now);
            }
        }
        actions
    }

    /// The tasks to hand out. Changes are stored, and other actions are dropped.
    pub fn handed_out(&mut self) -> Vec<Assignment> {
        let published = |action| match action {
            Action::Publish(assignment) => Some(*assignment),
            _ => None,
        };
        self.actions().into_iter().filter_map(published).collect()
    }

    pub fn result(&mut self, assignment: &Assignment, outcome: Outcome) -> Verdict {
        let result = TaskResult {
            progress: None,
            content: None,
            defaults: None,
            issue: assignment.issue,
            outcome,
            log: None,
            worker: "w1".into(),
            took: Duration::ZERO,
        };
        self.machine.handle_result(result, self.now)
    }

    pub fn succeed(&mut self, assignment: &Assignment, data: &str) -> Verdict {
        self.result(assignment, Outcome::Success { data: json(data) })
    }

    pub fn fail(&mut self, assignment: &Assignment, msg: &str) -> Verdict {
        self.result(assignment, Outcome::Failed { msg: msg.into(), error: None })
    }

    pub fn worker(&mut self, name: &str, modules: &[&str]) -> WorkerReport {
        let report = WorkerReport {
            progress: Vec::new(),
            contents: [].into(),
            defaults: [].into(),
            id: name.into(),
            host: "here".into(),
            pid: 1,
            pools: vec!["default".into()],
            slots: 2,
            running: 0,
            tasks: modules.iter().map(|module| (Arc::from(*module), None)).collect(),
            broken: BTreeMap::new(),
            allow: hub_core::TaskKinds::default(),
            shortage: None,
            held: Vec::new(),
            present: Vec::new(),
        };
        self.machine.handle_heartbeat(report.clone(), self.now);
        report
    }

    /// Changes what is stored of a job.
    pub fn restore_state(&mut self, id: JobId, state: hub_core::state::JobState) {
        self.jobs.get_mut(&id).unwrap().state = state;
    }

    /// Removes a job from the store.
    pub fn forget(&mut self, id: JobId) {
        self.jobs.remove(&id);
    }

    /// A job as stored.
    pub fn stored(&self, id: JobId) -> &JobSnapshot {
        self.ended.get(&id).or_else(|| self.jobs.get(&id)).expect("no such job was kept")
    }

    /// Kills the dispatcher, which loses unstored state. The next incarnation starts from the stored state.
    pub fn crash(&mut self) {
        self.crash_without_link();
        self.machine.handle_link(true, self.now);
    }

    /// Like `crash`. The next incarnation has other settings.
    pub fn crash_with(&mut self, settings: Settings) {
        self.settings = settings;
        self.crash();
    }

    /// Like `crash`. The next incarnation starts without the broker.
    pub fn crash_without_link(&mut self) {
        self.settings.incarnation += 1;
        self.machine = Machine::new(self.settings.clone());
        for (pool, pause) in &self.paused_pools {
            self.machine.restore_paused_pool(Arc::clone(pool), pause.clone());
        }
        for schedule in self.schedules.values() {
            self.machine.restore_schedule(schedule.clone(), self.now);
        }
        let kept = self.kept_results.iter().map(|(key, kept)| (*key, kept.clone())).collect();
        self.machine.restore_kept_results(kept, self.now);
        for (id, job) in &self.jobs {
            if !self.ended.contains_key(id) {
                let mut job = job.clone();
                // A store returns each state by itself.
                job.tasks.iter_mut().for_each(|state| *state = Arc::new(TaskState::clone(state)));
                self.machine.restore(job, self.now);
            }
        }
    }

    /// The current statuses of a live job's tasks, stored or not.
    pub fn statuses_now(&self, id: JobId) -> Vec<TaskStatus> {
        self.machine.job(id).unwrap().tasks.iter().map(|task| task.status).collect()
    }

    pub fn statuses(&self, id: JobId) -> Vec<TaskStatus> {
        self.stored(id).tasks.iter().map(|task| task.status).collect()
    }

    fn keep(&mut self, action: &Action) {
        let Action::Persist(change) = action else {
            return;
        };
        match change {
            Change::JobAdded { id, job, submitted_at } => {
                let snapshot = JobSnapshot {
                    id: *id,
                    job: Arc::clone(job),
                    state: hub_core::state::JobState::pending(*submitted_at),
                    tasks: TaskState::all_pending(job.tasks().len()),
                    items: BTreeMap::new(),
                    waiting: Vec::new(),
                };
                self.jobs.insert(*id, snapshot);
                self.ended.remove(id);
            }
            Change::TaskChanged { job, index, state } => {
                let snapshot = self.jobs.get_mut(job).unwrap();
                let kept = match snapshot.tasks.get_mut(*index as usize) {
                    Some(task) => task,
                    None => snapshot.items.entry(*index).or_insert_with(|| Arc::new(TaskState::pending())),
                };
                let (from, to) = (kept.status, state.status);
                assert!(!from.is_terminal() || *kept == *state, "an ended task changed: {from} → {to}");
                kept.clone_from(state);
            }
            Change::JobChanged { id, state } => {
                let kept = self.jobs.get_mut(id).unwrap();
                assert!(!kept.state.status.is_terminal(), "an ended job changed");
                kept.state = state.clone();
                if state.status.is_terminal() {
                    self.ended.insert(*id, kept.clone());
                }
            }
            Change::DefinitionAdded { .. } | Change::AliasChanged { .. } => {}
            Change::ScheduleSet { kept } => {
                let name = Arc::clone(kept.schedule.name());
                let state = self.schedules.get(&name).map(|known| Arc::clone(&known.state)).unwrap_or_default();
                self.schedules.insert(name, ScheduleSnapshot { kept: Arc::clone(kept), state });
            }
            Change::ScheduleChanged { name, state } => {
                self.schedules.get_mut(name).unwrap().state = Arc::clone(state);
            }
            Change::ScheduleRemoved { name } => drop(self.schedules.remove(name)),
            Change::JobRemoved { id } => drop(self.jobs.remove(id)),
            Change::PoolChanged { pool, pause: Some(pause) } => {
                self.paused_pools.insert(Arc::clone(pool), pause.clone());
            }
            Change::PoolChanged { pool, pause: None } => drop(self.paused_pools.remove(pool)),
            Change::ResultKept { key, kept: Some(kept) } => {
                self.kept_results.insert(*key, kept.clone());
            }
            Change::ResultKept { key, kept: None } => drop(self.kept_results.remove(key)),
        }
    }
}
