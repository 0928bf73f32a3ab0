//! The front desk: takes what clients send over the broker, and answers them. The loop hands it deliveries and gets inputs
//! back; it knows neither the Hub that the desk asks nor how answers reach a client.

use std::sync::Arc;
use std::time::Duration;

use hub_core::schedule::ScheduledStart;
use hub_core::{JobId, Json, TaskId};
use hub_transport::supervisor::DeliveryRef;
use hub_transport::{Delivery, Message};
use tokio::sync::{Semaphore, mpsc};

use super::inputs::{Input, Submit};
use super::intake::Arrival;
use super::local::LocalHub;
use super::replies::{Replier, ReplyTo, too_large};
use super::room::ParsePermit;
use super::settings::OPEN_REQUESTS;
use super::submissions::PendingSubmission;
use crate::operations::{Answer, Hub, Request, RequestError, RequestErrorKind, ResultUpdate, Submitted};
use crate::wire::{JobMessage, RequestMessage};

/// Maximum time for which the answer to a request is delayed until a job has ended.
const MAXIMUM_WAIT: Duration = Duration::from_secs(60);

/// The same while [`MAXIMUM_WAITING_REQUESTS`] answers are delayed already.
const MAXIMUM_WAIT_UNDER_LOAD: Duration = Duration::from_secs(1);

/// Maximum number of requests whose answers are delayed at a time.
const MAXIMUM_WAITING_REQUESTS: usize = OPEN_REQUESTS as usize / 4 * 3;

/// Number of bytes of jobs that are checked before other tasks of this thread run.
const BYTES_BETWEEN_YIELDS: usize = 64 * 1024;

/// Maximum number of tasks of definitions that the jobs of one message refer to.
const MAXIMUM_STARTED_TASKS: usize = 1_000_000;

/// Delay before a job is looked up in the store again after a failure.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// Answers clients.
#[derive(Debug)]
pub(super) struct FrontDesk {
    hub: Arc<LocalHub>,
    replier: Replier,
    inputs: mpsc::UnboundedSender<Input>,
    /// Those that may wait for the end of a job at present. The others of [`OPEN_REQUESTS`] are for what is answered at once.
    waits: Semaphore,
}

/// A job before the loop, or why it does not come so far.
type Checked = Result<(Submit, PendingSubmission), RequestError>;

/// Refuses a job that refers to definitions if those of its message have too many tasks. Such a job is small however many tasks it
/// has, so one message could fill the memory with them.
fn within_tasks(
    (submit, pending): (Submit, PendingSubmission),
    started: &mut usize,
) -> Result<(Submit, PendingSubmission), RequestError> {
    if !submit.job.pins().is_empty() {
        let tasks: usize = submit.job.with_sub_jobs().into_iter().map(|job| job.tasks().len()).sum();
        if *started > 0 && started.saturating_add(tasks) > MAXIMUM_STARTED_TASKS {
            let message = format!(
                "the jobs in this message have more than {MAXIMUM_STARTED_TASKS} tasks of definitions together: send it in a message of its own"
            );
            return Err(RequestError::new(RequestErrorKind::TooLarge, message));
        }
        *started = started.saturating_add(tasks);
    }
    Ok((submit, pending))
}

/// A request that is not acknowledged yet. It will be when this is dropped, however the answering ends.
struct Open<'d> {
    at: DeliveryRef,
    inputs: &'d mpsc::UnboundedSender<Input>,
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        let _ = self.inputs.send(Input::Answered(self.at));
    }
}

impl FrontDesk {
    pub(super) fn new(hub: Arc<LocalHub>, replier: Replier, inputs: mpsc::UnboundedSender<Input>) -> Arc<Self> {
        Arc::new(Self { hub, replier, inputs, waits: Semaphore::new(MAXIMUM_WAITING_REQUESTS) })
    }

    /// Has jobs of schedules prepared, and passed to the loop.
    pub(super) fn prepare_runs(&self, starts: Vec<ScheduledStart>) {
        for start in starts {
            let hub = Arc::clone(&self.hub);
            tokio::spawn(async move { hub.prepare_run(start).await });
        }
    }

    /// Takes in the jobs of a message. They come before the loop together, as one input.
    pub(super) fn take_jobs(self: &Arc<Self>, at: DeliveryRef, delivery: Delivery) {
        let desk = Arc::clone(self);
        tokio::spawn(async move { desk.submit(at, &delivery.message).await });
    }

    /// Answers a request of the request queue. It is acknowledged when it is answered, so the queue's prefetch bounds the
    /// number of open ones, and those of a dispatcher that dies are answered by the next one.
    pub(super) fn take_request(self: &Arc<Self>, at: DeliveryRef, delivery: Delivery) {
        let desk = Arc::clone(self);
        tokio::spawn(async move {
            let _open = Open { at, inputs: &desk.inputs };
            desk.answer(&delivery.message).await;
        });
    }

    /// Refuses a message.
    pub(super) fn refuse(&self, message: &Message, error: RequestError) {
        self.replier.send::<()>(&self.replier.reply_to(message), Err(error));
    }

    /// What answers a result from outside that came by the queue of results, once it is committed.
    pub(super) fn posted(
        self: &Arc<Self>,
        message: &Message,
        id: TaskId,
        outcome: Result<(), RequestError>,
    ) -> impl FnOnce() + Send + use<> {
        let (desk, reply) = (Arc::clone(self), self.replier.reply_to(message));
        move || desk.tell_posted(&reply, id, outcome)
    }

    /// The same where the task's job is not live. It may have ended a moment ago: the store is asked after the commit.
    pub(super) fn posted_late(
        self: &Arc<Self>,
        message: &Message,
        update: ResultUpdate,
    ) -> impl FnOnce() + Send + use<> {
        let (desk, reply) = (Arc::clone(self), self.replier.reply_to(message));
        move || {
            tokio::spawn(async move {
                let outcome = desk.hub.compare_with_ended(&update).await;
                desk.tell_posted(&reply, update.id, outcome);
            });
        }
    }

    /// Returns when every answer is on its way that was given before.
    pub(super) async fn close(&self) {
        self.replier.flush().await;
        let refused = self.replier.refused();
        if refused > 0 {
            tracing::info!(messages = refused, "messages that were not answered because of their reply_to");
        }
    }

    async fn submit(self: &Arc<Self>, at: DeliveryRef, message: &Message) {
        let asker = self.replier.reply_to(message);
        let mut permit = self.hub.intake.room.parse_permit_for_delivery(message.body.len()).await;
        let jobs = JobMessage::all_of(message).unwrap_or_else(|error| {
            self.refuse_job(&asker, None, RequestError::new(RequestErrorKind::InvalidRequest, error.to_string()));
            Vec::new()
        });
        let outcomes = loop {
            match self.check(&jobs, asker.is_wanted(), &mut permit).await {
                Some(outcomes) => break outcomes,
                // The store cannot be read at present. The broker does not bring them again as long as this session lives.
                None => tokio::time::sleep(RETRY_DELAY).await,
            }
        };
        let (mut checked, mut pending) = (Vec::with_capacity(jobs.len()), Vec::with_capacity(jobs.len()));
        for (JobMessage { id, correlation_id, .. }, outcome) in jobs.into_iter().zip(outcomes) {
            let reply = asker.about(correlation_id);
            match outcome {
                Ok((job, submission)) => {
                    checked.push(job);
                    pending.push((id, reply, submission));
                }
                Err(error) => self.refuse_job(&reply, id, error),
            }
        }
        if checked.is_empty() {
            let _ = self.inputs.send(Input::NothingKept(at));
            return;
        }
        if self.inputs.send(Input::Submit { jobs: checked, permit, delivery: Some(at) }).is_err() {
            // Not acknowledged: it is delivered again, to the dispatcher that takes over.
            return;
        }
        for (id, reply, submission) in pending {
            let desk = Arc::clone(self);
            tokio::spawn(async move { desk.tell(id, &reply, submission).await });
        }
    }

    /// Checks jobs. `None` where the store cannot be read: then nothing of them is kept, since jobs that were looked up keep others
    /// in memory ([`super::lately`]).
    async fn check(&self, jobs: &[JobMessage], are_answered: bool, permit: &mut ParsePermit) -> Option<Vec<Checked>> {
        let (mut checked, mut bytes, mut started) = (Vec::with_capacity(jobs.len()), 0, 0);
        for job in jobs {
            let wait = job.wait.map(|wait| wait.min(MAXIMUM_WAIT)).filter(|_| are_answered);
            let arrival = Arrival { text: job.text.clone(), id: job.id };
            let outcome = self.hub.check(arrival, wait, permit).await.and_then(|job| within_tasks(job, &mut started));
            if matches!(&outcome, Err(error) if error.kind == RequestErrorKind::Internal) {
                return None;
            }
            checked.push(outcome);
            bytes += job.text.len();
            if bytes > BYTES_BETWEEN_YIELDS {
                bytes = 0;
                tokio::task::yield_now().await;
            }
        }
        Some(checked)
    }

    /// Answers a submission.
    async fn tell(&self, id: Option<JobId>, reply: &ReplyTo, submission: PendingSubmission) {
        match self.hub.outcome(submission).await {
            Ok(submitted) => self.replier.send(reply, Ok(submitted)),
            // The dispatcher stops, and the job is delivered again.
            Err(error) if error.kind == RequestErrorKind::Unavailable => {}
            Err(error) => self.refuse_job(reply, id, error),
        }
    }

    fn tell_posted(&self, reply: &ReplyTo, id: TaskId, outcome: Result<(), RequestError>) {
        if let Err(error) = &outcome {
            tracing::warn!(task = %id, %error, "refused a result from outside");
        }
        self.replier.send(reply, outcome.map(|()| serde_json::json!({ "id": id })));
    }

    fn refuse_job(&self, reply: &ReplyTo, id: Option<JobId>, error: RequestError) {
        tracing::warn!(id = id.map(tracing::field::display), %error, "refused a job");
        self.replier.send::<Submitted>(reply, Err(error));
    }

    async fn answer(&self, message: &Message) {
        let reply = self.replier.reply_to(message);
        match RequestMessage::decode(&message.body) {
            // Without a reader, a request that only looks something up does nothing.
            Ok(RequestMessage { request, .. }) if !reply.is_wanted() && !request.changes_something() => {}
            Ok(RequestMessage { request, .. }) => {
                // Where too many wait already, a client is answered soon, and asks again.
                let place = request.wait().and_then(|_| self.waits.try_acquire().ok());
                let maximum = if place.is_some() { MAXIMUM_WAIT } else { MAXIMUM_WAIT_UNDER_LOAD };
                let wait = request.wait().map(|wait| wait.min(maximum));
                self.replier.send(&reply, self.carry_out(request.with_wait(wait)).await);
            }
            Err(error) => {
                tracing::warn!(%error, "refused a request");
                let refusal = RequestError::new(RequestErrorKind::InvalidRequest, error.to_string());
                self.replier.send::<()>(&reply, Err(refusal));
            }
        }
    }

    async fn carry_out(&self, request: Request) -> Result<Json, RequestError> {
        let asked_for = if let Request::Job { id, .. } = &request { Some(*id) } else { None };
        let answer = match (self.hub.call(request).await?, self.replier.largest()) {
            (Answer::Document(document), Some(limit)) => Answer::Document(document.within(limit)),
            (answer, _) => answer,
        };
        match (answer.into_json(), self.replier.largest()) {
            (Ok(json), _) => Ok(json),
            (Err(record), None) => record.into_json().await,
            (Err(record), Some(limit)) => record.sized(limit).await?.map_err(|size| {
                let job = asked_for.map_or_else(String::new, |id| format!(" of job {id}"));
                too_large(&format!("the record{job}"), size, limit)
            }),
        }
    }
}
