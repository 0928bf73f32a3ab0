//! Retries of jobs that have ended. The retry is a new job with the same text. Tasks whose results are still good are *kept*: their
//! states are copied. The others run again. A job that has ended does not change.
//!
//! Tasks that depend on a task that runs again, run again, too. So everything that a kept task refers to is kept, and the
//! values that it was called with are the values that it would be called with.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::downstream::Downstream;
use super::texts;
use super::types::OutOfBounds;
use crate::chance::hash;
use crate::details::{ItemCounts, RareDetails, TaskDetails};
use crate::job::{Job, Moment, Phase, nearest};
use crate::job_details::Origin;
use crate::state::{JobSnapshot, JobState, TaskState};
use crate::text::cut;
use crate::{JobId, JobStatus, Json, RetryFrom, TaskStatus, Timestamp};

/// A request to retry a job.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Retry {
    /// What runs again.
    pub from: RetryFrom,
    /// The data of tasks, by name. These tasks end `SUCCESS` without having run.
    pub overrides: BTreeMap<String, Json>,
    /// Who asks for it.
    pub by: Option<Arc<str>>,
    /// Why.
    pub reason: Option<Arc<str>>,
}

/// Why a job cannot be retried in this way.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RetryError {
    /// The job has not ended.
    #[error("it has not ended ({0}): cancel it first, and retry it when it has ended")]
    NotEnded(JobStatus),
    /// The job has no task with a name of the request.
    #[error("it has no task named {name:?}{}", known.as_ref().map(|known| format!(": did you mean {known:?}?")).unwrap_or_default())]
    UnknownTask {
        /// The name.
        name: String,
        /// A similar name.
        known: Option<String>,
    },
    /// A task is named among those that run again, and has given data.
    #[error("the task {0:?} cannot both run again and have the given data")]
    RunsAndOverridden(String),
    /// A handler is named, among the tasks that run again or with given data.
    #[error("the task {0:?} is a handler: handlers run in every retry, depending on how its tasks end")]
    Handler(String),
    /// Nothing would run again.
    #[error("all its tasks succeeded, so none would run again: retry it from \"start\", or name tasks that run again")]
    NothingRuns,
    /// The result of a task that would be kept is not in the store.
    #[error(
        "the result of the task {0:?} is not stored any more, so the task cannot be kept: retry the job from \"start\""
    )]
    DataGone(String),
    /// The job is a part of a live job, which decides what becomes of it.
    #[error("it is a sub-job of the job {0}, which has not ended: retry the task there, or that job when it has ended")]
    PartOf(JobId),
    /// The deadline of the job, a time, has passed.
    #[error("{0}")]
    DeadlinePassed(String),
    /// The data of a task is larger or deeper than a value may be.
    #[error("the data of the task {task:?}: {why}")]
    OutOfBounds {
        /// The name of the task.
        task: String,
        /// The limit that it exceeds.
        why: OutOfBounds,
    },
}

/// A retry of a job, ready to be submitted.
#[derive(Debug)]
pub struct RetriedJob {
    pub(super) origin: Origin,
    pub(super) job: Arc<Job>,
    pub(super) state: JobState,
    pub(super) tasks: Vec<Arc<TaskState>>,
    /// The states of items that are kept, by their positions.
    pub(super) items: BTreeMap<u32, Arc<TaskState>>,
}

/// What becomes of the tasks of a job that is retried.
struct Plan<'o> {
    ended: &'o JobSnapshot,
    /// Tasks that run again, by position.
    runs: Vec<bool>,
    /// Tasks that run again although they may have succeeded, with all their items. `None`: all tasks.
    listed: Option<BTreeSet<u32>>,
    overrides: BTreeMap<u32, Json>,
    now: Timestamp,
}

/// The tasks that a request names, by position.
struct Chosen {
    /// Tasks that run again. `None`: all tasks.
    listed: Option<BTreeSet<u32>>,
    overrides: BTreeMap<u32, Json>,
}

impl Retry {
    /// Checks what does not depend on how the job has ended. `limit` is the maximum size of a value in bytes.
    ///
    /// # Errors
    /// If the request names tasks that cannot be chosen, or has data that is beyond the limits.
    pub fn check(&self, job: &Job, limit: usize) -> Result<(), RetryError> {
        Chosen::of(job, self.clone(), limit).map(drop)
    }

    /// What identifies the request for a retry of a job. Who asked for it, and why, are no part of it.
    #[must_use]
    pub fn digest(&self) -> u64 {
        let from = serde_json::to_string(&self.from).unwrap_or_default();
        let overrides = self.overrides.iter().flat_map(|(task, data)| [task.as_str(), data.get()]);
        let parts = std::iter::once(&*from).chain(overrides);
        hash(parts.flat_map(|part| part.bytes().chain([0])))
    }
}

impl RetriedJob {
    /// Decides which tasks of `ended` run again. The snapshot has the states of items, too. `limit` is the maximum size of a value in bytes.
    ///
    /// # Errors
    /// If the job has not ended, or cannot be retried in this way.
    pub fn new(ended: JobSnapshot, retry: Retry, limit: usize, now: Timestamp) -> Result<Self, RetryError> {
        if !ended.state.status.is_terminal() {
            return Err(RetryError::NotEnded(ended.state.status));
        }
        if let Some(problem) = ended.job.passed_deadline(now) {
            return Err(RetryError::DeadlinePassed(problem.message));
        }
        let short = |text: Option<Arc<str>>| text.map(|text| cut(text, texts::MAXIMUM_REASON));
        let before = ended.state.origin();
        let origin = Origin {
            job: ended.id,
            root: before.map_or(ended.id, |before| before.root),
            number: before.map_or(1, |before| before.number).saturating_add(1),
            by: short(retry.by.clone()),
            reason: short(retry.reason.clone()),
        };
        let digest = retry.digest();
        let plan = Plan::new(&ended, retry, limit, now)?;
        let mut items = BTreeMap::new();
        let tasks = (0..ended.tasks.len() as u32).map(|index| plan.task(index, &mut items));
        let tasks = tasks.collect::<Result<Vec<_>, _>>()?;
        let mut state = JobState::pending(now);
        if tasks.iter().any(|task| task.status == TaskStatus::Running) {
            (state.status, state.started_at) = (JobStatus::Running, Some(now));
        }
        let details = state.details_mut();
        (details.origin, details.retry_digest) = (Some(origin.clone()), Some(digest));
        if let Some(before) = ended.state.details.as_deref() {
            (details.inputs, details.labels) = (before.inputs.clone(), before.labels.clone());
            details.run = before.run.clone();
        }
        Ok(Self { origin, job: ended.job.without_key(), state, tasks, items })
    }

    /// Whether this is the state of a retry that was asked for in the same way.
    #[must_use]
    pub fn is_same(&self, known: &JobState) -> bool {
        let digest = |state: &JobState| state.details.as_deref().and_then(|details| details.retry_digest);
        known.origin().is_some_and(|origin| origin.job == self.origin.job) && digest(known) == digest(&self.state)
    }

    /// The job, which has the text of the origin and no key.
    #[must_use]
    pub const fn job(&self) -> &Arc<Job> {
        &self.job
    }

    /// Whether the task at `index` runs again, or some of its items.
    #[must_use]
    pub fn runs(&self, index: u32) -> bool {
        self.tasks.get(index as usize).is_some_and(|task| !task.status.is_terminal())
    }
}

impl Chosen {
    fn of(job: &Job, retry: Retry, limit: usize) -> Result<Self, RetryError> {
        let names: BTreeMap<&str, u32> = (0..).zip(job.tasks()).map(|(index, task)| (&**task.name(), index)).collect();
        let position = |name: &str| match names.get(name) {
            Some(index) if job.phase(*index) > Phase::Tasks => Err(RetryError::Handler(name.to_owned())),
            Some(index) => Ok(*index),
            None => {
                let is_task = |(_, index): &(&&str, &u32)| job.phase(**index) == Phase::Tasks;
                let tasks = names.iter().filter(is_task).map(|(name, _)| *name);
                let known = nearest(name, tasks).map(str::to_owned);
                Err(RetryError::UnknownTask { name: name.to_owned(), known })
            }
        };
        let mut overrides = BTreeMap::new();
        for (name, data) in retry.overrides {
            let index = position(&name)?;
            OutOfBounds::check(&data, limit).map_err(|why| RetryError::OutOfBounds { task: name, why })?;
            overrides.insert(index, data);
        }
        let mut listed = BTreeSet::new();
        match retry.from {
            RetryFrom::Start => return Ok(Self { listed: None, overrides }),
            RetryFrom::Failure => {}
            RetryFrom::Tasks(names) => {
                for name in names {
                    let index = position(&name)?;
                    if overrides.contains_key(&index) {
                        return Err(RetryError::RunsAndOverridden(name));
                    }
                    listed.insert(index);
                }
            }
        }
        Ok(Self { listed: Some(listed), overrides })
    }
}

impl<'o> Plan<'o> {
    fn new(ended: &'o JobSnapshot, retry: Retry, limit: usize, now: Timestamp) -> Result<Self, RetryError> {
        let Chosen { listed, overrides: given } = Chosen::of(&ended.job, retry, limit)?;
        let mut runs: Vec<bool> = ended.tasks.iter().map(|task| task.counts_as() != TaskStatus::Success).collect();
        match &listed {
            None => runs.fill(true),
            Some(listed) => listed.iter().for_each(|index| runs[*index as usize] = true),
        }
        given.keys().for_each(|index| runs[*index as usize] = true);
        spread(&ended.job, &mut runs);
        given.keys().for_each(|index| runs[*index as usize] = false);
        let (tasks, handlers) = runs.split_at_mut(ended.job.range(Phase::Tasks).len());
        let has_failed =
            |index: u32| !matches!(ended.tasks[index as usize].counts_as(), TaskStatus::Success | TaskStatus::Skipped);
        if given.is_empty() && !tasks.contains(&true) && !ended.job.range(Phase::Finally).any(has_failed) {
            return Err(RetryError::NothingRuns);
        }
        handlers.fill(true);
        Ok(Self { ended, runs, listed, overrides: given, now })
    }

    /// The state in which a task begins. Adds the items of it that are kept.
    fn task(&self, index: u32, items: &mut BTreeMap<u32, Arc<TaskState>>) -> Result<Arc<TaskState>, RetryError> {
        if self.ended.job.phase(index) > Phase::Tasks {
            // Handlers run when their list begins.
            return Ok(Arc::new(TaskState::pending()));
        }
        let state = &self.ended.tasks[index as usize];
        if let Some(data) = self.overrides.get(&index) {
            let details = TaskDetails { overridden: true, ..TaskDetails::default() };
            return Ok(Arc::new(TaskState {
                status: TaskStatus::Success,
                data: Some(data.clone()),
                ended_at: Some(self.now),
                details: Some(Box::new(details)),
                ..TaskState::pending()
            }));
        }
        if self.is_kept(index) {
            let counts = state.details.as_deref().and_then(|details| details.rare().items);
            let has_data = state.data.is_some() || counts.is_some_and(|counts| counts.data_bytes.is_some());
            if !has_data {
                return Err(RetryError::DataGone(self.ended.job.spec(index).name().to_string()));
            }
            items.extend(self.items(index).map(|(position, item)| (position, self.keep(item))));
            return Ok(self.keep(state));
        }
        let items_go_on = self.items_go_on(index, items);
        Ok(items_go_on.or_else(|| self.sub_job_goes_on(index)).unwrap_or_else(|| Arc::new(TaskState::pending())))
    }

    /// The state of a task of whose items some are kept: those that succeeded, if the task iterates over the same list.
    fn items_go_on(&self, index: u32, items: &mut BTreeMap<u32, Arc<TaskState>>) -> Option<Arc<TaskState>> {
        let total = self.ended.tasks[index as usize].details.as_deref()?.rare().items?.total;
        let is_same_list = self.ended.job.spec(index).upstream().iter().all(|before| self.is_kept(*before));
        let begins_now = match self.ended.job.start_at() {
            None => true,
            Some(Moment::At(time)) => time <= self.now,
            Some(Moment::After(_)) => false,
        };
        let is_listed = self.listed.as_ref().is_none_or(|listed| listed.contains(&index));
        if !is_same_list || !begins_now || is_listed {
            return None;
        }
        let succeeded = |item: &Arc<TaskState>| item.status == TaskStatus::Success && item.data.is_some();
        let before = items.len();
        items.extend(
            self.items(index).filter(|(_, item)| succeeded(item)).map(|(position, item)| (position, self.keep(item))),
        );
        let success = (items.len() - before) as u32;
        let counts = ItemCounts { total, success, ..ItemCounts::default() };
        let first = self.ended.tasks[index as usize].details.as_deref().and_then(|details| details.first);
        let rare = RareDetails { items: Some(counts), ..RareDetails::default() };
        let details = TaskDetails { first, rare: rare.into(), ..TaskDetails::default() };
        (success > 0).then(|| {
            Arc::new(TaskState {
                status: TaskStatus::Running,
                started_at: Some(self.now),
                details: Some(Box::new(details)),
                ..TaskState::pending()
            })
        })
    }

    /// The state of a task whose sub-job failed, and will be continued.
    fn sub_job_goes_on(&self, index: u32) -> Option<Arc<TaskState>> {
        let state = &self.ended.tasks[index as usize];
        let child = state.details.as_deref().and_then(|details| details.rare().child);
        let child = child.filter(|_| self.listed.is_some() && state.status != TaskStatus::Success)?;
        let rare = RareDetails { child: Some(child), ..RareDetails::default() };
        Some(Arc::new(TaskState { details: Some(Box::new(rare.into())), ..TaskState::pending() }))
    }

    fn is_kept(&self, index: u32) -> bool {
        !self.runs[index as usize] && !self.overrides.contains_key(&index)
    }

    /// The items of a task whose states are known.
    fn items(&self, index: u32) -> impl Iterator<Item = (u32, &Arc<TaskState>)> {
        let total = self.ended.tasks[index as usize].details.as_deref().and_then(|details| details.rare().items);
        let first = self.ended.job.first_item(index).unwrap_or_default();
        let end = first + total.map_or(0, |counts| counts.total);
        self.ended.items.range(first..end).map(|(position, item)| (*position, item))
    }

    /// The state of a task or an item that is kept.
    fn keep(&self, state: &Arc<TaskState>) -> Arc<TaskState> {
        let mut kept = TaskState::clone(state);
        kept.details_mut().rare_mut().kept_from.get_or_insert(self.ended.id);
        Arc::new(kept)
    }
}

/// Adds all tasks that depend on those that run.
fn spread(job: &Job, runs: &mut [bool]) {
    let downstream = Downstream::new(job);
    let mut new: Vec<u32> = (0..).zip(&*runs).filter(|(_, runs)| **runs).map(|(index, _)| index).collect();
    while let Some(index) = new.pop() {
        for next in downstream.of(index) {
            if !std::mem::replace(&mut runs[*next as usize], true) {
                new.push(*next);
            }
        }
    }
}
