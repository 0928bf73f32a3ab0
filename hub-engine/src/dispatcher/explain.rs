//! Explanations of live jobs, from the loop, and of other jobs, from the store.

use hub_core::explain::{Explanation, UnknownTask};
use hub_core::machine::explain_ended;
use hub_core::{JobId, Json};

use super::inputs::Ask;
use super::local::LocalHub;
use crate::operations::{RequestError, RequestErrorKind};
use crate::store::{JobPart, Part};

impl LocalHub {
    /// What a job waits for, or the task or the item with this name.
    pub(super) async fn explanation_of(&self, id: JobId, task: Option<String>) -> Result<Json, RequestError> {
        let asked = task.clone();
        let explanation = match self.ask(|answer| Ask::Explain(id, asked, answer)).await? {
            Some(live) => *live.map_err(not_found)?,
            None => self.explain_stored(id, task).await?,
        };
        let text = serde_json::to_string(&explanation);
        text.map(Json::from_checked).map_err(|error| RequestError::new(RequestErrorKind::Internal, error.to_string()))
    }

    /// Explains a job that has ended.
    async fn explain_stored(&self, id: JobId, task: Option<String>) -> Result<Explanation, RequestError> {
        let part = |tasks| Part { tasks, bytes: usize::MAX, data: false };
        let weight = self.stored_weight(id, false).await?;
        let (JobPart { mut job, .. }, hold) = self.stored_part(id, part(0..u32::MAX), weight).await?;
        let count = job.tasks.len() as u32;
        let position = task.as_deref().and_then(|name| job.job.position_of(name));
        if let Some(item) = position.filter(|position| *position >= count) {
            let found = self.intake.store.get_part(id, part(item..item + 1)).await;
            let found = found.map_err(|error| self.intake.store_failed(error))?;
            job.items = found.map(|found| found.job.items).unwrap_or_default();
        }
        let explained = tokio::task::spawn_blocking(move || {
            let _hold = hold;
            explain_ended(&job, task.as_deref())
        });
        explained
            .await
            .map_err(|_| RequestError::new(RequestErrorKind::Internal, "the job could not be explained: see the log"))?
            .map_err(not_found)
    }
}

fn not_found(unknown: UnknownTask) -> RequestError {
    RequestError::new(RequestErrorKind::NotFound, unknown.to_string())
}
