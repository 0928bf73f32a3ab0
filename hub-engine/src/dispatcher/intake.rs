//! Parses and checks submissions outside the loop, so that a large job does not delay small ones.

use std::collections::HashSet;
use std::sync::Arc;

use hub_core::definition::Library;
use hub_core::job::{InputCheck, Job, Limits, Problem, Problems};
use hub_core::{JobId, Json};
use tokio::sync::{Mutex, Semaphore, mpsc, oneshot};
use uuid::Uuid;

use super::discard::discard;
use super::found::{Found, LookedUp};
use super::inputs::{Admission, Admitted, Ended, Input, Known, Submit};
use super::lately::Lookups;
use super::room::{ParsePermit, Room};
use crate::operations::{RequestError, RequestErrorKind};
use crate::store::{Store, StoreError};
use hub_transport::supervisor::DeliveryRef;

/// Maximum size of a job that is parsed on the current thread, in bytes. Larger ones are parsed on a blocking thread.
pub(super) const MAXIMUM_INLINE_BYTES: usize = 64 * 1024;

/// Maximum number of steps of the comparison of inputs with their schema. They take less than a second.
const MAXIMUM_STEPS: u64 = 2_000_000;

/// Maximum number of a job's modules that are compared with those of the workers when it is submitted.
const MAXIMUM_EXAMPLES: usize = 1000;

/// Maximum number of stored jobs that are read at a time to compare them with submissions.
pub(super) const STORE_READS: usize = 8;

/// Checks submissions and passes them to the loop.
#[derive(Debug)]
pub(super) struct Intake {
    pub(super) inputs: mpsc::UnboundedSender<Input>,
    pub(super) store: Arc<dyn Store>,
    pub(super) lookups: Lookups,
    pub(super) limits: Limits,
    /// Limits the concurrent look-ups, because a stored job takes many times the memory of its text.
    pub(super) store_reads: Semaphore,
    /// Held while definitions are changed.
    pub(super) defining: Arc<Mutex<()>>,
    pub(super) schemas: Arc<dyn InputCheck>,
    pub(super) room: Arc<Room>,
}

/// A submission.
#[derive(Debug)]
pub(super) struct Arrival {
    pub(super) text: bytes::Bytes,
    pub(super) id: Option<JobId>,
}

impl Intake {
    /// Checks a job and looks up the same job in the store. `ended` is resolved at the end of the job, or dropped if
    /// there is nothing to wait for.
    ///
    /// # Errors
    /// The problems of the job; `Internal` if the store cannot be read.
    pub(super) async fn check(
        &self,
        arrival: Arrival,
        ended: Option<oneshot::Sender<Ended>>,
        permit: &mut ParsePermit,
    ) -> Result<(Submit, Answered), RequestError> {
        let Arrival { text, id } = arrival;
        let (job, examples) = self.parse(text, permit).await?;
        let (job, inputs) = self.with_inputs(job).await?;
        let job = Arc::new(job);
        let id = id.unwrap_or_else(|| JobId::new(Uuid::now_v7()));
        let lookup = self.lookups.begin();
        let stored = self.look_up(id, &job).await.map_err(|error| self.store_failed(error))?;
        let (answer, answered) = oneshot::channel();
        Ok((Submit { id, job, inputs, examples, stored, lookup, answer, ended }, Answered(answered)))
    }

    /// Parses a job, with the definitions that it refers to. Also returns positions of tasks that together cover all modules and
    /// pools of the job.
    async fn parse(&self, text: bytes::Bytes, permit: &mut ParsePermit) -> Result<(Job, Vec<u32>), RequestError> {
        let mut found = Found::default();
        loop {
            let (text, limits, library) = (text.clone(), self.limits.clone(), found.library());
            match parse(text, limits, library, found.bytes()).await? {
                Ok(parsed) => return Ok(parsed),
                Err(problems) => self.look_up_missing(&mut found, problems, permit).await?,
            }
        }
    }

    /// Parses a job and compares its inputs with its schema, and submits nothing.
    ///
    /// # Errors
    /// Those of [`Intake::check`].
    pub(super) async fn try_out(&self, text: bytes::Bytes, permit: &mut ParsePermit) -> Result<Job, RequestError> {
        let (job, _) = self.parse(text, permit).await?;
        self.with_inputs(job).await.map(|(job, _)| job)
    }

    /// Looks up the definitions that the parser of a job has missed.
    ///
    /// # Errors
    /// The problems of the job, if it has missed none.
    pub(super) async fn look_up_missing(
        &self,
        found: &mut Found,
        problems: Problems,
        permit: &mut ParsePermit,
    ) -> Result<(), RequestError> {
        match found.look_up(&*self.store, &self.room, permit).await.map_err(|error| self.store_failed(error))? {
            LookedUp::Added => Ok(()),
            LookedUp::NothingMissed => Err(refusal(problems)),
            LookedUp::TooMuch => Err(RequestError::new(RequestErrorKind::TooLarge, Found::too_much())),
        }
    }

    /// Compares the inputs of a job with its schema. Returns the job and its inputs, if it has some.
    async fn with_inputs(&self, job: Job) -> Result<(Job, Option<Json>), RequestError> {
        // Without a schema there is nothing to compare.
        if job.with_sub_jobs().iter().all(|part| part.input_schema().is_none()) {
            let inputs = job.checked_inputs(&*self.schemas, MAXIMUM_STEPS).map_err(refusal)?;
            return Ok((job, inputs));
        }
        let schemas = Arc::clone(&self.schemas);
        let compare = move || {
            let inputs = match check_schema(&*schemas, &job) {
                Ok(()) => job.checked_inputs(&*schemas, MAXIMUM_STEPS),
                Err(problem) => Err(problem.into()),
            };
            inputs.map(|inputs| (job, inputs))
        };
        tokio::task::spawn_blocking(compare).await.map_err(|_| parser_failed())?.map_err(refusal)
    }

    /// The stored job with this id, a colliding id, or this key.
    async fn look_up(&self, id: JobId, job: &Job) -> Result<Option<Known>, StoreError> {
        // The semaphore is never closed.
        let _permit = self.store_reads.acquire().await;
        let stored = match (self.store.find_family(id.family()).await?, job.key()) {
            (None, Some(key)) => self.store.find_key(key).await?,
            (found, _) => found,
        };
        Ok(stored.map(|stored| {
            let known = Known::new(stored.id, &stored.job, job);
            let tasks = stored.tasks.len();
            discard(stored, tasks);
            known
        }))
    }

    /// The refusal if the store cannot be read. Tells the loop if the error is permanent.
    pub(super) fn store_failed(&self, error: StoreError) -> RequestError {
        if matches!(error, StoreError::UnknownCursor(_) | StoreError::BadLimit(_)) {
            return RequestError::new(RequestErrorKind::InvalidRequest, error.to_string());
        }
        if matches!(error, StoreError::Closed) {
            return stopping();
        }
        tracing::error!(error = &error as &dyn std::error::Error, "the store cannot be read");
        if error.is_final() {
            let _ = self.inputs.send(Input::StoreBroken(error));
        }
        RequestError::new(RequestErrorKind::Internal, "the store cannot be read: see the dispatcher's log")
    }

    /// Passes checked jobs to the loop, which answers after the commit. `permit` is the permit under which they were
    /// parsed. `delivery` is the message that contained them, if it came from the broker.
    ///
    /// # Errors
    /// `Unavailable` if the loop has ended.
    pub(super) fn submit(
        &self,
        jobs: Vec<Submit>,
        permit: ParsePermit,
        delivery: Option<DeliveryRef>,
    ) -> Result<(), RequestError> {
        self.inputs.send(Input::Submit { jobs, permit, delivery }).map_err(|_| stopping())
    }
}

/// The future answer of the loop to a submission.
#[derive(Debug)]
pub(super) struct Answered(oneshot::Receiver<Admission>);

impl Answered {
    /// Waits for the answer of the loop, which is sent after the job is stored.
    pub(super) async fn admitted(self) -> Result<Admitted, RequestError> {
        self.0.await.map_err(|_| stopping())?
    }
}

/// Parses a job. Also returns positions of tasks that together cover all modules and pools of the job. `more` is the size of the
/// definitions in the library.
async fn parse(
    text: bytes::Bytes,
    limits: Limits,
    library: Library,
    more: usize,
) -> Result<Result<(Job, Vec<u32>), Problems>, RequestError> {
    let size = text.len().saturating_add(more);
    let read = move || {
        Job::parse_bytes_with(&text, &limits, &library).map(|job| {
            let examples = examples_of(&job, |_| true);
            (job, examples)
        })
    };
    if size <= MAXIMUM_INLINE_BYTES {
        return Ok(read());
    }
    tokio::task::spawn_blocking(read).await.map_err(|_| parser_failed())
}

/// Checks the schema of a job's inputs, and of those of its sub-jobs.
pub(super) fn check_schema(schemas: &dyn InputCheck, job: &Job) -> Result<(), Problem> {
    for part in job.with_sub_jobs() {
        let Some(schema) = part.input_schema() else { continue };
        if let Err(error) = schemas.schema(schema) {
            let problem = part.schema_problem(&error.pointer, error.message);
            let is_own = std::ptr::eq(part, job);
            return Err(if is_own { problem } else { in_sub_job(part, problem) });
        }
    }
    Ok(())
}

/// What the author of a valid schema may not expect.
pub(super) fn schema_warnings(schemas: &dyn InputCheck, job: &Job) -> Vec<String> {
    job.input_schema().and_then(|schema| schemas.schema(schema).ok()).unwrap_or_default()
}

/// The problem of a sub-job, whose place is in another text.
fn in_sub_job(part: &Job, problem: Problem) -> Problem {
    let message = format!("in the sub-job {:?}: {}: {}", part.name(), problem.path, problem.message);
    Problem { path: "$".to_owned(), line: None, column: None, message, ..problem }
}

/// The refusal after a panic of the parser.
pub(super) fn parser_failed() -> RequestError {
    RequestError::new(RequestErrorKind::Internal, "the job parser failed: see the dispatcher's log")
}

/// One of the tasks that run for each pair of a pool and what its workers must have, up to the maximum.
pub(super) fn examples_of(job: &Job, runs: impl Fn(u32) -> bool) -> Vec<u32> {
    let (mut examples, mut seen) = (Vec::with_capacity(1), HashSet::new());
    let mut last = None;
    let on_workers = job.tasks().iter().zip(0..).filter(|(task, index)| task.is_for_worker() && runs(*index));
    for (task, index) in on_workers {
        let need = (&**task.pool(), &**task.module(), task.run().is_some());
        if last.replace(need) == Some(need) || !seen.insert(need) {
            continue;
        }
        examples.push(index);
        if examples.len() == MAXIMUM_EXAMPLES {
            break;
        }
    }
    examples
}

/// The refusal of a job with problems.
pub(super) fn refusal(problems: Problems) -> RequestError {
    let problems: Vec<_> = problems.into_iter().collect();
    let message = match problems.as_slice() {
        [one] => format!("the job is not valid: {one}"),
        many => format!("the job is not valid: {} problems, the first: {}", many.len(), many[0]),
    };
    RequestError { kind: RequestErrorKind::InvalidJob, message, problems }
}

/// The refusal while live jobs have reached their memory limit.
pub(super) fn full() -> RequestError {
    let message = "the unfinished jobs have reached the dispatcher's memory limit: try again when some have ended";
    RequestError::new(RequestErrorKind::Unavailable, message)
}

/// The refusal of a stopping dispatcher.
pub(super) fn stopping() -> RequestError {
    RequestError::new(RequestErrorKind::Unavailable, "the dispatcher is stopping; try again")
}
