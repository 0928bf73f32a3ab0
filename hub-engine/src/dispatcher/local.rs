//! The operations of Hub within the dispatcher's process. Queries about live jobs go to the loop; ended jobs are read
//! from the store.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hub_core::machine::Remark;
use hub_core::state::TaskState;
use hub_core::{JobId, TaskId};
use hub_transport::supervisor::LinkHealth;
use tokio::sync::{oneshot, watch};

use super::inputs::{Ask, Input};
use super::intake::{Intake, stopping};
use super::open_answers::OpenAnswers;
use crate::events::Events;
use crate::operations::{
    Answer, BrokerHealth, Cancelled, HealthReport, Hub, JobCancel, JobFilter, JobPage, JobPriority, Pausable,
    PauseOrder, PauseRequest, PriorityRequest, Request, RequestError, RequestErrorKind, ResultUpdate, Submission,
    Submitted, TaskRepair, WorkerInfo,
};
use crate::store::Part;

/// A handle to the dispatcher of this process.
#[derive(Debug)]
pub(super) struct LocalHub {
    pub(super) intake: Intake,
    link: watch::Receiver<LinkHealth>,
    incarnation: u64,
    events: Events,
    pub(super) open_answers: OpenAnswers,
    /// Maximum size of an answer that must fit into one message, in bytes.
    pub(super) largest_answer: usize,
}

#[async_trait]
impl Hub for LocalHub {
    async fn call(&self, request: Request) -> Result<Answer, RequestError> {
        Ok(match request {
            Request::Job { id, wait, view } => Answer::Job(Box::new(self.record_of(id, view, wait).await?)),
            Request::Summary { id, wait } => Answer::Summary(self.summary_of(id, wait).await?),
            Request::Tasks { id, query } => Answer::Tasks(self.tasks_of(id, query).await?),
            Request::Jobs { filter } => Answer::Jobs(self.page_of(filter).await?),
            Request::Explain { id, task } => Answer::Explained(self.explanation_of(id, task).await?),
            Request::Document { id, after } => Answer::Document(self.document_of(id, after).await?),
            Request::Cancel { cancel } => Answer::Cancelled(self.cancel_job(cancel).await?),
            Request::Pause { of } => Answer::Paused(self.pause(true, of).await?),
            Request::Resume { of } => Answer::Resumed(self.pause(false, of).await?),
            Request::Priority { of } => Answer::Prioritized(self.set_priority_of(of).await?),
            Request::Repair { repair } => Answer::Repaired(self.repair_task(repair).await?),
            Request::Retry { retry } => Answer::Retried(self.retry_job(retry).await?),
            Request::Signal { signal } => Answer::Signalled(self.signal_job(signal).await?),
            Request::Approve { approval } => Answer::Approved(self.approve_task(approval).await?),
            Request::Remove { id } => Answer::Removed(self.remove_job(id).await?),
            Request::Result { result } => Answer::Posted(self.post(result).await?),
            Request::Define { definition } => Answer::Defined(self.define_job(definition).await?),
            Request::Alias { change } => Answer::Aliased(self.change_alias(change).await?),
            Request::Definitions { filter } => Answer::Definitions(self.definitions_of(filter).await?),
            Request::Definition { reference } => Answer::Definition(Box::new(self.definition_record(reference).await?)),
            Request::Schedule { schedule } => Answer::Schedule(self.answer_schedule(schedule).await?),
            Request::Workers => Answer::Workers(self.live_workers().await?),
            Request::Health => Answer::Health(self.report().await?),
        })
    }

    async fn submit_with(&self, submission: Submission, wait: Option<Duration>) -> Result<Submitted, RequestError> {
        self.submit_here(submission, wait).await
    }

    fn events(&self) -> Option<Events> {
        Some(self.events.clone())
    }
}

impl LocalHub {
    /// `largest_answer` is the maximum size of an answer over the broker in bytes.
    pub(super) const fn new(
        intake: Intake,
        link: watch::Receiver<LinkHealth>,
        incarnation: u64,
        events: Events,
        open_answers: OpenAnswers,
        largest_answer: usize,
    ) -> Self {
        Self { intake, link, incarnation, events, open_answers, largest_answer }
    }

    /// The number of this start of the dispatcher.
    pub(super) const fn incarnation(&self) -> u64 {
        self.incarnation
    }

    /// Sends a query to the loop and waits for the answer.
    pub(super) async fn ask<T>(&self, question: impl FnOnce(oneshot::Sender<T>) -> Ask) -> Result<T, RequestError> {
        let (answer, answered) = oneshot::channel();
        self.intake.inputs.send(Input::Ask(question(answer))).map_err(|_| stopping())?;
        answered.await.map_err(|_| stopping())
    }

    async fn page_of(&self, filter: JobFilter) -> Result<JobPage, RequestError> {
        self.intake.store.list(&filter, crate::clock::now().wall).await.map_err(|error| self.intake.store_failed(error))
    }

    async fn cancel_job(&self, cancel: JobCancel) -> Result<Cancelled, RequestError> {
        let id = cancel.id;
        match self.ask(|answer| Ask::Cancel(id, cancel.into(), answer)).await? {
            Some(status) => Ok(Cancelled { id, status }),
            None => {
                let status = self.stored_summary(id).await?.status;
                Err(RequestError::new(
                    RequestErrorKind::Conflict,
                    format!("job {id} has ended already ({status}): it can be removed, not cancelled"),
                ))
            }
        }
    }

    /// Pauses or resumes a job or a pool.
    async fn pause(
        &self,
        pause: bool,
        PauseRequest { of, by, reason }: PauseRequest,
    ) -> Result<Pausable, RequestError> {
        of.check()?;
        let order = PauseOrder { pause, of: of.clone(), by, reason };
        match (self.ask(|answer| Ask::Pause(order, answer)).await?, &of) {
            (Some(outcome), _) => outcome.map(|()| of),
            (None, Pausable::Pool(_)) => Ok(of),
            (None, Pausable::Job(id)) => {
                let status = self.stored_summary(*id).await?.status;
                let message = format!("job {id} has ended already ({status}): it can be neither paused nor resumed");
                Err(RequestError::new(RequestErrorKind::Conflict, message))
            }
        }
    }

    async fn set_priority_of(&self, request: PriorityRequest) -> Result<JobPriority, RequestError> {
        let of = request.checked()?;
        let remark = Remark { by: request.by.map(Into::into), reason: request.reason.map(Into::into) };
        match self.ask(|answer| Ask::Priority(of, remark, answer)).await? {
            Some(outcome) => outcome.map(|()| of),
            None => {
                let status = self.stored_summary(of.id).await?.status;
                let message = format!("job {} has ended already ({status}): its priority cannot be changed", of.id);
                Err(RequestError::new(RequestErrorKind::Conflict, message))
            }
        }
    }

    async fn repair_task(&self, repair: TaskRepair) -> Result<TaskId, RequestError> {
        let task = repair.id;
        match self.ask(|answer| Ask::Repair(task, repair.into(), answer)).await? {
            Some(outcome) => outcome.map(|()| task),
            None => {
                let family = task.family();
                let stored =
                    self.intake.store.find_family(family).await.map_err(|error| self.intake.store_failed(error))?;
                let known =
                    stored.filter(|job| task.index_in(job.id).is_some_and(|at| (at as usize) < job.tasks.len()));
                let job = known.ok_or_else(|| unknown_task(task))?;
                let message = format!(
                    "the job of task {task} has ended already ({}): finished tasks do not change. To run it again in a new job: \
                     hub-client retry {} --from TASK",
                    job.state.status, job.id
                );
                Err(RequestError::new(RequestErrorKind::Conflict, message))
            }
        }
    }

    async fn remove_job(&self, id: JobId) -> Result<JobId, RequestError> {
        self.stored_summary(id).await?;
        if self.ask(|answer| Ask::Remove(id, answer)).await? {
            Ok(id)
        } else {
            Err(RequestError::new(
                RequestErrorKind::Conflict,
                format!("job {id} has not ended: cancel it first, then remove it"),
            ))
        }
    }

    /// Posts a result from outside.
    async fn post(&self, update: ResultUpdate) -> Result<TaskId, RequestError> {
        let task = update.id;
        let change = update.to_update();
        match self.ask(|answer| Ask::Post(task, change, answer)).await? {
            Some(outcome) => outcome.map(|()| task),
            None => self.compare_with_ended(&update).await.map(|()| task),
        }
    }

    /// Compares a result with a task whose job has ended. It is accepted if it equals the stored result.
    pub(super) async fn compare_with_ended(&self, update: &ResultUpdate) -> Result<(), RequestError> {
        let task = self.stored_task(update.id).await?;
        if task.status == update.status.into() && task.data == update.task_data() {
            return Ok(());
        }
        Err(RequestError::new(
            RequestErrorKind::Conflict,
            format!("task {} has ended already ({}): finished tasks do not change", update.id, task.status),
        ))
    }

    /// The state of a task whose job has ended.
    pub(super) async fn stored_task(&self, task: TaskId) -> Result<Arc<TaskState>, RequestError> {
        let unknown = || unknown_task(task);
        let family = task.family();
        let stored = self.intake.store.find_family(family).await.map_err(|error| self.intake.store_failed(error))?;
        let (id, index) = stored.and_then(|job| Some((job.id, task.index_in(job.id)?))).ok_or_else(unknown)?;
        let part = Part { tasks: index..index.saturating_add(1), bytes: usize::MAX, data: true };
        // The task is read together with the results of its dependencies.
        let weight = self.stored_weight(id, true).await?;
        let (part, _hold) = self.stored_part(id, part, weight).await?;
        part.job.tasks.get(index as usize).cloned().ok_or_else(unknown)
    }

    async fn live_workers(&self) -> Result<Vec<WorkerInfo>, RequestError> {
        let workers = self.ask(Ask::Workers).await?;
        Ok(workers
            .into_iter()
            .map(|(worker, last_seen)| WorkerInfo {
                id: worker.id.to_string(),
                host: worker.host.to_string(),
                pid: worker.pid,
                pools: worker.pools.iter().map(ToString::to_string).collect(),
                slots: worker.slots,
                running: worker.running,
                tasks: worker.tasks.keys().map(ToString::to_string).collect(),
                broken: worker.broken.iter().map(|(name, why)| (name.to_string(), why.to_string())).collect(),
                allow: worker.allow,
                shortage: worker.shortage.as_deref().map(str::to_owned),
                last_seen,
            })
            .collect())
    }

    async fn report(&self) -> Result<HealthReport, RequestError> {
        let (stats, store, paused_pools) = self.ask(Ask::Stats).await?;
        Ok(HealthReport {
            broker: BrokerHealth::from(&*self.link.borrow()),
            store,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            incarnation: self.incarnation,
            live_jobs: stats.live_jobs,
            live_bytes: stats.live_bytes,
            workers: stats.workers,
            tasks_in_flight: stats.in_flight,
            tasks_ready: stats.ready,
            paused_pools,
        })
    }
}

/// The refusal of an unknown job id.
pub(super) fn unknown_job(id: JobId) -> RequestError {
    RequestError::new(
        RequestErrorKind::NotFound,
        format!("no job has the id {id}: it was never submitted here, or was removed"),
    )
}

/// The refusal of an id that belongs to another job.
pub(super) fn id_taken(id: JobId) -> RequestError {
    let message = format!("the id {id} belongs to another job, or is too close to its id: submit under a new UUID");
    RequestError::new(RequestErrorKind::Conflict, message)
}

/// The refusal of an unknown task id.
pub(super) fn unknown_task(id: TaskId) -> RequestError {
    RequestError::new(RequestErrorKind::NotFound, format!("no task has the id {id}"))
}
