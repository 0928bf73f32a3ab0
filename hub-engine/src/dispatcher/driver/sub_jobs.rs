//! Reads sub-jobs that have ended, since another attempt of their tasks continues them.

use std::sync::Arc;

use hub_core::machine::RetriedJob;
use hub_core::state::JobSnapshot;
use hub_core::{JobId, TaskId};

use super::Driver;
use super::effects::STORE_RETRY_DELAY;
use crate::clock::wall;
use crate::dispatcher::apart::apart;
use crate::dispatcher::inputs::Input;
use crate::store::Store;

/// How often a sub-job is read that the store cannot give.
const MAXIMUM_READS: u32 = 10;

impl Driver {
    /// Has these jobs read, one after the other, and their continuations passed to the loop.
    pub(super) fn read_jobs(&self, jobs: Vec<(TaskId, JobId)>) {
        if jobs.is_empty() {
            return;
        }
        let (store, inputs, limit) =
            (Arc::clone(&self.store), self.inputs.clone(), self.settings.limits.max_value_bytes);
        tokio::spawn(async move {
            for (task, id) in jobs {
                let Ok(ended) = read(&*store, id).await else { return };
                let continued = match ended {
                    None => None,
                    Some(ended) => {
                        let tasks = ended.tasks.len() + ended.items.len();
                        let decide = move || RetriedJob::of_sub_job(ended, limit, wall()).map(Box::new);
                        apart(tasks, decide).await.flatten()
                    }
                };
                if inputs.send(Input::Read(task, id, continued)).is_err() {
                    return;
                }
            }
        });
    }
}

/// A job that the store has. `None` also if the store cannot give it, though other jobs can be read.
///
/// # Errors
/// If the store cannot be used.
async fn read(store: &dyn Store, id: JobId) -> Result<Option<JobSnapshot>, ()> {
    for number in 1..=MAXIMUM_READS {
        match store.get_with_items(id).await {
            Ok(job) => return Ok(job),
            Err(error) => {
                let then = if number < MAXIMUM_READS { "its task waits" } else { "its task begins anew" };
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    job = %id,
                    "a sub-job that is continued cannot be read: {then}"
                );
                if error.is_final() {
                    return Err(());
                }
            }
        }
        tokio::time::sleep(STORE_RETRY_DELAY).await;
    }
    Ok(None)
}
