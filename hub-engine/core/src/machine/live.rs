//! A job that has not ended: the states of its tasks.

use std::sync::Arc;

use super::downstream::Downstream;
use super::place::Place;
use super::remainder::Remainder;
use super::trigger::{Decision, Rule, Upstream};
use crate::action::{Action, Change, Notice};
use crate::job::{Attribute, FillError, Job, Task, Template, Values};
use crate::state::{JobSnapshot, JobState, JobSummary, TaskState};
use crate::{JobId, JobStatus, Json, TaskStatus, Timestamp};

/// A job that has not ended.
#[derive(Debug)]
pub(super) struct LiveJob {
    pub(super) id: JobId,
    pub(super) job: Arc<Job>,
    pub(super) state: JobState,
    pub(super) tasks: Vec<LiveTask>,
    pub(super) downstream: Downstream,
    pub(super) sweep: Remainder,
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
    /// How the tasks stand that it depends on, and what follows from that.
    pub(super) upstream: Upstream,
    pub(super) rule: Rule,
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

    /// What becomes of it, as far as the tasks that it depends on decide that.
    pub(super) const fn decision(&self) -> Decision {
        self.upstream.decide(self.rule)
    }

    /// How much memory what has come of it takes, about.
    fn bytes(&self) -> u64 {
        let state = self.state();
        let text = |text: &Option<Arc<str>>| text.as_ref().map_or(0, |text| text.len());
        let data = state.data.as_ref().map_or(0, |data| data.get().len());
        let traceback = state.error.as_ref().map_or(0, |error| text(&error.traceback));
        (data + traceback + text(&state.msg) + text(&state.log)) as u64
    }

    fn with_state(state: Arc<TaskState>, upstream: Upstream) -> Self {
        let place = if state.status.is_terminal() { Place::Ended } else { Place::Blocked };
        Self { state: (*state != UNTOUCHED).then_some(state), upstream, rule: Rule::AllSuccess, place }
    }
}

impl LiveJob {
    /// A job none of whose tasks has begun.
    pub(super) fn new(id: JobId, job: Arc<Job>, now: Timestamp) -> Self {
        let state = JobState::pending(now);
        let untouched = |task: &Task| LiveTask {
            state: None,
            upstream: Upstream::of(task.upstream().len()),
            rule: Rule::AllSuccess,
            place: Place::Blocked,
        };
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
        // What did not succeed is counted by `resume`, as if it ended now.
        let upstream = |task: &Task| {
            let mut upstream = Upstream::of(task.upstream().len());
            let before = task.upstream().iter().filter(|before| succeeded[**before as usize]);
            before.for_each(|_| upstream.count(TaskStatus::Success));
            upstream
        };
        let tasks = states.into_iter().zip(job.tasks());
        let tasks = tasks.map(|(state, task)| LiveTask::with_state(state, upstream(task))).collect();
        Self::with_tasks(id, job, state, tasks)
    }

    fn with_tasks(id: JobId, job: Arc<Job>, state: JobState, tasks: Vec<LiveTask>) -> Self {
        let open = tasks.iter().filter(|task| task.place != Place::Ended).count() as u32;
        let downstream = Downstream::new(&job);
        let results: u64 = tasks.iter().map(LiveTask::bytes).sum();
        Self {
            id,
            downstream,
            sweep: Remainder::default(),
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
        self.job.spec(index)
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
            name: Arc::clone(self.job.spec(index).name()),
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
                match self.count_upstream(next, status) {
                    Decision::Wait => {}
                    Decision::Run => ripple.ready.push(next),
                    Decision::Skip => self.skip(next),
                    Decision::UpstreamFailed => panic!("{:?} fails after a success", self.id.task(next)),
                }
            }
        } else if !self.cancelled {
            self.look_downstream(index);
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

    /// A task that this one depends on has ended. Returns what follows, where that is not decided already.
    pub(super) fn count_upstream(&mut self, index: u32, status: TaskStatus) -> Decision {
        let task = &mut self.tasks[index as usize];
        task.upstream.count(status);
        let is_open = task.place == Place::Blocked && !self.cancelled;
        if is_open { task.decision() } else { Decision::Wait }
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
                self.look_downstream(index);
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
    pub(super) const fn is_condemned(&self) -> bool {
        self.state.msg.is_some()
    }

    pub(super) fn persist_job(&self, actions: &mut Vec<Action>) {
        actions.push(Action::Persist(Change::JobChanged { id: self.id, state: self.state.clone() }));
    }

    pub(super) fn set_job_status(&mut self, next: JobStatus, actions: &mut Vec<Action>) {
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
}

/// What a reference to a task yields.
pub(crate) fn value_of(id: JobId, job: &Job, index: u32, state: &TaskState, attribute: Attribute) -> Option<Json> {
    match attribute {
        Attribute::Data => state.data.clone(),
        Attribute::Id => Some(Json::string(&id.task(index).to_string())),
        Attribute::Name => Some(Json::string(job.spec(index).name())),
        Attribute::Status => Some(Json::string(state.status.as_str())),
        Attribute::Error => {
            let error = state.error.as_ref()?;
            serde_json::to_value(&**error).ok().map(Json::from)
        }
    }
}
