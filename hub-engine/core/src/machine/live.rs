//! A job that has not ended: the states of its tasks, and what ends it.

use std::fmt::Write as _;
use std::sync::Arc;

use super::downstream::Downstream;
use crate::action::{Action, Change, Notice};
use crate::job::{Attribute, Job, ResolveError, Task, Template};
use crate::state::{FirstFailure, JobSnapshot, JobState, JobSummary, TaskState};
use crate::{JobId, JobStatus, Json, TaskStatus, Timestamp};

/// A job that has not ended.
#[derive(Debug)]
pub(super) struct LiveJob {
    pub(super) id: JobId,
    pub(super) job: Arc<Job>,
    pub(super) state: JobState,
    pub(super) tasks: Vec<LiveTask>,
    downstream: Downstream,
    /// Tasks that have not ended.
    open: u32,
    cancelled: bool,
    /// Why the job is to fail, whatever its tasks do.
    condemned: Option<Arc<str>>,
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

/// Where the machine has a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Waits for other tasks.
    Blocked,
    /// In its pool's queue.
    Queued,
    /// Waits for a worker that has its module.
    Parked,
    /// Waits for a moment to pass.
    Resting,
    /// On the broker or with a worker, in its pool's window.
    Window,
    /// Held by the lease of the worker that its state names.
    Leased,
    /// Launched; awaits its result from outside.
    Launched,
    /// Ended.
    Nowhere,
}

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

    /// Where it stands, to be changed in everything but its status: that is [`LiveJob::set_status`]'s.
    pub(super) fn state_mut(&mut self) -> &mut TaskState {
        Arc::make_mut(self.state.get_or_insert_with(|| Arc::new(TaskState::pending())))
    }

    fn with_state(state: TaskState, waiting: u32) -> Self {
        let place = if state.status.is_terminal() { Place::Nowhere } else { Place::Blocked };
        Self { state: (state != UNTOUCHED).then(|| Arc::new(state)), waiting, place }
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

    /// A job as it stood. Every task is in place `Blocked`, or `Nowhere` where it has ended.
    ///
    /// # Panics
    /// Where there are not as many states as tasks.
    pub(super) fn with_states(id: JobId, job: Arc<Job>, state: JobState, states: Vec<TaskState>) -> Self {
        assert_eq!(states.len(), job.tasks().len(), "{id:?} was kept with states for other tasks");
        let succeeded: Vec<bool> = states.iter().map(|state| state.status == TaskStatus::Success).collect();
        let open = |task: &Task| task.upstream().iter().filter(|before| !succeeded[**before as usize]).count();
        let tasks = states.into_iter().zip(job.tasks());
        let tasks = tasks.map(|(state, task)| LiveTask::with_state(state, open(task) as u32)).collect();
        Self::with_tasks(id, job, state, tasks)
    }

    fn with_tasks(id: JobId, job: Arc<Job>, state: JobState, tasks: Vec<LiveTask>) -> Self {
        let open = tasks.iter().filter(|task| task.place != Place::Nowhere).count() as u32;
        Self { id, downstream: Downstream::new(&job), job, state, tasks, open, cancelled: false, condemned: None }
    }

    /// The job as it stands; nothing of it waits.
    pub(super) fn into_snapshot(self) -> JobSnapshot {
        let tasks = self.tasks.into_iter().map(|task| task.state.map_or_else(TaskState::pending, Arc::unwrap_or_clone));
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
            self.state.started_at.get_or_insert(now);
            self.set_job_status(JobStatus::Running, actions);
        }
    }

    /// Ends a task whose result is already in its state, and with it what cannot run any more.
    pub(super) fn end_task(
        &mut self,
        index: u32,
        status: TaskStatus,
        now: Timestamp,
        actions: &mut Vec<Action>,
    ) -> Ripple {
        let mut ripple = Ripple::default();
        self.close_task(index, status, now, actions);
        if status == TaskStatus::Success {
            for at in 0..self.downstream.of(index).len() {
                let next = self.downstream.of(index)[at];
                let task = self.task_mut(next);
                task.waiting -= 1;
                if task.waiting == 0 && task.place == Place::Blocked {
                    ripple.ready.push(next);
                }
            }
        } else if !self.cancelled {
            self.fail_downstream(index, now, actions);
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

    /// Everything behind a task that did not succeed will not run. A list instead of recursion: chains are long.
    fn fail_downstream(&mut self, index: u32, now: Timestamp, actions: &mut Vec<Action>) {
        let mut behind = vec![index];
        while let Some(failed) = behind.pop() {
            for at in 0..self.downstream.of(failed).len() {
                let next = self.downstream.of(failed)[at];
                if self.task(next).place != Place::Blocked {
                    continue;
                }
                let name = self.spec(index).name();
                let msg = format!("did not run, because the task {name:?} did not succeed");
                self.task_mut(next).state_mut().msg = Some(msg.into());
                self.close_task(next, TaskStatus::UpstreamFailed, now, actions);
                behind.push(next);
            }
        }
    }

    fn close_task(&mut self, index: u32, status: TaskStatus, now: Timestamp, actions: &mut Vec<Action>) {
        self.set_status(index, status, actions);
        let task = self.task_mut(index);
        task.place = Place::Nowhere;
        let state = task.state_mut();
        state.ended_at = Some(now);
        state.launched = false;
        self.open -= 1;
        self.persist_task(index, actions);
    }

    /// Cancels every task that has not ended; returns the places of those that had one.
    pub(super) fn cancel(&mut self, now: Timestamp, actions: &mut Vec<Action>) -> Vec<(u32, Place)> {
        self.cancelled = true;
        let mut taken_out = Vec::new();
        for index in 0..self.tasks.len() as u32 {
            let place = self.task(index).place;
            if place == Place::Nowhere {
                continue;
            }
            self.close_task(index, TaskStatus::Cancelled, now, actions);
            if place != Place::Blocked {
                taken_out.push((index, place));
            }
        }
        taken_out
    }

    /// Ends what waits for a task that did not succeed, where that was not kept.
    pub(super) fn end_hopeless(&mut self, now: Timestamp, actions: &mut Vec<Action>) {
        for index in 0..self.tasks.len() as u32 {
            let task = self.task(index);
            if task.place == Place::Nowhere && task.state().status != TaskStatus::Success {
                self.fail_downstream(index, now, actions);
            }
        }
    }

    /// Ends a job that cannot go on: every task that has not ended is cancelled, and the job fails with `why`.
    pub(super) fn condemn(&mut self, why: Arc<str>) {
        self.condemned = Some(why);
    }

    /// Ends the job. Every task has ended.
    pub(super) fn finish(&mut self, now: Timestamp, actions: &mut Vec<Action>) {
        let status = if let Some(why) = self.condemned.take() {
            self.state.msg = Some(why);
            JobStatus::Failed
        } else if self.cancelled {
            JobStatus::Cancelled
        } else if let Some(msg) = self.sum_up_failures() {
            self.state.msg = Some(msg.into());
            JobStatus::Failed
        } else {
            match self.job.output().map(|output| self.resolve(output)) {
                None => JobStatus::Success,
                Some(Ok(output)) => {
                    self.state.output = Some(output);
                    JobStatus::Success
                }
                Some(Err(error)) => {
                    let name = self.spec(error.task).name();
                    self.state.msg = Some(format!("the output cannot be built from the task {name:?}: {error}").into());
                    JobStatus::Failed
                }
            }
        };
        self.state.ended_at = Some(now);
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
        FirstFailure::new(self.spec(index).name(), self.task(index).state().msg.as_deref().unwrap_or_default())
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

    /// Fills a template from the tasks as they stand.
    pub(super) fn resolve(&self, template: &Template) -> Result<Json, ResolveError> {
        template.resolve(|task, attribute| value_of(self.id, &self.job, task, self.task(task).state(), attribute))
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
