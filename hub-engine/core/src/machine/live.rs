//! A job that has not ended: the states of its tasks, and what ends it.

use std::fmt::Write as _;
use std::sync::Arc;

use super::downstream::Downstream;
use super::place::Place;
use super::sweep::Sweep;
use crate::action::{Action, Change, Notice};
use crate::job::{Attribute, FillError, Job, Task, Template, Values};
use crate::state::{FirstFailure, JobSnapshot, JobState, JobSummary, TaskState};
use crate::{JobId, JobStatus, Json, TaskStatus, Timestamp};

/// A job that has not ended.
#[derive(Debug)]
pub(super) struct LiveJob {
    pub(super) id: JobId,
    pub(super) job: Arc<Job>,
    pub(super) state: JobState,
    pub(super) tasks: Vec<LiveTask>,
    pub(super) downstream: Downstream,
    pub(super) sweep: Sweep,
    /// What references have found in the results of its tasks.
    values: Values,
    /// Tasks that have not ended.
    open: u32,
    pub(super) cancelled: bool,
    /// How much memory it takes, about: see [`LiveJob::bytes`].
    bytes: u64,
}

/// A task of such a job. Most tasks of a large job wait most of the time: those take next to no memory.
#[derive(Debug)]
pub(super) struct LiveTask {
    /// `None` as long as nothing has happened to it.
    state: Option<Arc<TaskState>>,
    /// Tasks it waits for.
    pub(super) waiting: u32,
    pub(super) place: Place,
}

/// How often the text of a job is in memory: as it was submitted, and in its templates and names.
const TEXT_COPIES: u64 = 2;
/// How much memory a task takes beside its texts, about.
const TASK_BYTES: u64 = 500;

/// The state of every task that nothing has happened to.
static UNTOUCHED: TaskState = TaskState::pending();

/// What ending a task has set free.
#[derive(Debug, Default)]
pub(super) struct Ripple {
    /// Tasks that wait for nothing any more.
    pub(super) ready: Vec<u32>,
}

impl LiveTask {
    /// Where it stands.
    pub(super) fn state(&self) -> &TaskState {
        self.state.as_deref().unwrap_or(&UNTOUCHED)
    }

    /// Where it stands, shared. `None` as long as nothing has happened to it.
    pub(super) fn shared(&self) -> Option<Arc<TaskState>> {
        self.state.clone()
    }

    /// Where it stands, to be changed in everything but its status: that is [`LiveJob::set_status`]'s.
    pub(super) fn state_mut(&mut self) -> &mut TaskState {
        Arc::make_mut(self.state.get_or_insert_with(|| Arc::new(TaskState::pending())))
    }

    /// How much memory what has come of it takes, about.
    fn bytes(&self) -> u64 {
        let state = self.state();
        let text = |text: &Option<Arc<str>>| text.as_ref().map_or(0, |text| text.len());
        let data = state.data.as_ref().map_or(0, |data| data.get().len());
        let traceback = state.error.as_ref().map_or(0, |error| text(&error.traceback));
        (data + traceback + text(&state.msg) + text(&state.log)) as u64
    }

    fn with_state(state: Arc<TaskState>, waiting: u32) -> Self {
        let place = if state.status.is_terminal() { Place::Ended } else { Place::Blocked };
        Self { state: (*state != UNTOUCHED).then_some(state), waiting, place }
    }
}

impl LiveJob {
    /// A job none of whose tasks has begun.
    pub(super) fn new(id: JobId, job: Arc<Job>, now: Timestamp) -> Self {
        let state = JobState::pending(now);
        let untouched =
            |task: &Task| LiveTask { state: None, waiting: task.upstream().len() as u32, place: Place::Blocked };
        let tasks = job.tasks().iter().map(untouched).collect();
        Self::with_tasks(id, job, state, tasks)
    }

    /// A job as it stood. Every task is in place `Blocked`, or `Ended` where it has ended.
    ///
    /// # Panics
    /// Where there are not as many states as tasks.
    pub(super) fn with_states(id: JobId, job: Arc<Job>, state: JobState, states: Vec<Arc<TaskState>>) -> Self {
        assert_eq!(states.len(), job.tasks().len(), "{id:?} was kept with states for other tasks");
        let succeeded: Vec<bool> = states.iter().map(|state| state.status == TaskStatus::Success).collect();
        let open = |task: &Task| task.upstream().iter().filter(|before| !succeeded[**before as usize]).count();
        let tasks = states.into_iter().zip(job.tasks());
        let tasks = tasks.map(|(state, task)| LiveTask::with_state(state, open(task) as u32)).collect();
        Self::with_tasks(id, job, state, tasks)
    }

    fn with_tasks(id: JobId, job: Arc<Job>, state: JobState, tasks: Vec<LiveTask>) -> Self {
        let open = tasks.iter().filter(|task| task.place != Place::Ended).count() as u32;
        let downstream = Downstream::new(&job);
        let results: u64 = tasks.iter().map(LiveTask::bytes).sum();
        Self {
            id,
            downstream,
            sweep: Sweep::default(),
            values: Values::default(),
            bytes: results + job.source().len() as u64 * TEXT_COPIES + tasks.len() as u64 * TASK_BYTES,
            job,
            state,
            tasks,
            open,
            cancelled: false,
        }
    }

    /// The job as it stands; nothing of it waits.
    pub(super) fn into_snapshot(self) -> JobSnapshot {
        let pending = Arc::new(TaskState::pending());
        let tasks = self.tasks.into_iter().map(|task| task.state.unwrap_or_else(|| Arc::clone(&pending)));
        JobSnapshot { id: self.id, job: self.job, state: self.state, tasks: tasks.collect(), waiting: Vec::new() }
    }

    pub(super) fn summary(&self) -> JobSummary {
        let (tasks, open) = (self.tasks.len(), self.open as usize);
        JobSummary::new(self.id, self.job.name(), &self.state, tasks, tasks - open)
    }

    pub(super) fn spec(&self, index: u32) -> &Task {
        &self.job.tasks()[index as usize]
    }

    pub(super) fn task(&self, index: u32) -> &LiveTask {
        &self.tasks[index as usize]
    }

    pub(super) fn task_mut(&mut self, index: u32) -> &mut LiveTask {
        &mut self.tasks[index as usize]
    }

    /// How much memory the job takes, about: its text, its tasks, and what has come of them.
    pub(super) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether every task has ended.
    pub(super) const fn is_over(&self) -> bool {
        self.open == 0
    }

    /// Changes a task's status. The only place that does.
    ///
    /// # Panics
    /// Where the table does not have the change: that is a bug of the machine's.
    pub(super) fn set_status(&mut self, index: u32, next: TaskStatus, actions: &mut Vec<Action>) {
        let task = &mut self.tasks[index as usize];
        let current = task.state().status;
        assert!(current.may_become(next), "task {} cannot go from {current} to {next}", self.id.task(index));
        task.state_mut().status = next;
        actions.push(Action::Notify(Notice::Task {
            job: self.id,
            id: self.id.task(index),
            name: Arc::clone(self.job.tasks()[index as usize].name()),
            status: next,
        }));
    }

    /// Has the store keep a task as it stands.
    pub(super) fn persist_task(&self, index: u32, actions: &mut Vec<Action>) {
        let state = self.task(index).state.clone().unwrap_or_else(|| Arc::new(TaskState::pending()));
        actions.push(Action::Persist(Change::TaskChanged { job: self.id, index, state }));
    }

    /// The first task is handed out.
    pub(super) fn begin(&mut self, now: Timestamp, actions: &mut Vec<Action>) {
        if self.state.status == JobStatus::Pending {
            self.state.started_at.get_or_insert(now.max(self.state.submitted_at));
            self.set_job_status(JobStatus::Running, actions);
        }
    }

    /// Ends a task whose result is already in its state. What cannot run any more is left to [`super::sweep`].
    pub(super) fn end_task(
        &mut self,
        index: u32,
        status: TaskStatus,
        now: Timestamp,
        actions: &mut Vec<Action>,
    ) -> Ripple {
        let mut ripple = Ripple::default();
        self.close_task(index, status, now, actions);
        self.bytes += self.task(index).bytes();
        if status == TaskStatus::Success {
            for at in 0..self.downstream.of(index).len() {
                let next = self.downstream.of(index)[at];
                let task = &mut self.tasks[next as usize];
                task.waiting -= 1;
                if task.waiting == 0 && task.place == Place::Blocked && !self.cancelled {
                    ripple.ready.push(next);
                }
            }
        } else if !self.cancelled {
            self.fail_downstream(index);
        }
        if status == TaskStatus::Failed && self.state.first_failure.is_none() {
            self.state.first_failure = Some(Arc::new(self.failure_of(index)));
            // Where nothing is left to do, the job ends at once, and its end is kept with this.
            if self.open > 0 {
                self.persist_job(actions);
            }
        }
        ripple
    }

    /// Ends a task that is in no place any more.
    ///
    /// # Panics
    /// Where it was not withdrawn: that is a bug of the machine's.
    pub(super) fn close_task(&mut self, index: u32, status: TaskStatus, now: Timestamp, actions: &mut Vec<Action>) {
        self.set_status(index, status, actions);
        let id = self.id;
        let task = self.task_mut(index);
        assert!(task.place == Place::Blocked, "{:?} ends and is still {:?}", id.task(index), task.place);
        task.place = Place::Ended;
        let state = task.state_mut();
        // The wall clock may have been set back meanwhile: the times of a record stay in their order.
        state.ended_at = Some(now).max(state.submitted_at).max(state.started_at);
        state.launched = false;
        self.open -= 1;
        self.persist_task(index, actions);
    }

    /// Goes on with what was begun and not kept: the end of what waits for a task that did not succeed, and of the
    /// tasks of a job that was cancelled or condemned.
    pub(super) fn resume(&mut self) {
        let is_cancelled = || self.tasks.iter().any(|task| task.state().status == TaskStatus::Cancelled);
        if self.is_condemned() || is_cancelled() {
            return self.begin_cancel();
        }
        for index in 0..self.tasks.len() as u32 {
            let task = self.task(index);
            if task.place == Place::Ended && task.state().status != TaskStatus::Success {
                self.fail_downstream(index);
            }
        }
    }

    /// The job is to fail with `why`, whatever its tasks do. This is kept at once: cancelling its tasks can take several
    /// turns, and the job must fail with the same message after a crash in between.
    pub(super) fn condemn(&mut self, why: Arc<str>, actions: &mut Vec<Action>) {
        self.state.msg = Some(why);
        self.persist_job(actions);
    }

    /// Whether [`LiveJob::condemn`] was called: no other live job has a message.
    const fn is_condemned(&self) -> bool {
        self.state.msg.is_some()
    }

    /// Ends the job. Every task has ended. Its output has `limit` bytes at most.
    pub(super) fn finish(&mut self, limit: usize, now: Timestamp, actions: &mut Vec<Action>) {
        let status = if self.is_condemned() {
            JobStatus::Failed
        } else if self.cancelled {
            JobStatus::Cancelled
        } else if let Some(msg) = self.sum_up_failures() {
            self.state.msg = Some(msg.into());
            JobStatus::Failed
        } else {
            match Arc::clone(&self.job).output().map(|output| self.fill(output, limit)) {
                None => JobStatus::Success,
                Some(Ok(output)) => {
                    self.state.output = Some(output);
                    JobStatus::Success
                }
                Some(Err(error)) => {
                    self.state.msg = Some(self.why_no_output(&error).into());
                    JobStatus::Failed
                }
            }
        };
        self.state.ended_at = Some(now).max(self.state.started_at).max(Some(self.state.submitted_at));
        self.set_job_status(status, actions);
    }

    /// What failed, for people. `None` where nothing did.
    fn sum_up_failures(&self) -> Option<String> {
        let count = |status| self.tasks.iter().filter(|task| task.state().status == status).count();
        let (failed, not_run) = (count(TaskStatus::Failed), count(TaskStatus::UpstreamFailed));
        if failed + not_run == 0 {
            return None;
        }
        let mut text = format!("{failed} of {} tasks failed", self.tasks.len());
        if let Some(FirstFailure { task, msg }) = self.state.first_failure.as_deref() {
            let _ = write!(text, "{} {task:?}: {msg}", if failed == 1 { ":" } else { "; first:" });
        }
        match not_run {
            0 => {}
            1 => text.push_str("; 1 task did not run"),
            _ => drop(write!(text, "; {not_run} tasks did not run")),
        }
        Some(text)
    }

    fn failure_of(&self, index: u32) -> FirstFailure {
        let state = self.task(index).state();
        let type_name = state.error.as_deref().and_then(|error| error.type_name.as_deref());
        FirstFailure::new(self.spec(index).name(), type_name, state.msg.as_deref().unwrap_or_default())
    }

    /// Finds the first failure again, where that was not kept with the job.
    pub(super) fn recall_first_failure(&mut self) {
        let failed = |index: &u32| self.task(*index).state().status == TaskStatus::Failed;
        let first = (0..self.tasks.len() as u32).filter(failed).min_by_key(|index| self.task(*index).state().ended_at);
        if self.state.first_failure.is_none() {
            self.state.first_failure = first.map(|index| Arc::new(self.failure_of(index)));
        }
    }

    fn persist_job(&self, actions: &mut Vec<Action>) {
        actions.push(Action::Persist(Change::JobChanged { id: self.id, state: self.state.clone() }));
    }

    fn set_job_status(&mut self, next: JobStatus, actions: &mut Vec<Action>) {
        let current = self.state.status;
        assert!(current.may_become(next), "{:?} cannot go from {current} to {next}", self.id);
        self.state.status = next;
        self.persist_job(actions);
        actions.push(Action::Notify(Notice::Job { id: self.id, name: self.job.name().into(), status: next }));
    }

    /// Fills one of the job's templates from the tasks as they stand, with `limit` bytes at most. The tasks that it
    /// refers to have ended.
    pub(super) fn fill(&mut self, template: &Template, limit: usize) -> Result<Json, FillError> {
        let (id, job, tasks) = (self.id, &self.job, &self.tasks);
        let lookup = |task: u32, attribute| value_of(id, job, task, tasks[task as usize].state(), attribute);
        job.fill(template, limit, &mut self.values, lookup)
    }

    /// How many bytes of results were walked through so far to fill templates.
    pub(super) const fn walked(&self) -> usize {
        self.values.walked()
    }

    fn why_no_output(&self, error: &FillError) -> String {
        match error {
            FillError::Missing(missing) => {
                let name = self.spec(missing.task).name();
                format!("the output cannot be built from the task {name:?}: {missing}")
            }
            FillError::TooLarge { .. } => format!("the output would have {error}"),
            FillError::TooDeep => format!("the output would be {error}"),
        }
    }
}

/// What a reference to a task yields.
pub(crate) fn value_of(job: JobId, spec: &Job, index: u32, state: &TaskState, attribute: Attribute) -> Option<Json> {
    match attribute {
        Attribute::Data => state.data.clone(),
        Attribute::Id => Some(Json::string(&job.task(index).to_string())),
        Attribute::Name => Some(Json::string(spec.tasks()[index as usize].name())),
        Attribute::Status => Some(Json::string(state.status.as_str())),
        Attribute::Error => {
            let error = state.error.as_ref()?;
            serde_json::to_value(&**error).ok().map(Json::from)
        }
    }
}
