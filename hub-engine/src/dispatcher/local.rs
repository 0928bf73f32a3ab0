//! The Hub as its own process sees it: questions go to the loop, what has ended is read from the store.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hub_core::machine::{LiveView, Update};
use hub_core::state::{JobSnapshot, JobSummary, TASK_WEIGHT};
use hub_core::{JobId, Json, TaskId, TaskStatus};
use hub_transport::supervisor::{DeliveryRef, LinkHealth};
use tokio::sync::{OwnedSemaphorePermit, oneshot, watch};

use super::inputs::{Admitted, Ask, Ended, Input, Submit};
use super::intake::{Answered, Arrival, Intake, full, stopping};
use super::open_answers::OpenAnswers;
use super::room::ParsePermit;
use crate::operations::{
    BrokerHealth, HealthReport, Hub, JobFilter, JobPage, Record, RequestError, RequestErrorKind, ResultUpdate, Submission, Submitted,
    TaskQuery, UpdateStatus, View, WorkerInfo,
};
use crate::store::{JobPart, Part};

/// A view of a job of at most this many tasks is made a snapshot at once.
const SMALL: usize = 100;
/// A record that is larger is not sent along with the answer to a submission.
const LARGEST_ALONG: usize = 4 * 1024 * 1024;
/// A page of tasks has about so many bytes at most.
const PAGE_BYTES: usize = 4 * 1024 * 1024;

/// A handle on the dispatcher of this process.
#[derive(Debug)]
pub(super) struct LocalHub {
    intake: Intake,
    link: watch::Receiver<LinkHealth>,
    incarnation: u64,
    open_answers: OpenAnswers,
    /// A part of an answer that is to fit into one message has so many bytes at most.
    largest_answer: usize,
}

/// A submission that comes before the loop.
#[derive(Debug)]
pub(super) struct Admission {
    answered: Answered,
    wait: Option<Duration>,
    ended: oneshot::Receiver<Ended>,
}

impl LocalHub {
    /// `largest_answer`: what an answer over the broker has at most, in bytes.
    pub(super) fn new(
        intake: Intake,
        link: watch::Receiver<LinkHealth>,
        incarnation: u64,
        open_answers: OpenAnswers,
        largest_answer: usize,
    ) -> Self {
        Self { intake, link, incarnation, open_answers, largest_answer }
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
        permit: ParsePermit,
        delivery: Option<DeliveryRef>,
    ) -> Result<(), RequestError> {
        self.intake.submit(jobs, permit, delivery)
    }

    /// Room for a submission that the broker has delivered, when there is some.
    pub(super) async fn parse_permit_for_delivery(&self, bytes: usize) -> ParsePermit {
        self.intake.room.parse_permit_for_delivery(bytes).await
    }

    /// The answer to a submission.
    pub(super) async fn outcome(&self, admission: Admission) -> Result<Submitted, RequestError> {
        let Admission { answered, wait, ended } = admission;
        let Some(wait) = wait else { return Ok(answered.admitted().await?.into()) };
        let id = match tokio::time::timeout(wait, ended).await {
            Ok(Ok(Some(ended))) => return Ok(self.submitted(ended).await),
            Err(_) => return Ok(answered.admitted().await?.into()),
            // It was refused, or had ended before, or the dispatcher stops.
            Ok(_) => answered.admitted().await?.id,
        };
        match self.ask(|answer| Ask::Summary(id, answer)).await {
            Ok(None) => {}
            _ => return Ok(Submitted::new(id)),
        }
        // A record that cannot be had now does not make the job refused: it can be asked for.
        match self.stored_for(id, &View::whole()).await {
            Ok((stored, hold)) => Ok(self.with_record(Arc::new(stored), hold).await),
            Err(_) => Ok(Submitted::new(id)),
        }
    }

    /// The answer where the job has ended: with its record, if that is not too large.
    async fn submitted(&self, ended: Arc<JobSnapshot>) -> Submitted {
        match self.open_answers.try_hold(ended.weight()) {
            Some(hold) => self.with_record(ended, hold).await,
            None => Submitted::new(ended.id),
        }
    }

    async fn with_record(&self, ended: Arc<JobSnapshot>, hold: OwnedSemaphorePermit) -> Submitted {
        let submitted = Submitted::new(ended.id);
        let record = Record::new(ended, View::whole(), Some(hold)).within(LARGEST_ALONG.min(self.largest_answer)).await;
        Submitted { record: record.ok().flatten(), ..submitted }
    }

    /// All submissions of a message from the broker are refused, and it needs no more attention.
    pub(super) fn refused(&self, delivery: DeliveryRef) {
        let _ = self.intake.inputs.send(Input::NothingKept(delivery));
    }

    async fn submit_here(&self, submission: Submission, wait: Option<Duration>) -> Result<Submitted, RequestError> {
        if self.intake.room.is_full() {
            return Err(full());
        }
        let permit = self.intake.room.parse_permit(submission.text.len()).await;
        // Those that had their permits before may have filled the room.
        if self.intake.room.is_full() {
            return Err(full());
        }
        let (job, admission) = self.check(submission.into(), wait).await?;
        self.take_in(vec![job], permit, None)?;
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
        let (status, unknown) = (status_of(update), || unknown_task(update.id));
        let family = update.id.family();
        let stored = self.intake.store.find_family(family).await.map_err(|error| self.intake.store_failed(error))?;
        let (id, index) = stored.and_then(|job| Some((job.id, update.id.index_in(job.id)?))).ok_or_else(unknown)?;
        let part = Part { tasks: index..index.saturating_add(1), bytes: usize::MAX, data: true };
        // The task is read with the results of those before it.
        let weight = self.stored_weight(id, true).await?;
        let (part, _hold) = self.stored_part(id, part, weight).await?;
        match part.job.tasks.get(index as usize) {
            None => Err(unknown()),
            Some(task) if task.status == status && task.data == update.data => Ok(()),
            Some(task) => Err(RequestError::new(
                RequestErrorKind::Conflict,
                format!("task {} has ended already ({}): finished tasks do not change", update.id, task.status),
            )),
        }
    }

    async fn stored(&self, id: JobId) -> Result<JobSnapshot, RequestError> {
        let stored = self.intake.store.get(id).await.map_err(|error| self.intake.store_failed(error))?;
        stored.ok_or_else(|| unknown_job(id))
    }

    /// A live job, with these tasks, and its place among the open answers. `None`: it is not live.
    async fn live(
        &self,
        id: JobId,
        range: Range<u32>,
    ) -> Result<Option<(JobSnapshot, OwnedSemaphorePermit)>, RequestError> {
        let Some(summary) = self.ask(|answer| Ask::Summary(id, answer)).await? else { return Ok(None) };
        let tasks = summary.tasks as usize * TASK_WEIGHT;
        let mut hold = self.open_answers.hold(tasks).await?;
        let Some(job) = self.ask(|answer| Ask::Job(id, range, answer)).await? else { return Ok(None) };
        let job = snapshot_of(*job).await?;
        // Its values are the loop's too, as long as it is live; its end may come before the answer's.
        self.open_answers.hold_more(&mut hold, job.weight().saturating_sub(tasks)).await?;
        Ok(Some((job, hold)))
    }

    /// A part of a job that is not live, with its place among the open answers.
    async fn stored_part(
        &self,
        id: JobId,
        part: Part,
        bytes: usize,
    ) -> Result<(JobPart, OwnedSemaphorePermit), RequestError> {
        let hold = self.open_answers.hold(bytes).await?;
        let found = self.intake.store.get_part(id, part).await.map_err(|error| self.intake.store_failed(error))?;
        Ok((found.ok_or_else(|| unknown_job(id))?, hold))
    }

    /// A job that is not live, as far as a record with this view needs it.
    async fn stored_for(&self, id: JobId, view: &View) -> Result<(JobSnapshot, OwnedSemaphorePermit), RequestError> {
        if !view.shows_data() {
            let tasks = if view.shows_tasks() { 0..u32::MAX } else { 0..0 };
            let part = Part { tasks, bytes: usize::MAX, data: false };
            let (part, hold) = self.stored_part(id, part, self.stored_weight(id, false).await?).await?;
            return Ok((part.job, hold));
        }
        let hold = self.open_answers.hold(self.stored_weight(id, true).await?).await?;
        Ok((self.stored(id).await?, hold))
    }

    async fn stored_weight(&self, id: JobId, data: bool) -> Result<usize, RequestError> {
        let weight = self.intake.store.weight(id, data).await.map_err(|error| self.intake.store_failed(error))?;
        weight.ok_or_else(|| unknown_job(id))
    }

    async fn stored_summary(&self, id: JobId) -> Result<JobSummary, RequestError> {
        let found = self.intake.store.summary(id).await.map_err(|error| self.intake.store_failed(error))?;
        found.ok_or_else(|| unknown_job(id))
    }

    /// The job as it ended, if it does within `wait`.
    async fn end_of(&self, id: JobId, wait: Option<Duration>) -> Ended {
        let ended = tokio::time::timeout(wait?, self.ask(|answer| Ask::Ended(id, answer))).await;
        ended.ok()?.ok()?
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

    async fn record(&self, id: JobId, view: View, wait: Option<Duration>) -> Result<Record, RequestError> {
        view.check()?;
        if let Some(ended) = self.end_of(id, wait).await {
            let hold = self.open_answers.hold(ended.weight()).await?;
            return Ok(Record::new(ended, view, Some(hold)));
        }
        let tasks = if view.shows_tasks() { 0..u32::MAX } else { 0..0 };
        let (job, hold) = match self.live(id, tasks).await? {
            Some(live) => live,
            None => self.stored_for(id, &view).await?,
        };
        Ok(Record::new(Arc::new(job), view, Some(hold)))
    }

    async fn summary(&self, id: JobId, wait: Option<Duration>) -> Result<JobSummary, RequestError> {
        if let Some(ended) = self.end_of(id, wait).await {
            return Ok(ended.summary());
        }
        match self.ask(|answer| Ask::Summary(id, answer)).await? {
            Some(live) => Ok(live),
            None => self.stored_summary(id).await,
        }
    }

    async fn tasks(&self, id: JobId, query: TaskQuery) -> Result<Json, RequestError> {
        query.view.check()?;
        let (range, bytes) = (query.range()?, PAGE_BYTES.min(self.largest_answer));
        let (job, end, hold) = match self.live(id, range.clone()).await? {
            Some((job, hold)) => (job, range.end, hold),
            None => {
                let part = Part { tasks: range.clone(), bytes, data: query.view.shows_data() };
                let (JobPart { job, end }, hold) = self.stored_part(id, part, bytes).await?;
                (job, end, hold)
            }
        };
        let written = tokio::task::spawn_blocking(move || {
            let _hold = hold;
            job.task_page(range.start..end, bytes, &query.view).json
        });
        written.await.map_err(|_| {
            RequestError::new(RequestErrorKind::Internal, "the page could not be written; the log says more")
        })
    }

    async fn jobs(&self, filter: JobFilter) -> Result<JobPage, RequestError> {
        self.intake.store.list(&filter).await.map_err(|error| self.intake.store_failed(error))
    }

    async fn cancel(&self, id: JobId) -> Result<(), RequestError> {
        match self.ask(|answer| Ask::Cancel(id, answer)).await? {
            Some(outcome) => outcome,
            None => {
                let status = self.stored_summary(id).await?.status;
                Err(RequestError::new(
                    RequestErrorKind::Conflict,
                    format!("job {id} has ended already ({status}): it can be removed, not cancelled"),
                ))
            }
        }
    }

    async fn remove(&self, id: JobId) -> Result<(), RequestError> {
        self.stored_summary(id).await?;
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
        let (stats, store) = self.ask(Ask::Stats).await?;
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
