//! What clients want: submissions, questions, cancels, results from outside.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use hub_core::action::Change;
use hub_core::job::Job;
use hub_core::machine::{ControlError, PostError, Refused, Remark, RepairError, Update};
use hub_core::{JobId, Json, TaskId};
use hub_transport::supervisor::DeliveryRef;
use tokio::sync::oneshot;

use super::Driver;
use crate::clock::now;
use crate::dispatcher::batch::PendingAnswer;
use crate::dispatcher::inputs::{Admitted, Ask, Ended, Known, Submit};
use crate::dispatcher::intake::refusal;
use crate::dispatcher::local::{id_taken, unknown_task};
use crate::dispatcher::room::ParsePermit;
use crate::operations::{JobPriority, Pausable, PauseOrder, PausedPool, RequestError, RequestErrorKind, StoreHealth};

impl Driver {
    /// Jobs that came together: one message, one batch.
    pub(super) fn handle_submissions(&mut self, jobs: Vec<Submit>, permit: ParsePermit, delivery: Option<DeliveryRef>) {
        match delivery {
            Some(delivery) => self.hold(delivery, false),
            None => self.pending.commit_first = true,
        }
        jobs.into_iter().for_each(|job| self.handle_submit(job));
        // Before anybody else gets the room, it is known what these jobs take.
        self.note_live();
        drop(permit);
    }

    fn handle_submit(&mut self, submit: Submit) {
        let Submit { id, job, inputs, examples, stored, lookup: _lookup, answer, ended } = submit;
        let outcome = self.admit(id, Arc::clone(&job), inputs, stored).map(|id| {
            let mut warnings = Vec::new();
            if self.machine.is_live(id) {
                warnings.extend(self.unserved(&job, &examples));
                warnings.extend(job.warnings());
            }
            Admitted { id, warnings }
        });
        match (ended, &outcome) {
            (Some(ended), Ok(Admitted { id, .. })) if self.machine.is_live(*id) => {
                self.tell_of_end(*id, ended);
                self.pending.idle_answers.push(PendingAnswer::Submission(answer, outcome));
            }
            _ => self.pending.answers.push(PendingAnswer::Submission(answer, outcome)),
        }
    }

    /// The reasons why the tasks at these positions, and others like them, will wait.
    pub(super) fn unserved(&self, job: &Job, examples: &[u32]) -> Vec<String> {
        let tasks = examples.iter().filter_map(|index| job.tasks().get(*index as usize));
        let unserved = self.machine.unserved(tasks, now()).into_iter();
        unserved.map(|why| format!("{why}; tasks that need it wait for such a worker")).collect()
    }

    /// Lets a job in, or recognises it.
    pub(super) fn admit(
        &mut self,
        id: JobId,
        job: Arc<Job>,
        inputs: Option<Json>,
        stored: Option<Known>,
    ) -> Result<JobId, RequestError> {
        if let Some(error) = self.refused.get(&id) {
            return Err(error.clone());
        }
        let lately = || self.lately.find(id, job.key()).map(|(known, same)| Known::new(*known, same, &job));
        if let Some(Known { id: known, is_same, by_key }) = stored.or_else(lately)
            && !self.machine.is_live(id)
        {
            return if is_same && (known == id || by_key) {
                Ok(known)
            } else if by_key {
                Err(conflict(format!(
                    "the key {:?} belongs to job {known}, which has a different text",
                    job.key().unwrap_or_default()
                )))
            } else {
                Err(id_taken(id))
            };
        }
        if !self.machine.is_live(id)
            && let Some(problem) = job.passed_deadline(now().wall)
        {
            return Err(refusal(problem.into()));
        }
        match self.machine.submit_with(id, Arc::clone(&job), inputs, now()) {
            Ok(_) => {
                self.lately.let_in(id, &job);
                Ok(id)
            }
            Err(Refused::IdTaken) => Err(id_taken(id)),
        }
    }

    pub(super) fn handle_ask(&mut self, ask: Ask) {
        match ask {
            Ask::Job(id, tasks, answer) => match self.machine.view_part(id, tasks) {
                Some(live) => drop(answer.send(Some(Box::new(live)))),
                None => self.answer_later(answer, None),
            },
            Ask::Summary(id, answer) => match self.machine.summary(id) {
                Some(live) => drop(answer.send(Some(live))),
                None => self.answer_later(answer, None),
            },
            Ask::Explain(id, task, answer) => match self.machine.explain(id, task.as_deref()) {
                Some(live) => drop(answer.send(Some(live.map(Box::new)))),
                None => self.answer_later(answer, None),
            },
            Ask::Ended(id, answer) => {
                if self.machine.is_live(id) {
                    self.tell_of_end(id, answer);
                } else {
                    self.answer_later(answer, None);
                }
            }
            Ask::Cancel(id, cancel, answer) => {
                let status = self.machine.cancel(id, cancel, now()).ok();
                self.pending.commit_first = true;
                self.answer_later(answer, status);
            }
            Ask::Pause(order, answer) => {
                let outcome = self.pause(order);
                self.pending.commit_first = true;
                self.answer_later(answer, outcome);
            }
            Ask::Priority(JobPriority { id, priority }, remark, answer) => {
                let outcome = self.machine.set_priority(id, priority, remark, now());
                self.pending.commit_first = true;
                self.answer_later(answer, controlled(&Pausable::Job(id), outcome));
            }
            Ask::Remove(id, answer) => {
                let live = self.machine.is_live(id);
                if !live {
                    // A submission that is delivered again is recognised as long as the job is known.
                    self.acks.hurry();
                    self.lately.forget(id.family());
                    self.pending.changes.push(Change::JobRemoved { id });
                }
                self.answer_later(answer, !live);
            }
            Ask::Post(task, update, answer) => {
                let outcome = self.post(task, update);
                self.pending.commit_first = true;
                self.answer_later(answer, outcome);
            }
            Ask::Repair(task, repair, answer) => {
                let outcome = match self.machine.repair(task, repair, now()) {
                    Ok(()) => Some(Ok(())),
                    Err(RepairError::UnknownTask) if self.machine.find_task(task).is_none() => None,
                    Err(RepairError::UnknownTask) => Some(Err(unknown_task(task))),
                    Err(error @ RepairError::OutOfBounds(_)) => {
                        Some(Err(RequestError::new(RequestErrorKind::TooLarge, format!("task {task}: {error}"))))
                    }
                    Err(error) => Some(Err(conflict(format!("task {task}: {error}")))),
                };
                self.pending.commit_first = true;
                self.answer_later(answer, outcome);
            }
            Ask::Retry(order, answer) => self.retry(*order, answer),
            Ask::Signal(id, signal, answer) => {
                let outcome = self.signal(id, signal);
                self.pending.commit_first = true;
                self.answer_later(answer, outcome);
            }
            Ask::Choose(task, choice, answer) => {
                let outcome = self.choose(task, choice);
                self.pending.commit_first = true;
                self.answer_later(answer, outcome);
            }
            Ask::Define(changes, turn, answer) => {
                self.pending.changes.extend(changes);
                self.pending.commit_first = true;
                self.answer_later(answer, turn);
            }
            Ask::Schedule(ask) => self.handle_schedule(ask),
            Ask::Workers(answer) => {
                let workers = self.machine.workers().map(|(report, seen)| (report.clone(), seen)).collect();
                let _ = answer.send(workers);
            }
            Ask::Stats(answer) => {
                let works = self.store_works.load(Ordering::Relaxed);
                let store = if works { StoreHealth::Up } else { StoreHealth::Failing };
                let paused = self.machine.paused_pools().map(|(name, pause)| PausedPool::new(name, pause)).collect();
                let _ = answer.send((self.machine.stats(), store, paused));
            }
        }
    }

    /// Pauses or resumes a job or a pool. `None`: the job is not live.
    fn pause(&mut self, PauseOrder { pause, of, by, reason }: PauseOrder) -> Option<Result<(), RequestError>> {
        let remark = Remark { by: by.map(Into::into), reason: reason.map(Into::into) };
        let outcome = match (&of, pause) {
            (Pausable::Job(id), true) => self.machine.pause_job(*id, remark, now()),
            (Pausable::Job(id), false) => self.machine.resume_job(*id, now()),
            (Pausable::Pool(pool), true) => self.machine.pause_pool(pool.as_str().into(), remark, now()),
            (Pausable::Pool(pool), false) => {
                self.machine.resume_pool(&pool.as_str().into(), now());
                Ok(())
            }
        };
        controlled(&of, outcome)
    }

    /// Answers when this job, which is live, has ended and is in the store as such.
    fn tell_of_end(&mut self, id: JobId, answer: oneshot::Sender<Ended>) {
        let waiters = self.waiters.entry(id).or_default();
        waiters.retain(|waiter| !waiter.is_closed());
        waiters.push(answer);
    }

    /// Ends a task from outside. `None`: its job is not live.
    pub(super) fn post(&mut self, task: TaskId, update: Update) -> Option<Result<(), RequestError>> {
        match self.machine.post_result(task, update, now()) {
            Ok(_) => Some(Ok(())),
            Err(PostError::UnknownTask) if self.machine.find_task(task).is_none() => None,
            Err(PostError::UnknownTask) => Some(Err(unknown_task(task))),
            Err(error @ PostError::OutOfBounds(_)) => {
                Some(Err(RequestError::new(RequestErrorKind::TooLarge, format!("task {task}: {error}"))))
            }
            Err(PostError::NotStarted) => {
                Some(Err(conflict(format!("task {task} has not started: a result can be posted once it runs"))))
            }
            Err(error @ PostError::Wait) => {
                Some(Err(conflict(format!("task {task}: {error}; send its signal, or answer its approval"))))
            }
            Err(error @ (PostError::SubJob | PostError::Items)) => Some(Err(conflict(format!("task {task}: {error}")))),
            Err(PostError::AlreadyEnded) => {
                Some(Err(conflict(format!("task {task} has ended already: finished tasks do not change"))))
            }
        }
    }

    /// Answers when everything handled so far is in the store.
    pub(super) fn answer_later<T: Send + 'static>(&mut self, answer: oneshot::Sender<T>, value: T) {
        self.pending.answers.push(PendingAnswer::new(move || drop(answer.send(value))));
    }
}

/// The answer to the control of a job or a pool. `None`: the job is not live.
fn controlled(of: &Pausable, outcome: Result<(), ControlError>) -> Option<Result<(), RequestError>> {
    match outcome {
        Ok(()) => Some(Ok(())),
        Err(ControlError::UnknownJob) => None,
        Err(error @ ControlError::Cancelling) => Some(Err(conflict(format!("{of}: {error}")))),
        Err(error @ ControlError::TooManyPools) => {
            Some(Err(RequestError::new(RequestErrorKind::TooLarge, format!("{of}: {error}"))))
        }
    }
}

pub(super) fn conflict(message: String) -> RequestError {
    RequestError::new(RequestErrorKind::Conflict, message)
}
