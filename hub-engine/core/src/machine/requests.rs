//! Requests of users: submit, and results from outside.

use std::sync::Arc;

use super::Machine;
use super::live::LiveJob;
use super::place::Place;
use super::texts;
use super::trigger::Decision;
use super::types::{OutOfBounds, PostError, Posted, Refused, Submitted, Update};
use crate::action::{Action, Change, Notice};
use crate::job::{AnyInputs, Job};
use crate::state::{ErrorKind, JobState, TaskError};
use crate::text::cut;
use crate::{JobId, JobStatus, Json, Now, TaskId, TaskStatus};

impl Machine {
    /// Adds a job, with the inputs that were given with it. Submitting the same job under the same id again has no effect.
    ///
    /// # Errors
    /// If the id belongs to another job, or the ids of the tasks would collide with those of another job.
    pub fn submit(&mut self, id: JobId, job: Arc<Job>, now: Now) -> Result<Submitted, Refused> {
        let inputs = job.checked_inputs(&AnyInputs, 0).ok().flatten();
        self.submit_with(id, job, inputs, now)
    }

    /// Like [`Machine::submit`], with inputs that match the schema of the job: see [`Job::checked_inputs`].
    ///
    /// # Errors
    /// Those of [`Machine::submit`].
    pub fn submit_with(
        &mut self,
        id: JobId,
        job: Arc<Job>,
        inputs: Option<Json>,
        now: Now,
    ) -> Result<Submitted, Refused> {
        if let Some(known) = self.jobs.of_family(id.family()) {
            let same = known == id && self.jobs.job(known).job.source() == job.source();
            return if same { Ok(Submitted::Known) } else { Err(Refused::IdTaken) };
        }
        let mut state = JobState::pending(now.wall);
        if let Some(inputs) = inputs {
            state.details_mut().inputs = Some(inputs);
        }
        self.add(id, job, state, now);
        Ok(Submitted::New)
    }

    /// Adds a new job.
    pub(super) fn add(&mut self, id: JobId, job: Arc<Job>, state: JobState, now: Now) {
        self.actions.push(Action::Persist(Change::JobAdded { id, job: Arc::clone(&job), submitted_at: now.wall }));
        if state.details.is_some() {
            self.actions.push(Action::Persist(Change::JobChanged { id, state: state.clone() }));
        }
        self.actions.push(Action::Notify(Notice::Job {
            id,
            name: Arc::clone(job.shared_name()),
            status: JobStatus::Pending,
        }));
        let has_times = job.has_times();
        let mut live = LiveJob::new(id, job, state);
        live.waits_for_start = live.is_before_start(now.wall);
        let ready: Vec<u32> =
            live.positions_until_now().filter(|index| live.task(*index).decision() == Decision::Run).collect();
        self.insert(live);
        if has_times {
            self.set_job_timers(id, now);
        }
        self.make_ready(id, &ready, now);
        // Conditions may have ended tasks.
        self.sweep(id, now);
    }

    /// Ends a task with a result from outside. The task was launched or handed out. A running issue of it is stopped.
    ///
    /// # Errors
    /// If the task is unknown, has not started or has ended with another result, or the value is beyond the limits.
    ///
    /// # Panics
    /// If the status is neither `Success` nor `Failed`.
    pub fn post_result(&mut self, task: TaskId, update: Update, now: Now) -> Result<Posted, PostError> {
        let is_success = update.status == TaskStatus::Success;
        assert!(is_success || update.status == TaskStatus::Failed, "a result from outside cannot be {}", update.status);
        let (id, index) = self.find_task(task).ok_or(PostError::UnknownTask)?;
        update.data.as_ref().map_or(Ok(()), |data| OutOfBounds::check(data, self.settings.max_value_bytes))?;
        let spec = self.jobs.job(id).spec(index);
        if spec.wait().is_some() {
            return Err(PostError::Wait);
        }
        if spec.sub_job().is_some() {
            return Err(PostError::SubJob);
        }
        if spec.for_each().is_some() && self.jobs.job(id).job.item(index).is_none() {
            return Err(PostError::Items);
        }
        let live = self.jobs.job_mut(id).task_mut(index);
        let data = is_success.then(|| update.data.unwrap_or_else(Json::null));
        match live.state().status {
            TaskStatus::Pending => return Err(PostError::NotStarted),
            status if status.is_terminal() => {
                let is_same = status == update.status && live.state().data == data;
                return if is_same { Ok(Posted::AlreadySame) } else { Err(PostError::AlreadyEnded) };
            }
            _ => {}
        }
        let state = live.state_mut();
        state.data = data;
        if !is_success {
            let msg = update.msg.map(|msg| cut(msg, texts::MAXIMUM_MESSAGE));
            state.msg = Some(msg.unwrap_or_else(|| "failed by a posted result".into()));
            let error = TaskError::new(ErrorKind::Posted);
            state.error = Some(Arc::new(error));
        }
        let issue = state.issue;
        let place = self.withdraw(id, index);
        let is_out = place.is_out();
        if let Some(issue) = issue.filter(|_| is_out) {
            let grace = self.jobs.job(id).grace(index);
            self.actions.push(Action::Stop { issue: issue.of(task), grace });
        }
        if is_success {
            // A result that replaces that of a worker was not computed by the module.
            if place == Place::Launched {
                self.keep_result(id, index, None, now);
            }
            self.end(id, index, TaskStatus::Success, now);
        } else {
            self.end_attempt(id, index, now);
        }
        Ok(Posted::Applied)
    }
}
