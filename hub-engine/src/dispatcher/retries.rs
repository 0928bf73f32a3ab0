//! Retries of jobs that have ended: reads the job from the store, decides what runs again, and passes the new job to the loop.

use std::time::Duration;

use hub_core::JobId;
use hub_core::machine::{RetriedJob, Retry, RetryError};
use hub_core::state::{JobSnapshot, weight};
use uuid::Uuid;

use super::apart::apart;
use super::inputs::{Ask, RetryOrder};
use super::intake::{examples_of, full};
use super::local::{LocalHub, id_taken, unknown_job};
use crate::clock::wall;
use crate::operations::{JobCancel, JobRetry, RequestError, RequestErrorKind, Submitted};

/// How long the request for a retry waits for the end of a job that it has cancelled.
const MAXIMUM_CANCEL_WAIT: Duration = Duration::from_secs(5);

impl LocalHub {
    /// Retries a job that has ended.
    pub(super) async fn retry_job(&self, retry: JobRetry) -> Result<Submitted, RequestError> {
        let (of, id) = (retry.id, retry.new_id.unwrap_or_else(|| JobId::new(Uuid::now_v7())));
        let lookup = self.intake.lookups.begin();
        let known = self.intake.store.find_family(id.family()).await;
        if let Some(known) = known.map_err(|error| self.intake.store_failed(error))? {
            let digest = Retry::from(retry).digest();
            let is_same = known.id == id
                && known.state.origin().is_some_and(|origin| origin.job == of)
                && known.state.details.as_deref().is_some_and(|details| details.retry_digest == Some(digest));
            return if is_same { Ok(Submitted::new(id)) } else { Err(id_taken(id)) };
        }
        if self.intake.room.is_full() {
            return Err(full());
        }
        if let Some(live) = self.ask(|answer| Ask::Summary(of, answer)).await? {
            if !retry.cancel {
                return Err(refused(of, &RetryError::NotEnded(live.status)));
            }
            self.cancel_first(&retry).await?;
        }
        let mut hold = self.open_answers.hold(self.stored_weight(of, true).await?).await?;
        let ended = self.intake.store.get_with_items(of).await.map_err(|error| self.intake.store_failed(error))?;
        let ended = ended.ok_or_else(|| unknown_job(of))?;
        self.refuse_part_of(&ended).await?;
        let items = weight(&ended.job, &ended.state, ended.items.values(), true);
        self.open_answers.hold_more(&mut hold, items).await?;
        let permit = self.intake.room.parse_permit(ended.job.text_bytes()).await;
        // Other jobs may have reached the limit.
        if self.intake.room.is_full() {
            return Err(full());
        }
        let (retried, examples) = self.prepare(ended, retry).await?;
        let order = Box::new(RetryOrder { id, retried, examples, lookup, permit });
        self.ask(|answer| Ask::Retry(order, answer)).await?.map(Submitted::from)
    }

    /// Cancels the job of a retry, and waits for its end.
    async fn cancel_first(&self, retry: &JobRetry) -> Result<(), RequestError> {
        let of = retry.id;
        // A request that would be refused afterwards must not cancel the job.
        if let Some(live) = self.ask(|answer| Ask::Job(of, 0..0, answer)).await? {
            let live = live.into_snapshot();
            self.refuse_part_of(&live).await?;
            let checked = Retry::from(retry.clone()).check(&live.job, self.intake.limits.max_value_bytes);
            checked.map_err(|error| refused(of, &error))?;
        }
        let cancel = JobCancel { by: retry.by.clone(), reason: retry.reason.clone(), ..JobCancel::new(of) };
        self.ask(|answer| Ask::Cancel(of, cancel.into(), answer)).await?;
        let ended = tokio::time::timeout(MAXIMUM_CANCEL_WAIT, self.ask(|answer| Ask::Ended(of, answer))).await;
        ended.map_or_else(
            |_| {
                let message = format!(
                    "job {of} is being cancelled and has not ended yet: repeat the request with the same new_id, or cancel the job without a grace period"
                );
                Err(RequestError::new(RequestErrorKind::NotEnded, message))
            },
            |ended| ended.map(drop),
        )
    }

    /// Refuses the retry of a sub-job whose parent job is live and takes over its result.
    async fn refuse_part_of(&self, job: &JobSnapshot) -> Result<(), RequestError> {
        let details = job.state.details.as_deref();
        let Some(parent) = details.and_then(|details| details.parent.as_ref()).filter(|parent| !parent.detached) else {
            return Ok(());
        };
        let live = self.ask(|answer| Ask::Summary(parent.job, answer)).await?;
        live.map_or(Ok(()), |_| Err(refused(job.id, &RetryError::PartOf(parent.job))))
    }

    /// Decides what runs again. Also returns positions of tasks that together cover all modules and pools of what does.
    async fn prepare(&self, ended: JobSnapshot, retry: JobRetry) -> Result<(RetriedJob, Vec<u32>), RequestError> {
        let (of, limit) = (ended.id, self.intake.limits.max_value_bytes);
        let tasks = ended.tasks.len() + ended.items.len();
        let decide = move || {
            let retried = RetriedJob::new(ended, retry.into(), limit, wall())?;
            let examples = examples_of(retried.job(), |index| retried.runs(index));
            Ok((retried, examples))
        };
        let decided = apart(tasks, decide).await.ok_or_else(|| {
            RequestError::new(RequestErrorKind::Internal, "the retry could not be prepared: see the dispatcher's log")
        });
        decided?.map_err(|error| refused(of, &error))
    }
}

/// The refusal of a retry.
fn refused(of: JobId, error: &RetryError) -> RequestError {
    let kind = match error {
        RetryError::NotEnded(_)
        | RetryError::NothingRuns
        | RetryError::DataGone(_)
        | RetryError::DeadlinePassed(_)
        | RetryError::PartOf(_) => RequestErrorKind::Conflict,
        RetryError::UnknownTask { .. } | RetryError::RunsAndOverridden(_) | RetryError::Handler(_) => {
            RequestErrorKind::InvalidRequest
        }
        RetryError::OutOfBounds { .. } => RequestErrorKind::TooLarge,
    };
    RequestError::new(kind, format!("job {of} cannot be retried: {error}"))
}
