//! What users want: submit, cancel, and results from outside.

use std::sync::Arc;

use super::Machine;
use super::live::LiveJob;
use super::texts;
use super::trigger::Decision;
use super::types::{ControlError, OutOfBounds, PostError, Posted, Refused, Submitted, Update};
use crate::action::{Action, Change, Notice};
use crate::job::Job;
use crate::state::{ErrorKind, TaskError};
use crate::text::cut;
use crate::{JobId, JobStatus, Json, Now, TaskId, TaskStatus};

impl Machine {
    /// Lets a job in. The same job under the same id again changes nothing.
    ///
    /// # Errors
    /// Where the id, or one so near that task ids would clash, belongs to another job.
    pub fn submit(&mut self, id: JobId, job: Arc<Job>, now: Now) -> Result<Submitted, Refused> {
        if let Some(known) = self.jobs.of_family(id.family()) {
            let same = known == id && self.jobs.job(known).job.source() == job.source();
            return if same { Ok(Submitted::Known) } else { Err(Refused::IdTaken) };
        }
        self.actions.push(Action::Persist(Change::JobAdded { id, job: Arc::clone(&job), submitted_at: now.wall }));
        self.actions.push(Action::Notify(Notice::Job { id, name: job.name().into(), status: JobStatus::Pending }));
        let live = LiveJob::new(id, job, now.wall);
        let count = live.tasks.len() as u32;
        let ready: Vec<u32> = (0..count).filter(|index| live.task(*index).decision() == Decision::Run).collect();
        self.insert(live);
        self.make_ready(id, &ready, now);
        // Conditions may have ended tasks.
        self.sweep(id, now);
        Ok(Submitted::New)
    }

    /// Stops a job: what waits is cancelled, what runs is told to stop, what comes of it is stale. A large job is
    /// stopped over several turns, and is live until then.
    ///
    /// # Errors
    /// Where no job that has not ended has this id.
    pub fn cancel(&mut self, id: JobId, now: Now) -> Result<(), ControlError> {
        self.jobs.find_mut(id).ok_or(ControlError::UnknownJob)?.begin_cancel();
        self.sweep(id, now);
        Ok(())
    }

    /// Fails a job that cannot go on, for a reason that is none of its tasks': what has not ended is cancelled, and `why`
    /// is the job's message.
    ///
    /// # Errors
    /// Where no job that has not ended has this id.
    pub fn fail_job(&mut self, id: JobId, why: Arc<str>, now: Now) -> Result<(), ControlError> {
        self.jobs.find_mut(id).ok_or(ControlError::UnknownJob)?.condemn(why, &mut self.actions);
        self.cancel(id, now)
    }

    /// Ends a task from outside: one that was launched, or any that was handed out. The issue that runs, if
    /// any, is not wanted any more.
    ///
    /// # Errors
    /// Where the task is unknown, waits, or has ended differently, or the value is beyond the limits.
    ///
    /// # Panics
    /// Where the status is neither `Success` nor `Failed`.
    pub fn post_result(&mut self, task: TaskId, update: Update, now: Now) -> Result<Posted, PostError> {
        let is_success = update.status == TaskStatus::Success;
        assert!(is_success || update.status == TaskStatus::Failed, "a result from outside cannot be {}", update.status);
        let (id, index) = self.find_task(task).ok_or(PostError::UnknownTask)?;
        update.data.as_ref().map_or(Ok(()), |data| OutOfBounds::check(data, self.settings.max_value_bytes))?;
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
            state.msg = Some(msg.unwrap_or_else(|| "failed, as was posted from outside".into()));
            let error = TaskError::new(ErrorKind::Posted);
            state.error = Some(Arc::new(error));
        }
        let issue = state.issue;
        let is_out = self.withdraw(id, index).is_out();
        if let Some(issue) = issue.filter(|_| is_out) {
            self.actions.push(Action::Stop(issue.of(task)));
        }
        if is_success {
            self.end(id, index, TaskStatus::Success, now);
        } else {
            self.end_attempt(id, index, now);
        }
        Ok(Posted::Applied)
    }
}
