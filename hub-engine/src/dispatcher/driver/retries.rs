//! Adds retries of jobs to the live jobs.

use std::sync::Arc;

use hub_core::JobId;
use hub_core::machine::{Refused, RetriedJob};
use tokio::sync::oneshot;

use super::Driver;
use crate::clock::now;
use crate::dispatcher::batch::PendingAnswer;
use crate::dispatcher::inputs::{Admission, Admitted, RetryOrder};
use crate::dispatcher::local::id_taken;
use crate::operations::RequestError;

impl Driver {
    /// Adds a retry of a job, and answers after the commit.
    pub(super) fn retry(&mut self, order: RetryOrder, answer: oneshot::Sender<Admission>) {
        let RetryOrder { id, retried, examples, lookup: _lookup, permit } = order;
        let job = Arc::clone(retried.job());
        let outcome = self.admit_retry(id, retried).map(|()| {
            let is_live = self.machine.is_live(id);
            Admitted { id, warnings: if is_live { self.unserved(&job, &examples) } else { Vec::new() } }
        });
        // Before others get the room, it is known what this job takes.
        self.note_live();
        drop(permit);
        self.pending.commit_first = true;
        self.pending.answers.push(PendingAnswer::Submission(answer, outcome));
    }

    /// Lets a retry in, or recognises it.
    fn admit_retry(&mut self, id: JobId, retried: RetriedJob) -> Result<(), RequestError> {
        if let Some(error) = self.refused.get(&id) {
            return Err(error.clone());
        }
        let job = Arc::clone(retried.job());
        if let Some((known, same)) = self.lately.find(id, None).filter(|_| !self.machine.is_live(id)) {
            // The look-up in the store may have missed it.
            let is_same = *known == id && same.source() == job.source();
            return if is_same { Ok(()) } else { Err(id_taken(id)) };
        }
        match self.machine.submit_retry(id, retried, now()) {
            Ok(_) => {
                self.lately.let_in(id, &job);
                Ok(())
            }
            Err(Refused::IdTaken) => Err(id_taken(id)),
        }
    }
}
