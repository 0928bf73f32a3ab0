//! A model of the store that applies the machine's changes, and the properties of its contents.

use std::collections::BTreeMap;
use std::sync::Arc;

use hub_core::action::Change;
use hub_core::job::TriggerRule;
use hub_core::job_details::PauseRecord;
use hub_core::machine::Machine;
use hub_core::state::{JobSnapshot, JobState, TaskState};
use hub_core::{JobId, TaskId, TaskStatus};

/// The stored jobs and paused pools.
#[derive(Clone, Default)]
pub(super) struct Ledger {
    jobs: BTreeMap<JobId, JobSnapshot>,
    paused_pools: BTreeMap<Arc<str>, PauseRecord>,
}

impl Ledger {
    /// A stored job.
    pub(super) fn job(&self, id: JobId) -> Option<&JobSnapshot> {
        self.jobs.get(&id)
    }

    /// The stored job of a task.
    pub(super) fn job_of(&self, task: TaskId) -> Option<&JobSnapshot> {
        self.jobs.values().find(|job| job.id.family() == task.family())
    }

    /// The jobs that have not ended.
    pub(super) fn unfinished(&self) -> impl Iterator<Item = &JobSnapshot> {
        self.jobs.values().filter(|job| !job.state.status.is_terminal())
    }

    /// The paused pools.
    pub(super) const fn paused_pools(&self) -> &BTreeMap<Arc<str>, PauseRecord> {
        &self.paused_pools
    }

    /// Applies a change.
    pub(super) fn keep(&mut self, change: &Change) {
        match change {
            Change::JobAdded { id, job, submitted_at } => {
                let state = JobState::pending(*submitted_at);
                let tasks = TaskState::all_pending(job.tasks().len());
                let snapshot = JobSnapshot {
                    id: *id,
                    job: Arc::clone(job),
                    state,
                    tasks,
                    items: BTreeMap::new(),
                    waiting: Vec::new(),
                };
                assert!(self.jobs.insert(*id, snapshot).is_none(), "{id:?} was added twice");
            }
            Change::TaskChanged { job, index, state } => self.change_task(*job, *index, state),
            Change::JobChanged { id, state } => self.change_job(*id, state),
            Change::JobRemoved { id } => panic!("{id:?} was removed without a request"),
            Change::PoolChanged { pool, pause: Some(pause) } => {
                assert!(self.paused_pools.insert(Arc::clone(pool), pause.clone()).is_none(), "{pool} was paused twice");
            }
            Change::PoolChanged { pool, pause: None } => {
                assert!(self.paused_pools.remove(pool).is_some(), "{pool} was resumed twice");
            }
            Change::ResultKept { .. } => panic!("no job of this target has a cache"),
            Change::DefinitionAdded { .. } | Change::AliasChanged { .. } => panic!("this target has no definitions"),
            Change::ScheduleSet { .. } | Change::ScheduleChanged { .. } | Change::ScheduleRemoved { .. } => {
                panic!("this target has no schedules")
            }
        }
    }

    fn change_task(&mut self, id: JobId, index: u32, state: &Arc<TaskState>) {
        let job = self.jobs.get_mut(&id).unwrap_or_else(|| panic!("a task of {id:?} changed, which was not added"));
        assert!(!job.state.status.is_terminal(), "task {index} of {id:?} changed after its job had ended");
        let before = &job.tasks[index as usize];
        let is_legal = before.status == state.status || before.status.may_become(state.status);
        assert!(is_legal, "task {index} of {id:?} went from {} to {}", before.status, state.status);
        assert!(!before.status.is_terminal(), "task {index} of {id:?} changed after its end");
        assert_eq!(state.ended_at.is_some(), state.status.is_terminal(), "task {index} of {id:?}: {state:?}");
        assert!(state.issue >= before.issue, "task {index} of {id:?} forgot its issues");
        if matches!(state.status, TaskStatus::Submitted | TaskStatus::Running) {
            let task = &job.job.tasks()[index as usize];
            // Another rule lets it run after other ends.
            let waits = task.upstream().iter().filter(|_| task.trigger_rule() == TriggerRule::AllSuccess);
            let open = waits.filter(|before| job.tasks[**before as usize].counts_as() != TaskStatus::Success).count();
            assert_eq!(open, 0, "task {index} of {id:?} runs before what it waits for");
        }
        job.tasks[index as usize] = Arc::clone(state);
    }

    fn change_job(&mut self, id: JobId, state: &JobState) {
        let job = self.jobs.get_mut(&id).unwrap_or_else(|| panic!("{id:?} changed, which was not added"));
        let before = job.state.status;
        // Other fields may change, such as the first failed task.
        let stays = before == state.status && !before.is_terminal();
        assert!(stays || before.may_become(state.status), "{id:?} went from {before} to {}", state.status);
        if state.status.is_terminal() {
            let open = job.tasks.iter().filter(|task| !task.status.is_terminal()).count();
            assert_eq!(open, 0, "{id:?} ended before its tasks");
        }
        job.state = state.clone();
    }

    /// Checks that the machine and the store agree, so that a crash at this time loses nothing.
    pub(super) fn agree(&self, machine: &Machine) {
        assert_eq!(self.unfinished().count(), machine.jobs().count(), "jobs that have not ended");
        let (mut out, mut could_run, mut tasks) = (0, 0, 0);
        for kept in self.unfinished() {
            let live = machine.job(kept.id).unwrap_or_else(|| panic!("{:?} was lost", kept.id));
            assert_eq!(kept.state, live.state);
            assert_eq!(kept.tasks.len(), live.tasks.len());
            for (kept, live) in kept.tasks.iter().zip(&live.tasks) {
                assert_eq!(kept, live);
            }
            tasks += live.tasks.len() as u64;
            out += live.tasks.iter().filter(|task| is_out(task)).count() as u64;
            could_run += (0..live.tasks.len()).filter(|index| could_run_now(&live, *index)).count() as u64;
        }
        assert!(machine.paused_pools().eq(&self.paused_pools), "the paused pools");
        let stats = machine.stats();
        assert_eq!(stats.live_jobs, self.unfinished().count() as u64);
        assert_eq!(stats.live_tasks, tasks);
        assert_eq!(stats.in_flight, out, "issues on the broker or under a lease");
        // A task that is delayed is not in the ready queue.
        assert!(stats.ready <= could_run, "{} tasks are ready, {could_run} could run", stats.ready);
    }
}

/// Whether an issue of the task is on the broker or with a worker.
pub(super) fn is_out(task: &TaskState) -> bool {
    matches!(task.status, TaskStatus::Submitted | TaskStatus::Running) && !task.launched
}

fn could_run_now(job: &JobSnapshot, index: usize) -> bool {
    let has_succeeded = |before: &u32| job.tasks[*before as usize].status == TaskStatus::Success;
    job.tasks[index].status == TaskStatus::Pending && job.job.tasks()[index].upstream().iter().all(has_succeeded)
}
