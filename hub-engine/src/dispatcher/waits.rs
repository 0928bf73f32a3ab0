//! Signals and answers within the dispatcher's process. Those to a job that has ended are compared with what the store
//! has of it, since a client may repeat a request that ended the job.

use hub_core::TaskId;

use super::inputs::Ask;
use super::local::{LocalHub, unknown_job};
use crate::operations::{JobSignal, RequestError, RequestErrorKind, SignalOutcome, SignalReceipt, TaskApproval};

impl LocalHub {
    /// Sends a signal to a job.
    pub(super) async fn signal_job(&self, signal: JobSignal) -> Result<SignalReceipt, RequestError> {
        let id = signal.id;
        let sent = signal.clone();
        if let Some(outcome) = self.ask(|answer| Ask::Signal(id, sent.into(), answer)).await? {
            return outcome.map(|outcome| SignalReceipt { id, outcome: outcome.into() });
        }
        let stored = self.intake.store.find_family(id.family()).await;
        let stored = stored.map_err(|error| self.intake.store_failed(error))?;
        let job = stored.filter(|job| job.id == id).ok_or_else(|| unknown_job(id))?;
        let is_known = |key: &String| job.state.details.as_ref().is_some_and(|known| known.knows(&signal.name, key));
        if signal.key.as_ref().is_some_and(is_known) {
            return Ok(SignalReceipt { id, outcome: SignalOutcome::Repeated });
        }
        let status = job.state.status;
        let message = format!("job {id} has ended already ({status}): none of its tasks waits for a signal");
        Err(RequestError::new(RequestErrorKind::Conflict, message))
    }

    /// Answers the question of a task.
    pub(super) async fn approve_task(&self, approval: TaskApproval) -> Result<TaskId, RequestError> {
        let task = approval.id;
        let sent = approval.clone();
        match self.ask(|answer| Ask::Choose(task, sent.into(), answer)).await? {
            Some(outcome) => outcome.map(|()| task),
            None => self.compare_with_answer(approval).await.map(|()| task),
        }
    }

    /// Compares an answer with that of a task whose job has ended. It is accepted if it is the same.
    async fn compare_with_answer(&self, approval: TaskApproval) -> Result<(), RequestError> {
        let id = approval.id;
        let task = self.stored_task(id).await?;
        let answer = task.details.as_ref().and_then(|details| details.rare().answer.as_ref());
        let input = approval.input.unwrap_or_else(hub_core::Json::null);
        if answer.is_some_and(|answer| answer.says_the_same(&approval.choice, &input)) {
            return Ok(());
        }
        let message = match answer {
            Some(given) => format!("task {id} was answered with {:?} already: the first answer counts", given.choice),
            None => format!("task {id} has ended already ({}): it does not wait for an answer", task.status),
        };
        Err(RequestError::new(RequestErrorKind::Conflict, message))
    }
}
