//! Reads sub-jobs that have ended, since another attempt of their tasks continues them.

use std::sync::Arc;

use hub_core::{JobId, TaskId};

use super::Driver;
use super::effects::STORE_RETRY;
use crate::dispatcher::inputs::Input;

impl Driver {
    /// Has these jobs read, one after the other, and passed to the loop.
    pub(super) fn read_jobs(&self, jobs: Vec<(TaskId, JobId)>) {
        if jobs.is_empty() {
            return;
        }
        let (store, inputs) = (Arc::clone(&self.store), self.inputs.clone());
        tokio::spawn(async move {
            for (task, id) in jobs {
                let job = loop {
                    match store.get_with_items(id).await {
                        Ok(job) => break job,
                        Err(error) => {
                            tracing::warn!(
                                error = &error as &dyn std::error::Error,
                                job = %id,
                                "a sub-job that is continued cannot be read: its task waits"
                            );
                            if error.is_final() {
                                return;
                            }
                            tokio::time::sleep(STORE_RETRY).await;
                        }
                    }
                };
                if inputs.send(Input::Read(task, Box::new(job))).is_err() {
                    return;
                }
            }
        });
    }
}
