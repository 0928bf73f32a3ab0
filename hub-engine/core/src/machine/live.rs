//! A live job and the states of its tasks.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::downstream::Downstream;
use super::item_group::ItemGroup;
use super::live_task::{LiveTask, TASK_BYTES};
use super::place::Place;
use super::remaining_work::RemainingWork;
use super::signal_waits::SignalWaits;
use super::stop::Stop;
use super::trigger::{Decision, Upstream};
use crate::action::{Action, Change, Notice};
use crate::job::{Attribute, FillError, ItemPlace, Job, Lookup, Phase, Task, Template, Values};
use crate::state::{JobSnapshot, JobState, JobSummary, TaskState};
use crate::{JobId, JobStatus, Json, TaskStatus, Timestamp};

/// A live job: one that has not ended.
#[derive(Debug)]
pub(super) struct LiveJob {
    pub(super) id: JobId,
    pub(super) job: Arc<Job>,
    pub(super) state: JobState,
    pub(super) tasks: Vec<LiveTask>,
    /// The items of tasks that run for several, by the position of the task.
    pub(super) groups: BTreeMap<u32, ItemGroup>,
    pub(super) downstream: Downstream,
    /// `None` if there is none: most jobs never have any.
    pub(super) sweep: Option<Box<RemainingWork>>,
    pub(super) signal_waits: SignalWaits,
    /// The values that references have read from the results of the tasks.
    values: Values,
    /// Number of tasks that have not ended.
    open: u32,
    /// Whether all its tasks are being ended.
    pub(super) cancelled: bool,
    /// The stop of its tasks that are out, while it is cancelled.
    pub(super) stop: Option<Stop>,
    /// Whether its handlers do not run, because it is in no store.
    pub(super) skips_handlers: bool,
    /// Whether its tasks wait for the time at which it starts.
    pub(super) waits_for_start: bool,
    /// See [`LiveJob::bytes`].
    bytes: u64,
}

/// Number of copies of a job's text in memory: the submitted text, and the text in templates and names.
const TEXT_COPIES: u64 = 2;
impl LiveJob {
    /// Creates a job whose tasks have not started.
    pub(super) fn new(id: JobId, job: Arc<Job>, state: JobState) -> Self {
        let untouched = |task: &Task| LiveTask::untouched(Upstream::of(task.upstream().len()), task.trigger_rule());
        let tasks = job.tasks().iter().map(untouched).collect();
        Self::with_tasks(id, job, state, tasks)
    }

    /// Creates a job from stored states. A task that has ended is in the place `Ended`, every other one in `Blocked`.
    ///
    /// # Panics
    /// If the number of states is not the number of tasks.
    pub(super) fn with_states(id: JobId, job: Arc<Job>, state: JobState, states: Vec<Arc<TaskState>>) -> Self {
        assert_eq!(states.len(), job.tasks().len(), "{id:?} was stored with the states of other tasks");
        let succeeded: Vec<bool> = states.iter().map(|state| state.counts_as() == TaskStatus::Success).collect();
        // `resume` counts the dependencies that did not succeed.
        let upstream = |task: &Task| {
            let mut upstream = Upstream::of(task.upstream().len());
            let before = task.upstream().iter().filter(|before| succeeded[**before as usize]);
            before.for_each(|_| upstream.count(TaskStatus::Success));
            upstream
        };
        let tasks = states.into_iter().zip(job.tasks());
        let tasks =
            tasks.map(|(state, task)| LiveTask::with_state(state, upstream(task), task.trigger_rule())).collect();
        Self::with_tasks(id, job, state, tasks)
    }

    fn with_tasks(id: JobId, job: Arc<Job>, state: JobState, tasks: Vec<LiveTask>) -> Self {
        let open = tasks.iter().filter(|task| task.place != Place::Ended).count() as u32;
        let downstream = Downstream::new(&job);
        let results: u64 = tasks.iter().map(|task| task.bytes() + task.details_bytes()).sum();
        let details = state.details.as_ref().map_or(0, |details| details.weight() as u64);
        // The text of a sub-job is a part of the text of its parent.
        let is_part =
            state.details.as_ref().and_then(|details| details.parent.as_ref()).is_some_and(|parent| !parent.detached);
        let text = if is_part { 0 } else { job.text_bytes() as u64 * TEXT_COPIES };
        Self {
            id,
            downstream,
            sweep: None,
            values: Values::default(),
            signal_waits: SignalWaits::new(&job, |index| tasks[index].place == Place::Ended),
            bytes: results + details + text + tasks.len() as u64 * TASK_BYTES,
            job,
            state,
            tasks,
            groups: BTreeMap::new(),
            open,
            cancelled: false,
            stop: None,
            skips_handlers: false,
            waits_for_start: false,
        }
    }

    /// The snapshot of the job, without reasons for waiting.
    pub(super) fn into_snapshot(self) -> JobSnapshot {
        let pending = Arc::new(TaskState::pending());
        let tasks = self.tasks.into_iter().map(|task| task.shared().unwrap_or_else(|| Arc::clone(&pending)));
        JobSnapshot {
            id: self.id,
            job: self.job,
            state: self.state,
            tasks: tasks.collect(),
            items: BTreeMap::new(),
            waiting: Vec::new(),
        }
    }

    pub(super) fn summary(&self) -> JobSummary {
        let (tasks, open) = (self.tasks.len(), self.open as usize);
        JobSummary::new(self.id, self.job.name(), &self.state, tasks, tasks - open)
    }

    pub(super) fn spec(&self, index: u32) -> &Task {
        self.job.spec(index)
    }

    /// The task or the item at `index`.
    pub(super) fn task(&self, index: u32) -> &LiveTask {
        self.tasks.get(index as usize).unwrap_or_else(|| self.item(index))
    }

    /// Like [`LiveJob::task`], for writing.
    pub(super) fn task_mut(&mut self, index: u32) -> &mut LiveTask {
        if (index as usize) < self.tasks.len() { &mut self.tasks[index as usize] } else { self.item_mut(index) }
    }

    /// Adds the items of a task.
    pub(super) fn insert_items(&mut self, task: u32, group: ItemGroup) {
        self.bytes += group.items.iter().map(LiveTask::all_bytes).sum::<u64>();
        self.groups.insert(task, group);
    }

    /// Counts memory that its tasks take in addition.
    pub(super) const fn grow(&mut self, bytes: u64) {
        self.bytes += bytes;
    }

    /// Counts memory that its tasks take no longer.
    pub(super) const fn shrink(&mut self, bytes: u64) {
        self.bytes -= bytes;
    }

    /// The approximate memory of the job in bytes: its text, its tasks and their results.
    pub(super) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// What is kept of one of its tasks takes `after` bytes and no more `before`.
    pub(super) const fn resize(&mut self, before: usize, after: usize) {
        self.bytes = self.bytes + after as u64 - before as u64;
    }

    /// Counts the memory of the result of a task that has ended.
    pub(super) fn add_result_bytes(&mut self, index: u32) {
        self.bytes += self.task(index).bytes();
    }

    /// Whether every task of the list that runs has ended.
    pub(super) fn is_phase_over(&self) -> bool {
        let later = self.tasks.len() as u32 - self.positions_until_now().end;
        self.open == later && self.groups.values().all(|group| group.open == 0)
    }

    /// Changes the status of a task. Only this function does.
    ///
    /// # Panics
    /// If the table does not allow the change, which is a bug of the machine.
    pub(super) fn set_status(&mut self, index: u32, next: TaskStatus, actions: &mut Vec<Action>) {
        let id = self.id.task(index);
        let task = self.task_mut(index);
        let current = task.state().status;
        assert!(current.may_become(next), "task {id} cannot go from {current} to {next}");
        task.state_mut().status = next;
        actions.push(Action::Notify(Notice::Task { job: self.id, id, name: self.job.name_of(index), status: next }));
    }

    /// Lets a task that waits share its state with the one before it, if they are equal. So a million tasks that have begun to wait
    /// together have one state.
    pub(super) fn share_state(&mut self, index: u32) {
        if let Some(before) = index.checked_sub(1).filter(|before| self.contains(*before)) {
            let state = self.task(before).shared();
            self.task_mut(index).share(state);
        }
    }

    /// Stores the state of a task.
    pub(super) fn persist_task(&self, index: u32, actions: &mut Vec<Action>) {
        let state = self.task(index).shared().unwrap_or_else(|| Arc::new(TaskState::pending()));
        actions.push(Action::Persist(Change::TaskChanged { job: self.id, index, state }));
    }

    /// Begins the job when its first task is handed out.
    pub(super) fn begin(&mut self, now: Timestamp, actions: &mut Vec<Action>) {
        if self.state.status == JobStatus::Pending {
            self.state.started_at.get_or_insert(now.max(self.state.submitted_at));
            self.set_job_status(JobStatus::Running, actions);
        } else if self.is_paused() && self.state.started_at.is_none() {
            // A wait can begin while the job is paused.
            self.state.started_at = Some(now.max(self.state.submitted_at));
            self.persist_job(actions);
        }
    }

    /// Ends a task whose result is already in its state. Returns the tasks that have become ready. Tasks that cannot
    /// run any more are left to [`super::sweep`].
    pub(super) fn end_task(
        &mut self,
        index: u32,
        status: TaskStatus,
        now: Timestamp,
        actions: &mut Vec<Action>,
    ) -> Vec<u32> {
        self.close_task(index, status, now, actions);
        self.add_result_bytes(index);
        let counts_as = self.task(index).state().counts_as();
        if counts_as == TaskStatus::Success {
            return self.count_success(index);
        }
        if !self.cancelled {
            self.look_downstream(index);
        }
        if counts_as == TaskStatus::Failed && self.phase() == Phase::Tasks {
            self.note_failure(index, actions);
        }
        Vec::new()
    }

    /// Counts the success of a task, or a failure that is recovered. Returns the tasks that have become ready.
    pub(super) fn count_success(&mut self, index: u32) -> Vec<u32> {
        let mut ready = Vec::new();
        for at in 0..self.downstream.of(index).len() {
            let next = self.downstream.of(index)[at];
            match self.count_upstream(next, TaskStatus::Success) {
                Decision::Wait => {}
                Decision::Run => ready.push(next),
                Decision::Skip => self.skip(next),
                Decision::UpstreamFailed => panic!("{:?} fails after a success", self.id.task(next)),
            }
        }
        ready
    }

    /// This task has failed; it may be the first one.
    pub(super) fn note_failure(&mut self, index: u32, actions: &mut Vec<Action>) {
        if self.state.first_failure.is_none() {
            self.state.first_failure = Some(Arc::new(self.failure_of(index)));
            // If this was the last open task, the job ends in this turn, and its end is stored with the failure.
            if self.open > 0 {
                self.persist_job(actions);
            }
        }
    }

    /// Counts the end of a dependency. Returns what follows for the task, unless that was decided before.
    pub(super) fn count_upstream(&mut self, index: u32, status: TaskStatus) -> Decision {
        let task = &mut self.tasks[index as usize];
        task.upstream.count(status);
        let is_open = task.place == Place::Blocked && !self.cancelled;
        if is_open { task.decision() } else { Decision::Wait }
    }

    /// Ends a task that has been withdrawn.
    ///
    /// # Panics
    /// If the task was not withdrawn, which is a bug of the machine.
    pub(super) fn close_task(&mut self, index: u32, status: TaskStatus, now: Timestamp, actions: &mut Vec<Action>) {
        self.set_status(index, status, actions);
        let id = self.id;
        let stop = self.handler_stop().filter(|_| status == TaskStatus::Cancelled).map(|stop| Arc::clone(&stop.why));
        let task = self.task_mut(index);
        if let Some(why) = stop {
            task.state_mut()
                .msg
                .get_or_insert_with(|| format!("was stopped with the handlers of its job: {why}").into());
        }
        assert!(task.place == Place::Blocked, "{:?} ends and is still {:?}", id.task(index), task.place);
        task.place = Place::Ended;
        let state = task.state_mut();
        // The wall clock may have been set back. The times of a record must stay in order.
        state.ended_at = Some(now).max(state.submitted_at).max(state.started_at);
        state.launched = false;
        self.close_wait(index);
        if (index as usize) < self.tasks.len() {
            self.open -= 1;
            self.count_ended_wait(index);
        } else {
            self.count_item(index, status);
        }
        self.persist_task(index, actions);
    }

    /// Whether its tasks were being stopped when the dispatcher ended. An earlier version of Hub had no status for that.
    pub(super) fn was_stopping(&self) -> bool {
        if self.phase() > Phase::Tasks {
            return self.handler_stop().is_some();
        }
        let is_cancelled = |task: &LiveTask| task.state().status == TaskStatus::Cancelled;
        self.state.status == JobStatus::Cancelling || !self.is_marked_failed() && self.tasks.iter().any(is_cancelled)
    }

    /// Continues work that was interrupted by a restart: ends the tasks that depend on an unsuccessful one.
    pub(super) fn resume(&mut self) {
        for index in 0..self.tasks.len() as u32 {
            let task = self.task(index);
            if task.place == Place::Ended && task.state().counts_as() != TaskStatus::Success {
                self.look_downstream(index);
            }
        }
    }

    /// Marks the job to fail with the message `why`. The mark is stored immediately, because cancelling the tasks can
    /// take several turns, and the job must fail with the same message after a crash in between.
    pub(super) fn mark_failed(&mut self, why: Arc<str>, actions: &mut Vec<Action>) {
        self.state.msg = Some(why);
        self.persist_job(actions);
    }

    /// Whether [`LiveJob::mark_failed`] was called. No other live job has a message.
    pub(super) fn is_marked_failed(&self) -> bool {
        self.state.msg.is_some() && self.phase() == Phase::Tasks
    }

    pub(super) fn persist_job(&self, actions: &mut Vec<Action>) {
        actions.push(Action::Persist(Change::JobChanged { id: self.id, state: self.state.clone() }));
    }

    pub(super) fn set_job_status(&mut self, next: JobStatus, actions: &mut Vec<Action>) {
        let current = self.state.status;
        assert!(current.may_become(next), "{:?} cannot go from {current} to {next}", self.id);
        self.state.status = next;
        self.persist_job(actions);
        actions.push(Action::Notify(Notice::Job {
            id: self.id,
            name: Arc::clone(self.job.shared_name()),
            status: next,
        }));
    }

    /// Fills a template of the job from the states of the tasks and, for an item, from its value, with at most `limit` bytes. The
    /// tasks that it refers to have ended.
    pub(super) fn fill(
        &mut self,
        template: &Template,
        limit: usize,
        item: Option<(ItemPlace, Json)>,
    ) -> Result<Json, FillError> {
        let (owner, job, tasks) = (Owner::of(self.id, &self.job, &self.state), &self.job, &self.tasks);
        let state_of = |task: u32| Some(tasks[task as usize].state());
        if job.has_items()
            && let Some(bytes) = template.references().find_map(|reference| {
                let (task, attribute) = owner.read_from(reference.task, reference.attribute, state_of)?;
                let counts = state_of(task)?.details.as_ref()?.rare().items?;
                counts.data_bytes.filter(|_| attribute == Attribute::Data)
            })
        {
            return Err(FillError::TooLarge { bytes, limit });
        }
        if let Some((place, _)) = &item {
            self.values.forget_item(place.task);
        }
        let value = |task: u32, attribute| match (attribute, &item) {
            (Attribute::Item, Some((_, value))) => Some(value.clone()),
            (Attribute::Index, Some((place, _))) => Some(Json::from_checked(place.item.to_string())),
            _ => owner.value_of(task, attribute, state_of),
        };
        let task_read = |task, attribute| owner.task_read(task, attribute, state_of);
        job.fill(template, limit, &mut self.values, Lookup { value, task_read })
    }

    /// The number of bytes of results traversed so far to fill templates.
    pub(super) const fn walked_bytes(&self) -> usize {
        self.values.walked()
    }
}

/// The job that references belong to.
#[derive(Clone, Copy)]
pub(crate) struct Owner<'j> {
    id: JobId,
    job: &'j Job,
    state: &'j JobState,
}

impl<'j> Owner<'j> {
    pub(crate) const fn of(id: JobId, job: &'j Job, state: &'j JobState) -> Self {
        Self { id, job, state }
    }

    /// The task that is read and what is read of it: those given, unless this is something of the first upstream task.
    fn read_from<'s>(
        self,
        index: u32,
        attribute: Attribute,
        state_of: impl Fn(u32) -> Option<&'s TaskState>,
    ) -> Option<(u32, Attribute)> {
        let Some(of_first) = attribute.of_first() else { return Some((index, attribute)) };
        Some((state_of(index)?.details.as_deref()?.first?, of_first))
    }

    /// The task that is read, for [`crate::job::Source`].
    pub(crate) fn task_read<'s>(
        self,
        index: u32,
        attribute: Attribute,
        state_of: impl Fn(u32) -> Option<&'s TaskState>,
    ) -> u32 {
        self.read_from(index, attribute, state_of).map_or(index, |(index, _)| index)
    }

    /// The value of an attribute of the task at `index`, or of the job. `state_of` returns the state of a task.
    pub(crate) fn value_of<'s>(
        self,
        index: u32,
        attribute: Attribute,
        state_of: impl Fn(u32) -> Option<&'s TaskState>,
    ) -> Option<Json> {
        let (index, attribute) = self.read_from(index, attribute, &state_of)?;
        let task = state_of(index)?;
        match attribute {
            Attribute::Data => task.data.clone(),
            Attribute::Id => Some(Json::string(&self.id.task(index).to_string())),
            Attribute::Name => Some(Json::string(self.job.spec(index).name())),
            Attribute::Status => Some(Json::string(task.status.as_str())),
            Attribute::JobId => Some(Json::string(&self.id.to_string())),
            Attribute::JobName => Some(Json::string(self.job.name())),
            Attribute::JobScheduledAt => {
                let run = self.state.details.as_deref().and_then(|details| details.run.as_deref());
                Some(run.map_or_else(Json::null, |run| Json::string(&run.at.to_string())))
            }
            Attribute::JobFailure => self.state.failure().cloned(),
            Attribute::Input => self.state.details.as_deref()?.inputs.clone(),
            // Known only to the item itself.
            Attribute::Item | Attribute::Index => None,
            Attribute::FirstData
            | Attribute::FirstId
            | Attribute::FirstName
            | Attribute::FirstStatus
            | Attribute::FirstError => unreachable!("read of the first task"),
            Attribute::Error | Attribute::Failure => {
                let error = task.error.as_ref()?;
                serde_json::to_value(&**error).ok().map(Json::from)
            }
        }
    }
}
