//! The store in memory, for local development and as the reference for other stores. It is lost when the process ends.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use hub_core::action::Change;
use hub_core::cache::KeptResult;
use hub_core::definition::{Definition, Reference, VersionSummary};
use hub_core::digest::Digest;
use hub_core::filter::Term;
use hub_core::id::Family;
use hub_core::job::Job;
use hub_core::job_details::PauseRecord;
use hub_core::schedule::ScheduleSnapshot;
use hub_core::state::{JobSnapshot, JobState, JobSummary, TaskState};
use hub_core::{IdMap, JobId, Timestamp};

use super::definitions::Definitions;
use super::schedules::Schedules;
use super::{Store, StoreError, Write, fold, page_of};
use crate::operations::{DefinitionPage, JobFilter, JobPage};

/// Maximum number of comparisons for a page, since nothing else happens in the process meanwhile.
const MAXIMUM_COST: usize = 100_000;

/// Stores jobs in memory.
#[derive(Debug, Default)]
pub struct MemoryStore {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    incarnations: u64,
    added: i64,
    jobs: IdMap<JobId, Row>,
    /// Jobs by the order in which they were added.
    order: BTreeMap<i64, JobId>,
    families: IdMap<Family, JobId>,
    keys: HashMap<String, JobId>,
    /// The sub-jobs of each job that has some.
    sub_jobs: HashMap<JobId, BTreeSet<JobId>>,
    paused_pools: BTreeMap<Arc<str>, PauseRecord>,
    kept_results: BTreeMap<Digest, KeptResult>,
    definitions: Definitions,
    schedules: Schedules,
}

#[derive(Debug)]
struct Row {
    serial: i64,
    job: Arc<Job>,
    state: JobState,
    /// Tasks in the initial state share it.
    tasks: Vec<Arc<TaskState>>,
    /// Items whose state has changed, by their positions.
    items: BTreeMap<u32, Arc<TaskState>>,
    /// The job that takes it along when it is removed.
    root: Option<JobId>,
}

impl MemoryStore {
    /// Creates an empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn with<T>(&self, f: impl FnOnce(&mut State) -> T) -> T {
        // A poisoned lock is ignored: the panic is the more important error.
        f(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[async_trait]
impl Store for MemoryStore {
    fn is_durable(&self) -> bool {
        false
    }

    async fn begin_incarnation(&self) -> Result<u64, StoreError> {
        Ok(self.with(|state| {
            state.incarnations += 1;
            state.incarnations
        }))
    }

    async fn commit(&self, changes: Arc<Vec<Change>>) -> Result<(), StoreError> {
        let writes = fold(&changes);
        self.with(|state| writes.iter().for_each(|folded| state.carry_out(folded.write)));
        Ok(())
    }

    async fn load_unfinished(&self) -> Result<Vec<JobSnapshot>, StoreError> {
        Ok(self.with(|state| {
            let ids = state.order.values();
            ids.filter_map(|id| state.snapshot(*id)).filter(|job| !job.state.status.is_terminal()).collect()
        }))
    }

    async fn paused_pools(&self) -> Result<Vec<(Arc<str>, PauseRecord)>, StoreError> {
        Ok(self.with(|state| state.paused_pools.clone().into_iter().collect()))
    }

    async fn kept_results(&self) -> Result<Vec<(Digest, KeptResult)>, StoreError> {
        Ok(self.with(|state| state.kept_results.clone().into_iter().collect()))
    }

    async fn schedules(&self) -> Result<Vec<ScheduleSnapshot>, StoreError> {
        Ok(self.with(|state| state.schedules.all()))
    }

    async fn definition(&self, reference: &Reference) -> Result<Option<Arc<Definition>>, StoreError> {
        Ok(self.with(|state| state.definitions.find(reference)))
    }

    async fn definition_versions(
        &self,
        name: &str,
        before: u32,
        limit: usize,
    ) -> Result<Vec<VersionSummary>, StoreError> {
        Ok(self.with(|state| state.definitions.versions(name, before, limit)))
    }

    async fn definitions(&self, after: Option<&str>, limit: usize) -> Result<DefinitionPage, StoreError> {
        Ok(self.with(|state| state.definitions.page(after, limit)))
    }

    async fn get(&self, id: JobId) -> Result<Option<JobSnapshot>, StoreError> {
        Ok(self.with(|state| state.snapshot(id)))
    }

    async fn summary(&self, id: JobId) -> Result<Option<JobSummary>, StoreError> {
        Ok(self.with(|state| state.jobs.get(&id).map(|row| row.summary(id))))
    }

    async fn weight(&self, id: JobId, data: bool) -> Result<Option<usize>, StoreError> {
        Ok(self.with(|state| state.jobs.get(&id).map(|row| row.weight(data))))
    }

    async fn find_family(&self, family: Family) -> Result<Option<JobSnapshot>, StoreError> {
        Ok(self.with(|state| state.families.get(&family).and_then(|id| state.head(*id))))
    }

    async fn find_key(&self, key: &str) -> Result<Option<JobSnapshot>, StoreError> {
        Ok(self.with(|state| state.keys.get(key).and_then(|id| state.head(*id))))
    }

    async fn list(&self, filter: &JobFilter, now: Timestamp) -> Result<JobPage, StoreError> {
        let (before, limit) = page_of(filter)?;
        let terms = filter.terms();
        Ok(self.with(|state| {
            let cost = terms.iter().map(Term::cost).sum::<usize>() + 1;
            let mut left = (MAXIMUM_COST / cost).max(1);
            let (mut page, mut next) = (Vec::new(), None);
            for (serial, id) in state.order.range(..before).rev() {
                if left == 0 || page.len() == limit {
                    // Jobs up to the one before this may be on the next page.
                    next = Some((serial + 1).to_string());
                    break;
                }
                left -= 1;
                let found = state.jobs.get(id).filter(|row| filter.sub_jobs || row.root.is_none());
                page.extend(found.filter(|row| row.matches(&terms, now)).map(|row| row.summary(*id)));
            }
            JobPage { jobs: page, next }
        }))
    }

    async fn prune(&self, keep: u64, limit: u32) -> Result<u64, StoreError> {
        Ok(self.with(|state| {
            let finished: Vec<JobId> = state
                .order
                .values()
                .filter(|id| state.jobs.get(id).is_some_and(|row| row.state.status.is_terminal() && row.root.is_none()))
                .copied()
                .collect();
            let beyond = finished.len().saturating_sub(usize::try_from(keep).unwrap_or(usize::MAX));
            let doomed = beyond.min(usize::try_from(limit).unwrap_or(usize::MAX));
            finished.iter().take(doomed).for_each(|id| state.remove(*id));
            doomed as u64
        }))
    }
}

impl State {
    fn carry_out(&mut self, write: Write<'_>) {
        match write {
            Write::RemoveJob { id } => self.remove(id),
            Write::AddJob { id, job, submitted_at, state } => self.add(id, job, submitted_at, state),
            Write::SetJob { id, state } => {
                if let Some(row) = self.jobs.get_mut(&id) {
                    row.state = state.clone();
                    self.find_root(id);
                }
            }
            Write::SetTask { job, index, state } => {
                let Some(row) = self.jobs.get_mut(&job) else { return };
                if let Some(task) = row.tasks.get_mut(index as usize) {
                    *task = Arc::clone(state);
                } else if row.job.item(index).is_some() {
                    row.items.insert(index, Arc::clone(state));
                }
            }
            Write::SetPool { pool, pause: Some(pause) } => {
                self.paused_pools.insert(Arc::clone(pool), pause.clone());
            }
            Write::SetPool { pool, pause: None } => drop(self.paused_pools.remove(pool)),
            Write::SetResult { key, kept: Some(kept) } => {
                self.kept_results.insert(key, kept.clone());
            }
            Write::AddDefinition { definition } => self.definitions.add(definition),
            Write::SetAlias { name, alias, version } => self.definitions.set_alias(name, alias, version),
            Write::SetSchedule { kept } => self.schedules.set(kept),
            Write::SetScheduleState { name, state } => self.schedules.set_state(name, state),
            Write::RemoveSchedule { name } => self.schedules.remove(name),
            Write::SetResult { key, kept: None } => drop(self.kept_results.remove(&key)),
        }
    }

    fn add(&mut self, id: JobId, job: &Arc<Job>, submitted_at: Timestamp, state: Option<&JobState>) {
        if let Some(row) = self.jobs.get_mut(&id) {
            row.state = state.unwrap_or(&row.state).clone();
            return self.find_root(id);
        }
        self.added += 1;
        self.order.insert(self.added, id);
        self.families.insert(id.family(), id);
        if let Some(key) = job.key() {
            self.keys.insert(key.to_owned(), id);
        }
        let tasks = TaskState::all_pending(job.tasks().len());
        let state = state.cloned().unwrap_or_else(|| JobState::pending(submitted_at));
        let (serial, job, items) = (self.added, Arc::clone(job), BTreeMap::new());
        self.jobs.insert(id, Row { serial, job, state, tasks, items, root: None });
        self.find_root(id);
    }

    /// Adds a job to the sub-jobs of its root, if it has one that is here.
    fn find_root(&mut self, id: JobId) {
        let Some(root) = self.jobs.get(&id).and_then(|row| row.state.root()) else { return };
        if self.jobs.contains_key(&root)
            && let Some(row) = self.jobs.get_mut(&id)
        {
            row.root = Some(root);
            self.sub_jobs.entry(root).or_default().insert(id);
        }
    }

    /// Removes a job with its sub-jobs that have ended. The others are jobs like all others from now on.
    fn remove(&mut self, id: JobId) {
        let Some(row) = self.jobs.remove(&id) else { return };
        for sub_job in self.sub_jobs.remove(&id).unwrap_or_default() {
            if let Some(row) = self.jobs.get_mut(&sub_job) {
                row.root = None;
                if row.state.status.is_terminal() {
                    self.remove(sub_job);
                }
            }
        }
        if let Some(others) = row.root.and_then(|root| self.sub_jobs.get_mut(&root)) {
            others.remove(&id);
        }
        self.order.remove(&row.serial);
        self.families.remove(&id.family());
        if let Some(key) = row.job.key() {
            self.keys.remove(key);
        }
    }

    fn snapshot(&self, id: JobId) -> Option<JobSnapshot> {
        let row = self.jobs.get(&id)?;
        Some(JobSnapshot { items: row.items.clone(), ..row.with_tasks(id, row.tasks.clone()) })
    }

    /// The job without the states of its tasks.
    fn head(&self, id: JobId) -> Option<JobSnapshot> {
        let row = self.jobs.get(&id)?;
        Some(row.with_tasks(id, TaskState::all_pending(row.tasks.len())))
    }
}

impl Row {
    fn with_tasks(&self, id: JobId, tasks: Vec<Arc<TaskState>>) -> JobSnapshot {
        JobSnapshot {
            id,
            job: Arc::clone(&self.job),
            state: self.state.clone(),
            tasks,
            items: BTreeMap::new(),
            waiting: Vec::new(),
        }
    }

    fn weight(&self, data: bool) -> usize {
        hub_core::state::weight(&self.job, &self.state, &self.tasks, data)
    }

    fn matches(&self, terms: &[Term], now: Timestamp) -> bool {
        terms.iter().all(|term| term.matches(&self.job, &self.state, now))
    }

    fn summary(&self, id: JobId) -> JobSummary {
        let ended = self.tasks.iter().filter(|task| task.status.is_terminal()).count();
        JobSummary::new(id, self.job.name(), &self.state, self.tasks.len(), ended)
    }
}
