//! A model of the store that applies the machine's changes.

use std::collections::BTreeMap;
use std::sync::Arc;

use hub_core::action::Change;
use hub_core::cache::KeptResult;
use hub_core::details::TaskDetails;
use hub_core::digest::Digest;
use hub_core::job_details::PauseRecord;
use hub_core::machine::Machine;
use hub_core::state::{JobSnapshot, JobState, TaskState};
use hub_core::{JobId, TaskStatus};

/// What is stored.
#[derive(Clone, Default)]
pub(super) struct Store {
    pub(super) jobs: BTreeMap<JobId, JobSnapshot>,
    pub(super) paused_pools: BTreeMap<Arc<str>, PauseRecord>,
    pub(super) kept_results: BTreeMap<Digest, KeptResult>,
}

impl Store {
    /// The jobs that have not ended.
    pub(super) fn unfinished(&self) -> impl Iterator<Item = &JobSnapshot> {
        self.jobs.values().filter(|job| !job.state.status.is_terminal())
    }

    /// Applies a change.
    pub(super) fn keep(&mut self, change: &Change) {
        match change {
            Change::JobAdded { id, job, submitted_at } => {
                let snapshot = JobSnapshot {
                    id: *id,
                    job: Arc::clone(job),
                    state: JobState::pending(*submitted_at),
                    tasks: TaskState::all_pending(job.tasks().len()),
                    items: BTreeMap::new(),
                    waiting: Vec::new(),
                };
                assert!(self.jobs.insert(*id, snapshot).is_none(), "{id:?} was added twice");
            }
            Change::TaskChanged { job, index, state } => self.change_task(*job, *index, state),
            Change::JobChanged { id, state } => self.change_job(*id, state),
            Change::JobRemoved { id } => panic!("{id:?} was removed without a request"),
            Change::PoolChanged { pool, pause: Some(pause) } => {
                self.paused_pools.insert(Arc::clone(pool), pause.clone());
            }
            Change::PoolChanged { pool, pause: None } => drop(self.paused_pools.remove(pool)),
            Change::ResultKept { key, kept: Some(kept) } => drop(self.kept_results.insert(*key, kept.clone())),
            Change::ResultKept { key, kept: None } => drop(self.kept_results.remove(key)),
            Change::DefinitionAdded { .. } | Change::AliasChanged { .. } => panic!("this target has no definitions"),
            Change::ScheduleSet { .. } | Change::ScheduleChanged { .. } | Change::ScheduleRemoved { .. } => {
                panic!("this target has no schedules")
            }
        }
    }

    fn change_task(&mut self, id: JobId, index: u32, state: &Arc<TaskState>) {
        let job = self.jobs.get_mut(&id).unwrap_or_else(|| panic!("a task of {id:?} changed, which was not added"));
        assert!(!job.state.status.is_terminal(), "task {index} of {id:?} changed after its job had ended");
        let before = match job.tasks.get_mut(index as usize) {
            Some(before) => before,
            None => job.items.entry(index).or_insert_with(|| Arc::new(TaskState::pending())),
        };
        let is_legal = before.status == state.status || before.status.may_become(state.status);
        // A task that a retry keeps never ran.
        let is_kept = state.details.as_deref().is_some_and(|details| details.rare().kept_from.is_some());
        assert!(is_legal || is_kept, "task {index} of {id:?} went from {} to {}", before.status, state.status);
        assert!(!before.status.is_terminal(), "task {index} of {id:?} changed after its end");
        assert_eq!(state.ended_at.is_some(), state.status.is_terminal(), "task {index} of {id:?}: {state:?}");
        *before = Arc::clone(state);
    }

    fn change_job(&mut self, id: JobId, state: &JobState) {
        let job = self.jobs.get_mut(&id).unwrap_or_else(|| panic!("{id:?} changed, which was not added"));
        let before = job.state.status;
        let stays = before == state.status && !before.is_terminal();
        assert!(stays || before.may_become(state.status), "{id:?} went from {before} to {}", state.status);
        if state.status.is_terminal() {
            let open = job.tasks.iter().chain(job.items.values()).filter(|task| !task.status.is_terminal()).count();
            assert_eq!(open, 0, "{id:?} ended before its tasks");
        }
        job.state = state.clone();
    }

    /// Checks that the machine and the store agree, so that a crash at this time loses nothing.
    pub(super) fn agree(&self, machine: &Machine) {
        assert_eq!(self.unfinished().count(), machine.jobs().count(), "jobs that have not ended");
        for kept in self.unfinished() {
            let id = kept.id;
            let live = machine.job(id).unwrap_or_else(|| panic!("{id:?} was lost"));
            assert_eq!(kept.state, live.state, "{id:?}");
            for (kept, live) in kept.tasks.iter().zip(&live.tasks) {
                assert_eq!(lasting(kept), lasting(live), "a task of {id:?}");
            }
        }
        assert!(machine.paused_pools().eq(&self.paused_pools), "the paused pools");
        assert!(machine.kept_results().count() == self.kept_results.len(), "the kept results");
    }
}

/// The state without what is not stored at once: the counts of its items, which follow from the states of these, and the progress
/// of a task that runs, which its worker reports again.
fn lasting(state: &TaskState) -> TaskState {
    let mut state = state.clone();
    if state.status == TaskStatus::Running && state.details.is_some() {
        let rare = state.details_mut().rare_mut();
        (rare.items, rare.progress) = (None, None);
    }
    state.details.take_if(|details| **details == TaskDetails::default());
    state
}
