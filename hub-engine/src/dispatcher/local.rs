//! The Hub as its own process sees it: questions go to the loop, what has ended is read from the store.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hub_core::machine::{LiveView, Update};
use hub_core::state::JobSnapshot;
use hub_core::{JobId, Json, TaskId, TaskStatus};
use hub_transport::supervisor::{DeliveryRef, LinkHealth};
use tokio::sync::{oneshot, watch};

use super::inputs::{Admitted, Ask, Ended, Input, Submit};
use super::intake::{Answered, Arrival, Intake, full, stopping, store_failed};
use super::room::Place;
use crate::operations::{
    HealthReport, Hub, JobFilter, JobPage, RequestError, RequestErrorKind, ResultUpdate, Submission, Submitted,
    UpdateStatus, WorkerInfo,
};

/// The record of a job of so many tasks is written at once.
const SMALL: usize = 100;

/// A handle on the dispatcher of this process.
#[derive(Debug)]
pub(super) struct LocalHub {
    intake: Intake,
    link: watch::Receiver<LinkHealth>,
    incarnation: u64,
}

/// A submission that comes before the loop.
#[derive(Debug)]
pub(super) struct Admission {
    answered: Answered,
    wait: Option<Duration>,
    ended: oneshot::Receiver<Ended>,
}

impl LocalHub {
    pub(super) const fn new(intake: Intake, link: watch::Receiver<LinkHealth>, incarnation: u64) -> Self {
        Self { intake, link, incarnation }
    }

    /// Checks what has arrived. With `wait` [`LocalHub::outcome`] waits for the job's end, so long at most.
    ///
    /// # Errors
    /// As [`Intake::check`].
    pub(super) async fn check(
        &self,
        arrival: Arrival,
        wait: Option<Duration>,
    ) -> Result<(Submit, Admission), RequestError> {
        let (tell, ended) = oneshot::channel();
        let (job, answered) = self.intake.check(arrival, wait.is_some().then_some(tell)).await?;
        Ok((job, Admission { answered, wait, ended }))
    }

    /// Brings checked jobs before the loop.
    ///
    /// # Errors
    /// As [`Intake::submit`].
    pub(super) fn take_in(
        &self,
        jobs: Vec<Submit>,
        place: Place,
        delivery: Option<DeliveryRef>,
    ) -> Result<(), RequestError> {
        self.intake.submit(jobs, place, delivery)
    }

    /// Room for a submission that the broker has delivered, when there is some.
    pub(super) async fn place_for_delivery(&self, bytes: usize) -> Place {
        self.intake.room.place_for_delivery(bytes).await
    }

    /// The answer to a submission.
    pub(super) async fn outcome(&self, admission: Admission) -> Result<Submitted, RequestError> {
        let Admission { answered, wait, ended } = admission;
        let Some(wait) = wait else { return Ok(answered.admitted().await?.into()) };
        let id = match tokio::time::timeout(wait, ended).await {
            Ok(Ok(Some(ended))) => {
                return Ok(Submitted { record: record_of(Arc::clone(&ended)).await.ok(), ..Submitted::new(ended.id) });
            }
            Err(_) => return Ok(answered.admitted().await?.into()),
            // It was refused, or had ended before, or the dispatcher stops.
            Ok(_) => answered.admitted().await?.id,
        };
        // A record that cannot be had now does not make the job refused: it can be asked for.
        let stored = match self.ask(|answer| Ask::Job(id, answer)).await {
            Ok(None) => self.stored(id).await.ok(),
            _ => None,
        };
        let record = match stored {
            Some(job) => record_of(Arc::new(job)).await.ok(),
            None => None,
        };
        Ok(Submitted { record, ..Submitted::new(id) })
    }

    /// All submissions of a message from the broker are refused, and it needs no more attention.
    pub(super) fn refused(&self, delivery: DeliveryRef) {
        let _ = self.intake.inputs.send(Input::Refused(delivery));
    }

    async fn submit_here(&self, submission: Submission, wait: Option<Duration>) -> Result<Submitted, RequestError> {
        if self.intake.room.is_full() {
            return Err(full());
        }
        let place = self.intake.room.place(submission.text.len()).await;
        let (job, admission) = self.check(submission.into(), wait).await?;
        self.take_in(vec![job], place, None)?;
        self.outcome(admission).await
    }

    /// Takes a result from outside.
    async fn post(&self, update: ResultUpdate) -> Result<(), RequestError> {
        let task = update.id;
        let change = update_of(&update);
        match self.ask(|answer| Ask::Post(task, change, answer)).await? {
            Some(outcome) => outcome,
            None => self.compare_with_ended(&update).await,
        }
    }

    /// A result for a task whose job has ended: fine if it says what is known anyway.
    pub(super) async fn compare_with_ended(&self, update: &ResultUpdate) -> Result<(), RequestError> {
        let status = status_of(update);
        let stored = self.intake.store.find_family(update.id.family()).await.map_err(store_failed)?;
        let task = stored.as_ref().and_then(|job| {
            let index = usize::try_from(update.id.index_in(job.id)?).ok()?;
            job.tasks.get(index)
        });
        match task {
            None => Err(unknown_task(update.id)),
            Some(task) if task.status == status && task.data == update.data => Ok(()),
            Some(task) => Err(RequestError::new(
                RequestErrorKind::Conflict,
                format!("task {} has ended already ({}): finished tasks do not change", update.id, task.status),
            )),
        }
    }

    async fn stored(&self, id: JobId) -> Result<JobSnapshot, RequestError> {
        self.intake.store.get(id).await.map_err(store_failed)?.ok_or_else(|| unknown_job(id))
    }

    async fn ask<T>(&self, question: impl FnOnce(oneshot::Sender<T>) -> Ask) -> Result<T, RequestError> {
        let (answer, answered) = oneshot::channel();
        self.intake.inputs.send(Input::Ask(question(answer))).map_err(|_| stopping())?;
        answered.await.map_err(|_| stopping())
    }
}

#[async_trait]
impl Hub for LocalHub {
    async fn submit(&self, submission: Submission) -> Result<JobId, RequestError> {
        self.submit_here(submission, None).await.map(|submitted| submitted.id)
    }

    async fn submit_and_report(&self, submission: Submission) -> Result<Submitted, RequestError> {
        self.submit_here(submission, None).await
    }

    async fn submit_and_wait(&self, submission: Submission, wait: Duration) -> Result<Submitted, RequestError> {
        self.submit_here(submission, Some(wait)).await
    }

    async fn job(&self, id: JobId, wait: Option<Duration>) -> Result<Json, RequestError> {
        if let Some(wait) = wait {
            let ended = self.ask(|answer| Ask::Ended(id, answer));
            // Whether it has ended or the time is over: the record says.
            if let Ok(Ok(Some(ended))) = tokio::time::timeout(wait, ended).await {
                return record_of(ended).await;
            }
        }
        let snapshot = match self.ask(|answer| Ask::Job(id, answer)).await? {
            Some(live) => snapshot_of(*live).await?,
            None => self.stored(id).await?,
        };
        record_of(Arc::new(snapshot)).await
    }

    async fn jobs(&self, filter: JobFilter) -> Result<JobPage, RequestError> {
        self.intake.store.list(&filter).await.map_err(store_failed)
    }

    async fn cancel(&self, id: JobId) -> Result<(), RequestError> {
        match self.ask(|answer| Ask::Cancel(id, answer)).await? {
            Some(outcome) => outcome,
            None => {
                let status = self.stored(id).await?.state.status;
                Err(RequestError::new(
                    RequestErrorKind::Conflict,
                    format!("job {id} has ended already ({status}): it can be removed, not cancelled"),
                ))
            }
        }
    }

    async fn remove(&self, id: JobId) -> Result<(), RequestError> {
        self.stored(id).await?;
        if self.ask(|answer| Ask::Remove(id, answer)).await? {
            Ok(())
        } else {
            Err(RequestError::new(
                RequestErrorKind::Conflict,
                format!("job {id} has not ended: cancel it first, then remove it"),
            ))
        }
    }

    async fn post_result(&self, update: ResultUpdate) -> Result<(), RequestError> {
        self.post(update).await
    }

    async fn workers(&self) -> Result<Vec<WorkerInfo>, RequestError> {
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
                shortage: worker.shortage.as_deref().map(str::to_owned),
                last_seen,
            })
            .collect())
    }

    async fn health(&self) -> Result<HealthReport, RequestError> {
        let (stats, store_works) = self.ask(Ask::Stats).await?;
        let broker = match &*self.link.borrow() {
            LinkHealth::Up => "up",
            LinkHealth::Blocked(_) => "blocked",
            LinkHealth::Down(_) | LinkHealth::Closed => "down",
        };
        Ok(HealthReport {
            broker: broker.to_owned(),
            store: if store_works { "up" } else { "failing" }.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            incarnation: self.incarnation,
            live_jobs: stats.live_jobs,
            live_bytes: stats.live_bytes,
            workers: stats.workers,
            tasks_in_flight: stats.in_flight,
            tasks_ready: stats.ready,
        })
    }
}

impl From<Admitted> for Submitted {
    fn from(admitted: Admitted) -> Self {
        Self { warnings: admitted.warnings, ..Self::new(admitted.id) }
    }
}

impl From<Submission> for Arrival {
    fn from(submission: Submission) -> Self {
        Self { text: bytes::Bytes::copy_from_slice(submission.text.as_bytes()), id: submission.id }
    }
}

/// A live job as it stands.
async fn snapshot_of(live: LiveView) -> Result<JobSnapshot, RequestError> {
    if live.tasks() <= SMALL {
        return Ok(live.into_snapshot());
    }
    tokio::task::spawn_blocking(move || live.into_snapshot()).await.map_err(|_| {
        RequestError::new(RequestErrorKind::Internal, "the record could not be written; the log says more")
    })
}

/// A job's record. That of a large one takes a while to write: not on the thread that carries messages.
async fn record_of(job: Arc<JobSnapshot>) -> Result<Json, RequestError> {
    if job.tasks.len() <= SMALL {
        return Ok(job.record());
    }
    tokio::task::spawn_blocking(move || job.record()).await.map_err(|_| {
        RequestError::new(RequestErrorKind::Internal, "the record could not be written; the log says more")
    })
}

/// What a result from outside changes.
pub(super) fn update_of(update: &ResultUpdate) -> Update {
    Update { status: status_of(update), data: update.data.clone(), msg: update.msg.as_deref().map(Into::into) }
}

const fn status_of(update: &ResultUpdate) -> TaskStatus {
    match update.status {
        UpdateStatus::Success => TaskStatus::Success,
        UpdateStatus::Failed => TaskStatus::Failed,
    }
}

/// The refusal for an id that no job has.
pub(super) fn unknown_job(id: JobId) -> RequestError {
    RequestError::new(
        RequestErrorKind::NotFound,
        format!("no job has the id {id}: it was never submitted here, or was removed"),
    )
}

/// The refusal for an id that no task has.
pub(super) fn unknown_task(id: TaskId) -> RequestError {
    RequestError::new(RequestErrorKind::NotFound, format!("no task has the id {id}"))
}
