//! What users want: submit, cancel, and results from outside.

use std::sync::Arc;

use super::Machine;
use super::live::{LiveJob, Place};
use super::types::{ControlError, PostError, Posted, Refused, Submitted, Update};
use crate::action::{Action, Change, Notice};
use crate::job::Job;
use crate::state::{ErrorKind, TaskError};
use crate::{JobId, JobStatus, Json, TaskId, TaskStatus, Timestamp};

impl Machine {
    /// Lets a job in. The same job under the same id again changes nothing.
    ///
    /// # Errors
    /// Where the id, or one so near that task ids would clash, belongs to another job.
    pub fn submit(&mut self, id: JobId, job: Arc<Job>, now: Timestamp) -> Result<Submitted, Refused> {
        if let Some(known) = self.families.get(&id.family()) {
            let same = *known == id && self.jobs.get(known).is_some_and(|live| live.job.source() == job.source());
            return if same { Ok(Submitted::Known) } else { Err(Refused::IdTaken) };
        }
        self.actions.push(Action::Persist(Change::JobAdded { id, job: Arc::clone(&job), submitted_at: now }));
        self.actions.push(Action::Notify(Notice::Job { id, name: job.name().into(), status: JobStatus::Pending }));
        let live = LiveJob::new(id, job, now);
        let ready: Vec<u32> =
            live.tasks.iter().zip(0..).filter(|(task, _)| task.waiting == 0).map(|(_, index)| index).collect();
        self.insert(live);
        for index in ready {
            self.enqueue(id, index);
        }
        Ok(Submitted::New)
    }

    /// Stops a job: what waits is cancelled, what runs is told to stop, what comes of it is stale.
    ///
    /// # Errors
    /// Where no job that has not ended has this id.
    pub fn cancel(&mut self, id: JobId, now: Timestamp) -> Result<(), ControlError> {
        let job = self.jobs.get_mut(&id).ok_or(ControlError::UnknownJob)?;
        for (index, place) in job.cancel(now, &mut self.actions) {
            let (task, spec, state) = (id.task(index), job.spec(index), job.task(index).state());
            let pool = self.pools.get_mut(spec.pool());
            match place {
                Place::Queued => pool.forget(spec.priority(), id),
                Place::Parked => pool.forget_parked(spec.module(), id),
                Place::Window => pool.leave_window(task),
                Place::Leased => state.worker.iter().for_each(|worker| self.workers.release(worker, task)),
                Place::Blocked | Place::Resting | Place::Launched | Place::Nowhere => {}
            }
            if let (Place::Window | Place::Leased, Some(attempt)) = (place, state.attempt) {
                self.actions.push(Action::Stop { task, attempt });
            }
        }
        self.settle_job(id, now);
        Ok(())
    }

    /// Fails a job that cannot go on, for a reason that is none of its tasks': what has not ended is cancelled, and `why`
    /// is the job's message.
    ///
    /// # Errors
    /// Where no job that has not ended has this id.
    pub fn fail_job(&mut self, id: JobId, why: Arc<str>, now: Timestamp) -> Result<(), ControlError> {
        self.jobs.get_mut(&id).ok_or(ControlError::UnknownJob)?.condemn(why);
        self.cancel(id, now)
    }

    /// Ends a task from outside: one that was launched, or any that was handed out. The issue that runs, if
    /// any, is not wanted any more.
    ///
    /// # Errors
    /// Where the task is unknown, waits, or has ended differently.
    ///
    /// # Panics
    /// Where the status is neither `Success` nor `Failed`.
    pub fn post_result(&mut self, task: TaskId, update: Update, now: Timestamp) -> Result<Posted, PostError> {
        let is_success = update.status == TaskStatus::Success;
        assert!(is_success || update.status == TaskStatus::Failed, "a result from outside cannot be {}", update.status);
        let (id, index) = self.find_task(task).ok_or(PostError::UnknownTask)?;
        let live = self.jobs.get_mut(&id).ok_or(PostError::UnknownTask)?.task_mut(index);
        let data = is_success.then(|| update.data.unwrap_or_else(Json::null));
        match live.state().status {
            TaskStatus::Pending => return Err(PostError::NotStarted),
            status if status.is_terminal() => {
                let is_same = status == update.status && live.state().data == data;
                return if is_same { Ok(Posted::AlreadySame) } else { Err(PostError::AlreadyEnded) };
            }
            _ => {}
        }
        let is_running = live.place != Place::Launched;
        let state = live.state_mut();
        state.data = data;
        if !is_success {
            state.msg = Some(update.msg.unwrap_or_else(|| "failed, as was posted from outside".into()));
            let error = TaskError { kind: ErrorKind::Posted, type_name: None, traceback: None };
            state.error = Some(Arc::new(error));
        }
        let attempt = state.attempt.filter(|_| is_running);
        self.release(id, index);
        if let Some(attempt) = attempt {
            self.actions.push(Action::Stop { task, attempt });
        }
        self.end(id, index, update.status, now);
        Ok(Posted::Applied)
    }
}
