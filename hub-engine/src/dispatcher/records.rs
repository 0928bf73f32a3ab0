//! Status records of live jobs, from the loop, and of other jobs, from the store.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use hub_core::machine::LiveView;
use hub_core::record::View;
use hub_core::state::{JobSnapshot, JobSummary, TASK_WEIGHT};
use hub_core::{JobId, Json};
use tokio::sync::OwnedSemaphorePermit;

use super::apart::apart;
use super::inputs::{Ask, Ended};
use super::local::{LocalHub, unknown_job};
use crate::operations::{Document, Record, RequestError, RequestErrorKind, TaskQuery};
use crate::store::{JobPart, Part};

/// Approximate maximum size of a page of tasks, in bytes.
const PAGE_BYTES: usize = 4 * 1024 * 1024;

impl LocalHub {
    /// The status record of a job.
    pub(super) async fn record_of(
        &self,
        id: JobId,
        view: View,
        wait: Option<Duration>,
    ) -> Result<Record, RequestError> {
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

    /// The submitted text of a job, from the byte at `after` on.
    pub(super) async fn document_of(&self, id: JobId, after: Option<u32>) -> Result<Document, RequestError> {
        let (job, hold) = match self.live(id, 0..0).await? {
            Some(live) => live,
            None => self.stored_for(id, &View::without_data().without_tasks()).await?,
        };
        let after = after.unwrap_or(0);
        Document::new(Arc::clone(job.job.shared_source()), after, Some(hold)).ok_or_else(|| {
            let message =
                format!("no character of the document begins at {after}: use the \"next\" of the part before");
            RequestError::new(RequestErrorKind::InvalidRequest, message)
        })
    }

    /// The summary of a job.
    pub(super) async fn summary_of(&self, id: JobId, wait: Option<Duration>) -> Result<JobSummary, RequestError> {
        if let Some(ended) = self.end_of(id, wait).await {
            return Ok(ended.summary());
        }
        match self.ask(|answer| Ask::Summary(id, answer)).await? {
            Some(live) => Ok(live),
            None => self.stored_summary(id).await,
        }
    }

    /// A page of a job's task records.
    pub(super) async fn tasks_of(&self, id: JobId, query: TaskQuery) -> Result<Json, RequestError> {
        query.view.check()?;
        let (mut range, bytes) = (query.range()?, PAGE_BYTES.min(self.largest_answer));
        // What the loop keeps of items is not enough for their records.
        let live = match &query.of {
            None => self.live(id, range.clone()).await?,
            Some(name) => {
                let first = self.first_item(id, name).await?;
                range = range.start.saturating_add(first)..range.end.saturating_add(first);
                None
            }
        };
        let (job, end, hold) = match live {
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
        written
            .await
            .map_err(|_| RequestError::new(RequestErrorKind::Internal, "the page could not be written: see the log"))
    }

    /// The position of the first item of the task with this name.
    async fn first_item(&self, id: JobId, name: &str) -> Result<u32, RequestError> {
        let stored = self.intake.store.find_family(id.family()).await;
        let stored = stored.map_err(|error| self.intake.store_failed(error))?.filter(|job| job.id == id);
        let job = stored.ok_or_else(|| unknown_job(id))?.job;
        let task = job.tasks().iter().position(|task| **task.name() == *name).ok_or_else(|| {
            let message = format!("the job {id} has no task named {name:?}");
            RequestError::new(RequestErrorKind::NotFound, message)
        })?;
        job.first_item(task as u32).ok_or_else(|| {
            let message = format!("the task {name:?} has no items, since it has no for_each");
            RequestError::new(RequestErrorKind::InvalidRequest, message)
        })
    }

    async fn stored(&self, id: JobId) -> Result<JobSnapshot, RequestError> {
        let stored = self.intake.store.get(id).await.map_err(|error| self.intake.store_failed(error))?;
        stored.ok_or_else(|| unknown_job(id))
    }

    /// A live job with these tasks, and its reserved memory. `None`: the job is not live.
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
        // The loop shares the values while the job is live, but the job may end before the answer is sent.
        self.open_answers.hold_more(&mut hold, job.weight().saturating_sub(tasks)).await?;
        Ok(Some((job, hold)))
    }

    /// A part of a job that is not live, and its reserved memory.
    pub(super) async fn stored_part(
        &self,
        id: JobId,
        part: Part,
        bytes: usize,
    ) -> Result<(JobPart, OwnedSemaphorePermit), RequestError> {
        let hold = self.open_answers.hold(bytes).await?;
        let found = self.intake.store.get_part(id, part).await.map_err(|error| self.intake.store_failed(error))?;
        Ok((found.ok_or_else(|| unknown_job(id))?, hold))
    }

    /// The parts of a job that is not live which a record with this view needs.
    pub(super) async fn stored_for(
        &self,
        id: JobId,
        view: &View,
    ) -> Result<(JobSnapshot, OwnedSemaphorePermit), RequestError> {
        if !view.shows_data() {
            let tasks = if view.shows_tasks() { 0..u32::MAX } else { 0..0 };
            let part = Part { tasks, bytes: usize::MAX, data: false };
            let (part, hold) = self.stored_part(id, part, self.stored_weight(id, false).await?).await?;
            return Ok((part.job, hold));
        }
        let hold = self.open_answers.hold(self.stored_weight(id, true).await?).await?;
        Ok((self.stored(id).await?, hold))
    }

    pub(super) async fn stored_weight(&self, id: JobId, data: bool) -> Result<usize, RequestError> {
        let weight = self.intake.store.weight(id, data).await.map_err(|error| self.intake.store_failed(error))?;
        weight.ok_or_else(|| unknown_job(id))
    }

    pub(super) async fn stored_summary(&self, id: JobId) -> Result<JobSummary, RequestError> {
        let found = self.intake.store.summary(id).await.map_err(|error| self.intake.store_failed(error))?;
        found.ok_or_else(|| unknown_job(id))
    }

    /// The final state of the job, if it ends within `wait`.
    async fn end_of(&self, id: JobId, wait: Option<Duration>) -> Ended {
        let ended = tokio::time::timeout(wait?, self.ask(|answer| Ask::Ended(id, answer))).await;
        ended.ok()?.ok()?
    }
}

/// The snapshot of a live job.
async fn snapshot_of(live: LiveView) -> Result<JobSnapshot, RequestError> {
    let snapshot = apart(live.tasks(), move || live.into_snapshot()).await;
    snapshot
        .ok_or_else(|| RequestError::new(RequestErrorKind::Internal, "the record could not be written: see the log"))
}
