//! Folds the changes of a batch into the rows that a store has to write, each row once.
//!
//! A task can change several times in one batch, and a job can be added and end in it. The resulting rows do not depend
//! on the store, so they are computed here, and a backend executes one [`Write`] after another. This file must not know
//! how a store keeps its rows.

use std::collections::BTreeMap;
use std::sync::Arc;

use hub_core::action::Change;
use hub_core::cache::KeptResult;
use hub_core::definition::Definition;
use hub_core::digest::Digest;
use hub_core::job::Job;
use hub_core::job_details::PauseRecord;
use hub_core::schedule::{KeptSchedule, ScheduleState};
use hub_core::state::{JobState, TaskState};
use hub_core::{IdMap, JobId, Timestamp};

/// A write of one row.
#[derive(Clone, Copy, Debug)]
pub enum Write<'a> {
    /// Delete the job and its tasks, if the job exists.
    RemoveJob {
        /// The id of the job.
        id: JobId,
    },
    /// Insert the job in this state, with all its tasks pending. If it exists already, only set its state.
    AddJob {
        /// The id of the job.
        id: JobId,
        /// The submitted job.
        job: &'a Arc<Job>,
        /// The time of the submission.
        submitted_at: Timestamp,
        /// The state. `None`: [`JobState::pending`], and an existing job is not changed.
        state: Option<&'a JobState>,
    },
    /// Set the state of the job, if the job exists.
    SetJob {
        /// The id of the job.
        id: JobId,
        /// The complete state.
        state: &'a JobState,
    },
    /// Set the state of the task, if its job exists and has this task.
    SetTask {
        /// The job.
        job: JobId,
        /// The position of the task in the job.
        index: u32,
        /// The complete state.
        state: &'a Arc<TaskState>,
    },
    /// Note the pause of a pool, or remove the note.
    SetPool {
        /// The pool.
        pool: &'a Arc<str>,
        /// The pause. `None`: the pool is not paused.
        pause: Option<&'a PauseRecord>,
    },
    /// Insert a version of a definition, unless it exists.
    AddDefinition {
        /// The version.
        definition: &'a Arc<Definition>,
    },
    /// Let an alias stand for another version of a definition, or remove it.
    SetAlias {
        /// The definition.
        name: &'a Arc<str>,
        /// The alias.
        alias: &'a Arc<str>,
        /// The number of the version. `None`: the alias is removed.
        version: Option<u32>,
    },
    /// Insert a schedule, or replace the one with its name, whose state stays.
    SetSchedule {
        /// The schedule.
        kept: &'a Arc<KeptSchedule>,
    },
    /// Set the state of a schedule, if it exists.
    SetScheduleState {
        /// The name of the schedule.
        name: &'a Arc<str>,
        /// The complete state.
        state: &'a Arc<ScheduleState>,
    },
    /// Delete a schedule, if it exists.
    RemoveSchedule {
        /// The name of the schedule.
        name: &'a Arc<str>,
    },
    /// Keep a result for later tasks in place of the one before, or remove it.
    SetResult {
        /// Its key.
        key: Digest,
        /// The result. `None`: none is kept.
        kept: Option<&'a KeptResult>,
    },
}

/// A write and the change that it results from.
#[derive(Clone, Copy, Debug)]
pub struct Folded<'a> {
    /// The position of the change in the batch, for [`StoreError::Refused`](super::StoreError::Refused).
    pub change: usize,
    /// The write.
    pub write: Write<'a>,
}

/// The writes that, executed in order, have the same effect as `changes` one after another.
///
/// No row is written twice, except that a job can be removed and added again. Removed jobs come first; then added jobs, in the
/// order of their changes; then states of jobs; then states of tasks, by job and position; then pools, by name; then kept results, by key; then definitions and their aliases; then schedules, each removed, set and given its state. (If a job changes before it is added,
/// these changes precede the addition: they apply only if the job is there already.)
#[must_use]
pub fn fold(changes: &[Change]) -> Vec<Folded<'_>> {
    let mut jobs = Jobs::default();
    let mut tasks = Vec::with_capacity(changes.len());
    let mut pools = BTreeMap::new();
    let mut results = BTreeMap::new();
    let (mut definitions, mut aliases) = (BTreeMap::new(), BTreeMap::new());
    let mut schedules = BTreeMap::<&Arc<str>, ScheduleWrites<'_>>::new();
    for (at, change) in changes.iter().enumerate() {
        match change {
            Change::JobAdded { id, job, submitted_at } => jobs.get(*id).note_added(at, job, *submitted_at),
            Change::JobChanged { id, state } => jobs.get(*id).note_state(at, state),
            Change::JobRemoved { id } => jobs.get(*id).note_removed(at),
            Change::TaskChanged { job, index, state } => {
                tasks.push(TaskChange::new(jobs.position(*job), *index, at, state));
            }
            Change::DefinitionAdded { definition } => {
                let write = Write::AddDefinition { definition };
                definitions.entry(&definition.pin).or_insert(Folded { change: at, write });
            }
            Change::AliasChanged { name, alias, version } => {
                let write = Write::SetAlias { name, alias, version: *version };
                aliases.insert((name, alias), Folded { change: at, write });
            }
            Change::ScheduleSet { kept } => {
                let write = Write::SetSchedule { kept };
                schedules.entry(kept.schedule.name()).or_default().note_set(Folded { change: at, write });
            }
            Change::ScheduleChanged { name, state } => {
                let write = Write::SetScheduleState { name, state };
                schedules.entry(name).or_default().state = Some(Folded { change: at, write });
            }
            Change::ScheduleRemoved { name } => {
                let removed = Some(Folded { change: at, write: Write::RemoveSchedule { name } });
                *schedules.entry(name).or_default() = ScheduleWrites { removed, ..ScheduleWrites::default() };
            }
            Change::PoolChanged { pool, pause } => {
                let write = Write::SetPool { pool, pause: pause.as_ref() };
                pools.insert(pool, Folded { change: at, write });
            }
            Change::ResultKept { key, kept } => {
                let write = Write::SetResult { key: *key, kept: kept.as_ref() };
                results.insert(*key, Folded { change: at, write });
            }
        }
    }
    // Stable, so the changes of a task stay in their order; and fast, since a batch consists of a few ascending runs.
    tasks.sort_by_key(|task| task.row);
    tasks.dedup_by(|later, earlier| {
        let is_same = later.row == earlier.row;
        if is_same {
            std::mem::swap(later, earlier);
        }
        is_same
    });
    let (jobs, tasks) = (&jobs.all[..], &tasks[..]);
    let set_tasks = |phase| {
        let written = tasks.iter().filter(move |task| jobs[task.job()].phase(task.at) == Some(phase));
        written.map(|task| task.write(jobs[task.job()].id))
    };

    let mut writes = Vec::with_capacity(jobs.len() + tasks.len());
    writes.extend(jobs.iter().filter_map(JobChanges::removal));
    if jobs.iter().any(|job| job.removed.is_none() && job.added.is_some()) {
        writes.extend(jobs.iter().filter_map(|job| job.early_state.map(|state| job.set(state))));
        writes.extend(set_tasks(Phase::Early));
    }
    let mut additions: Vec<_> = jobs.iter().filter_map(JobChanges::addition).collect();
    additions.sort_unstable_by_key(|folded| folded.change);
    writes.append(&mut additions);
    let others = jobs.iter().filter(|job| job.added.is_none());
    writes.extend(others.filter_map(|job| job.state.map(|state| job.set(state))));
    writes.extend(set_tasks(Phase::Late));
    writes.extend(pools.into_values());
    writes.extend(results.into_values());
    writes.extend(definitions.into_values());
    writes.extend(aliases.into_values());
    writes.extend(
        schedules
            .into_values()
            .flat_map(|one| [one.removed, one.early_state.filter(|_| one.state.is_none()), one.set, one.state])
            .flatten(),
    );
    writes
}

/// The writes of one schedule.
#[derive(Clone, Copy, Default)]
struct ScheduleWrites<'a> {
    removed: Option<Folded<'a>>,
    /// The last state before it was set, which applies only if it is there already.
    early_state: Option<Folded<'a>>,
    set: Option<Folded<'a>>,
    state: Option<Folded<'a>>,
}

impl<'a> ScheduleWrites<'a> {
    fn note_set(&mut self, set: Folded<'a>) {
        if self.set.replace(set).is_none() {
            self.early_state = self.state.take();
        }
    }
}

/// The jobs of a batch, in the order of their first changes.
#[derive(Default)]
struct Jobs<'a> {
    all: Vec<JobChanges<'a>>,
    positions: IdMap<JobId, usize>,
    /// The position of the previous job. The next change often belongs to the same job.
    previous: usize,
}

impl<'a> Jobs<'a> {
    /// The position of a job. A new job is added.
    fn position(&mut self, id: JobId) -> usize {
        if self.all.get(self.previous).is_none_or(|job| job.id != id) {
            self.previous = *self.positions.entry(id).or_insert(self.all.len());
            if self.previous == self.all.len() {
                self.all.push(JobChanges::none(id));
            }
        }
        self.previous
    }

    fn get(&mut self, id: JobId) -> &mut JobChanges<'a> {
        let position = self.position(id);
        &mut self.all[position]
    }
}

/// The effective changes of a job's row, each with its position in the batch.
struct JobChanges<'a> {
    id: JobId,
    /// Changes before this one do not count.
    removed: Option<usize>,
    added: Option<(usize, &'a Arc<Job>, Timestamp)>,
    /// The last state before the job was added.
    early_state: Option<(usize, &'a JobState)>,
    /// The last state.
    state: Option<(usize, &'a JobState)>,
}

/// When the change of a row is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Before the job is added.
    Early,
    /// At the end.
    Late,
}

impl<'a> JobChanges<'a> {
    const fn none(id: JobId) -> Self {
        Self { id, removed: None, added: None, early_state: None, state: None }
    }

    fn note_added(&mut self, at: usize, job: &'a Arc<Job>, submitted_at: Timestamp) {
        // Adding a job again has no effect.
        if self.added.is_none() {
            self.added = Some((at, job, submitted_at));
            self.early_state = self.state.take();
        }
    }

    fn note_state(&mut self, at: usize, state: &'a JobState) {
        if self.phase(at).is_some() {
            self.state = Some((at, state));
        }
    }

    fn note_removed(&mut self, at: usize) {
        *self = Self { removed: Some(at), ..Self::none(self.id) };
    }

    /// When a change at this position is written. `None`: the job that it applied to is removed.
    fn phase(&self, at: usize) -> Option<Phase> {
        match (self.removed, self.added) {
            (_, Some((added, ..))) if at > added => Some(Phase::Late),
            (Some(_), _) => None,
            (None, Some(_)) => Some(Phase::Early),
            (None, None) => Some(Phase::Late),
        }
    }

    fn removal(&self) -> Option<Folded<'a>> {
        let write = Write::RemoveJob { id: self.id };
        self.removed.map(|change| Folded { change, write })
    }

    fn addition(&self) -> Option<Folded<'a>> {
        let (change, job, submitted_at) = self.added?;
        let state = self.state.map(|(_, state)| state);
        Some(Folded { change, write: Write::AddJob { id: self.id, job, submitted_at, state } })
    }

    fn set(&self, (change, state): (usize, &'a JobState)) -> Folded<'a> {
        Folded { change, write: Write::SetJob { id: self.id, state } }
    }
}

/// A change of a task.
struct TaskChange<'a> {
    /// The position of its job in [`Jobs`], and its own in the job: one number, since they are compared often.
    row: u64,
    /// The position of the change in the batch.
    at: usize,
    state: &'a Arc<TaskState>,
}

impl<'a> TaskChange<'a> {
    fn new(job: usize, index: u32, at: usize, state: &'a Arc<TaskState>) -> Self {
        Self { row: (job as u64) << u32::BITS | u64::from(index), at, state }
    }

    fn job(&self) -> usize {
        (self.row >> u32::BITS) as usize
    }

    fn write(&self, job: JobId) -> Folded<'a> {
        Folded { change: self.at, write: Write::SetTask { job, index: self.row as u32, state: self.state } }
    }
}
