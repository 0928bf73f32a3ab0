//! Checks submissions, passes them to the loop, and answers them.

use std::sync::Arc;
use std::time::Duration;

use hub_core::record::View;
use hub_core::state::JobSnapshot;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::inputs::{Admitted, Ask, Ended, Submit};
use super::intake::{Answered, Arrival, full};
use super::local::LocalHub;
use super::room::ParsePermit;
use crate::operations::{Record, RequestError, Submission, Submitted};

/// Maximum size of a record in the answer to a submission, in bytes.
const MAXIMUM_RECORD_BYTES: usize = 4 * 1024 * 1024;

/// A submission that the loop has not answered yet.
#[derive(Debug)]
pub(super) struct PendingSubmission {
    answered: Answered,
    wait: Option<Duration>,
    ended: oneshot::Receiver<Ended>,
}

impl LocalHub {
    /// Submits a job from this process.
    pub(super) async fn submit_here(
        &self,
        submission: Submission,
        wait: Option<Duration>,
    ) -> Result<Submitted, RequestError> {
        if self.intake.room.is_full() {
            return Err(full());
        }
        let mut permit = self.intake.room.parse_permit(submission.text.len()).await;
        // Earlier submissions may have reached the limit.
        if self.intake.room.is_full() {
            return Err(full());
        }
        let (job, pending) = self.check(submission.into(), wait, &mut permit).await?;
        self.intake.submit(vec![job], permit, None)?;
        self.outcome(pending).await
    }

    /// Checks a submission. With `wait`, [`LocalHub::outcome`] waits for the end of the job, at most this time.
    ///
    /// # Errors
    /// The errors of [`super::intake::Intake::check`].
    pub(super) async fn check(
        &self,
        arrival: Arrival,
        wait: Option<Duration>,
        permit: &mut ParsePermit,
    ) -> Result<(Submit, PendingSubmission), RequestError> {
        let (tell, ended) = oneshot::channel();
        let (job, answered) = self.intake.check(arrival, wait.is_some().then_some(tell), permit).await?;
        Ok((job, PendingSubmission { answered, wait, ended }))
    }

    /// The answer to a submission.
    pub(super) async fn outcome(&self, pending: PendingSubmission) -> Result<Submitted, RequestError> {
        let PendingSubmission { answered, wait, ended } = pending;
        let Some(wait) = wait else { return Ok(answered.admitted().await?.into()) };
        let id = match tokio::time::timeout(wait, ended).await {
            Ok(Ok(Some(ended))) => return Ok(self.submitted(ended).await),
            Err(_) => return Ok(answered.admitted().await?.into()),
            // The job was refused or had ended before, or the dispatcher is stopping.
            Ok(_) => answered.admitted().await?.id,
        };
        match self.ask(|answer| Ask::Summary(id, answer)).await {
            Ok(None) => {}
            _ => return Ok(Submitted::new(id)),
        }
        // The job is accepted even if its record cannot be read now. The client can query it.
        match self.stored_for(id, &View::whole()).await {
            Ok((stored, hold)) => Ok(self.with_record(Arc::new(stored), hold).await),
            Err(_) => Ok(Submitted::new(id)),
        }
    }

    /// The answer if the job has ended: with its record, if that is not too large.
    async fn submitted(&self, ended: Arc<JobSnapshot>) -> Submitted {
        match self.open_answers.try_hold(ended.weight()) {
            Some(hold) => self.with_record(ended, hold).await,
            None => Submitted::new(ended.id),
        }
    }

    async fn with_record(&self, ended: Arc<JobSnapshot>, hold: OwnedSemaphorePermit) -> Submitted {
        let submitted = Submitted::new(ended.id);
        let record =
            Record::new(ended, View::whole(), Some(hold)).within(MAXIMUM_RECORD_BYTES.min(self.largest_answer)).await;
        Submitted { record: record.ok().flatten(), ..submitted }
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
