//! What the store can never keep: the job that it belongs to fails, and everything else of its batch is kept.

use std::sync::Arc;

use hub_core::action::Change;
use hub_core::machine::Handlers;
use hub_core::state::{JobState, TaskState};
use hub_core::{JobId, JobStatus, TaskStatus};

use super::Driver;
use crate::clock::now;
use crate::dispatcher::batch::Batch;
use crate::operations::{RequestError, RequestErrorKind};

impl Driver {
    /// The store refuses one change of a batch, and would refuse it again.
    pub(super) fn handle_refused(&mut self, number: u64, changes: Arc<Vec<Change>>, at: usize, why: &str) {
        let Some(mut batch) = self.committing.take_if(|batch| batch.number == number) else { return };
        let mut changes = Arc::unwrap_or_clone(changes);
        let Some(job) = job_of(&changes[at]) else {
            tracing::error!(
                why,
                "the store can never keep a change of a pool, of a definition, of a schedule, or a result for later tasks: it is left out"
            );
            changes.remove(at);
            self.committing = Some(batch);
            return self.commit_changes(number, Arc::new(changes));
        };
        let msg: Arc<str> = format!("the store cannot keep what has come of the job: {why}").into();
        tracing::error!(%job, why, "the store can never keep a change of this job: the job fails");
        let was_added = matches!(&changes[at], Change::JobAdded { .. });
        let refusal = was_added.then(|| self.refuse_added(&mut batch, job, why));
        reduce(&mut changes, at, &msg);
        // The handlers of a job that is in no store must not run.
        let handlers = if was_added { Handlers::Skip } else { Handlers::Run };
        if self.machine.fail_job(job, Arc::clone(&msg), handlers, now()).is_ok() {
            self.pending.commit_first = true;
            if let Some(error) = refusal {
                self.refused.insert(job, error);
            }
        } else {
            // It has ended in this batch.
            for change in &mut changes {
                if let Change::JobChanged { id, state } = change
                    && *id == job
                {
                    *state = failed(state, &msg);
                }
            }
            for ended in batch.ended.iter_mut().filter(|(id, _)| *id == job).filter_map(|(_, ended)| ended.as_mut()) {
                ended.replace_state(|state| failed(state, &msg));
            }
        }
        // They say what is not kept.
        batch.notices.clear();
        batch.lacks_notices = true;
        self.committing = Some(batch);
        self.commit_changes(number, Arc::new(changes));
    }

    /// The store cannot keep a new job at all: it is in no store, and those who submitted it are told so.
    fn refuse_added(&mut self, batch: &mut Batch, job: JobId, why: &str) -> RequestError {
        let error = RequestError::new(RequestErrorKind::Internal, format!("the store cannot keep the job: {why}"));
        batch.refuse(job, &error);
        self.pending.refuse(job, &error);
        // Those who wait for its end get the answer to their submission instead.
        self.waiters.remove(&job);
        self.lately.forget(job.family());
        error
    }
}

const fn job_of(change: &Change) -> Option<JobId> {
    match change {
        Change::JobAdded { id, .. } | Change::JobChanged { id, .. } | Change::JobRemoved { id } => Some(*id),
        Change::TaskChanged { job, .. } => Some(*job),
        Change::PoolChanged { .. }
        | Change::ResultKept { .. }
        | Change::DefinitionAdded { .. }
        | Change::AliasChanged { .. }
        | Change::ScheduleSet { .. }
        | Change::ScheduleChanged { .. }
        | Change::ScheduleRemoved { .. } => None,
    }
}

/// Makes of a change one that can be kept; takes it out where nothing is left to be taken from it.
fn reduce(changes: &mut Vec<Change>, at: usize, msg: &Arc<str>) {
    let reduced = match &mut changes[at] {
        Change::TaskChanged { state, .. } => {
            let bare = without_values(state, msg);
            let differs = bare != **state;
            *state = Arc::new(bare);
            differs
        }
        Change::JobChanged { state, .. } => {
            let details = state.details.as_ref().map(|details| Arc::new(details.without_values()));
            let bare = JobState { first_failure: None, details, ..failed(state, msg) };
            let differs = bare != *state;
            *state = bare;
            differs
        }
        Change::JobAdded { .. }
        | Change::JobRemoved { .. }
        | Change::PoolChanged { .. }
        | Change::ResultKept { .. }
        | Change::DefinitionAdded { .. }
        | Change::AliasChanged { .. }
        | Change::ScheduleSet { .. }
        | Change::ScheduleChanged { .. }
        | Change::ScheduleRemoved { .. } => false,
    };
    if !reduced {
        changes.remove(at);
    }
}

/// A task's state without what can be large.
fn without_values(state: &TaskState, msg: &Arc<str>) -> TaskState {
    let status = if state.status == TaskStatus::Success { TaskStatus::Failed } else { state.status };
    let details = state.details.as_ref().map(|details| Box::new(details.without_values()));
    TaskState { status, data: None, log: None, error: None, msg: Some(Arc::clone(msg)), details, ..state.clone() }
}

/// How a job stands that has ended, but for what cannot be kept. One that goes on does so.
fn failed(state: &JobState, msg: &Arc<str>) -> JobState {
    let status = if state.status.is_terminal() { JobStatus::Failed } else { state.status };
    JobState { status, output: None, msg: Some(Arc::clone(msg)), ..state.clone() }
}
