//! Answers what comes over the broker: submissions, requests, and results from outside that want an answer.

use std::sync::Arc;
use std::time::Duration;

use hub_core::{JobId, Json};
use hub_transport::Delivery;
use hub_transport::supervisor::DeliveryRef;
use serde::Serialize;
use tokio::sync::{Semaphore, mpsc};

use super::inputs::{Input, Submit};
use super::intake::Arrival;
use super::local::{Admission, LocalHub};
use super::replies::{Replier, ReplyTo, too_large};
use super::settings::OPEN_REQUESTS;
use crate::operations::{Hub, RequestError, RequestErrorKind, ResultUpdate, Submitted, TaskQuery, View};
use crate::wire::{JobMessage, Request};

/// How long an answer to "tell me when it has ended" is held back at most.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// The same where [`MAXIMUM_WAITS`] are held back already.
const SHORT_WAIT: Duration = Duration::from_secs(1);

/// Maximum number of requests whose answers are held back at a time.
const MAXIMUM_WAITS: usize = OPEN_REQUESTS as usize / 4 * 3;

/// After so many bytes of jobs the others of this thread have a turn.
const BREATH: usize = 64 * 1024;

/// How long a job waits whose like could not be looked up in the store.
const RETRY: Duration = Duration::from_secs(1);

/// An answer that is an id.
#[derive(Serialize)]
pub(super) struct Id<T> {
    pub(super) id: T,
}

/// Takes in what a message of the jobs queue brings.
pub(super) fn submissions(hub: &Arc<LocalHub>, replier: &Replier, at: DeliveryRef, delivery: Delivery) {
    let (hub, replier) = (Arc::clone(hub), replier.clone());
    tokio::spawn(async move {
        let asker = replier.reply_to(&delivery.message);
        let permit = hub.parse_permit_for_delivery(delivery.message.body.len()).await;
        let jobs = JobMessage::all_of(&delivery.message).unwrap_or_else(|error| {
            refuse(&replier, &asker, None, RequestError::new(RequestErrorKind::InvalidRequest, error.to_string()));
            Vec::new()
        });
        let outcomes = loop {
            match check(&hub, &jobs, asker.is_wanted()).await {
                Some(outcomes) => break outcomes,
                // The store cannot be read at present. The broker does not bring them again as long as this session lives.
                None => tokio::time::sleep(RETRY).await,
            }
        };
        let (mut checked, mut admissions) = (Vec::with_capacity(jobs.len()), Vec::with_capacity(jobs.len()));
        for (JobMessage { id, correlation_id, .. }, outcome) in jobs.into_iter().zip(outcomes) {
            let reply = asker.about(correlation_id);
            match outcome {
                Ok((job, admission)) => {
                    checked.push(job);
                    admissions.push((id, reply, admission));
                }
                Err(error) => refuse(&replier, &reply, id, error),
            }
        }
        if checked.is_empty() {
            return hub.refused(at);
        }
        if hub.take_in(checked, permit, Some(at)).is_err() {
            // Not acknowledged: it is delivered again, to whoever takes over.
            return;
        }
        for (id, reply, admission) in admissions {
            tokio::spawn(tell(Arc::clone(&hub), replier.clone(), id, reply, admission));
        }
    });
}

/// A job before the loop, or why it does not come so far.
type Checked = Result<(Submit, Admission), RequestError>;

/// Checks jobs. `None` where the store cannot be read: then nothing of them is kept, since jobs that were looked up keep others
/// in memory ([`super::lately`]).
async fn check(hub: &LocalHub, jobs: &[JobMessage], are_answered: bool) -> Option<Vec<Checked>> {
    let (mut checked, mut bytes) = (Vec::with_capacity(jobs.len()), 0);
    for job in jobs {
        let wait = job.wait.map(|wait| wait.min(LONGEST_WAIT)).filter(|_| are_answered);
        let outcome = hub.check(Arrival { text: job.text.clone(), id: job.id }, wait).await;
        if matches!(&outcome, Err(error) if error.kind == RequestErrorKind::Internal) {
            return None;
        }
        checked.push(outcome);
        bytes += job.text.len();
        if bytes > BREATH {
            bytes = 0;
            tokio::task::yield_now().await;
        }
    }
    Some(checked)
}

/// Tells who handed a job in what has become of it.
async fn tell(hub: Arc<LocalHub>, replier: Replier, id: Option<JobId>, reply: ReplyTo, admission: Admission) {
    match hub.outcome(admission).await {
        Ok(submitted) => replier.send(&reply, Ok(submitted)),
        // The dispatcher stops, and the job is delivered again.
        Err(error) if error.kind == RequestErrorKind::Unavailable => {}
        Err(error) => refuse(&replier, &reply, id, error),
    }
}

fn refuse(replier: &Replier, reply: &ReplyTo, id: Option<JobId>, error: RequestError) {
    tracing::warn!(id = id.map(tracing::field::display), %error, "refused a job");
    replier.send::<Submitted>(reply, Err(error));
}

/// Answers what comes by the request queue. A request is acknowledged when it is answered, so the queue's prefetch bounds the
/// number of open ones, and those of a dispatcher that dies are answered by the next one.
#[derive(Debug)]
pub(super) struct Requests {
    hub: Arc<LocalHub>,
    replier: Replier,
    inputs: mpsc::UnboundedSender<Input>,
    /// Those that may wait for the end of a job at present. The others of [`OPEN_REQUESTS`] are for what is answered at once.
    waits: Arc<Semaphore>,
}

/// A request that is not acknowledged yet. It will be when this goes, in whatever way the answering ends.
struct Open {
    at: DeliveryRef,
    inputs: mpsc::UnboundedSender<Input>,
}

impl Drop for Open {
    fn drop(&mut self) {
        let _ = self.inputs.send(Input::Answered(self.at));
    }
}

impl Requests {
    pub(super) fn new(hub: Arc<LocalHub>, replier: Replier, inputs: mpsc::UnboundedSender<Input>) -> Self {
        Self { hub, replier, inputs, waits: Arc::new(Semaphore::new(MAXIMUM_WAITS)) }
    }

    /// Answers a request from the request queue.
    pub(super) fn answer(&self, at: DeliveryRef, delivery: Delivery) {
        let (hub, replier, waits) = (Arc::clone(&self.hub), self.replier.clone(), Arc::clone(&self.waits));
        let open = Open { at, inputs: self.inputs.clone() };
        tokio::spawn(async move {
            let _open = open;
            let reply = replier.reply_to(&delivery.message);
            match Request::decode(&delivery.message.body) {
                // Nobody reads what this only looks up.
                Ok(request) if !reply.is_wanted() && !request.changes_something() => {}
                Ok(request) => {
                    // Where too many wait already, a client is answered soon, and asks again.
                    let place = request.wait().and_then(|_| waits.try_acquire().ok());
                    let longest = if place.is_some() { LONGEST_WAIT } else { SHORT_WAIT };
                    answer(&*hub, &replier, &reply, request, longest).await;
                }
                Err(error) => {
                    tracing::warn!(%error, "refused a request");
                    let refusal = RequestError::new(RequestErrorKind::InvalidRequest, error.to_string());
                    replier.send::<()>(&reply, Err(refusal));
                }
            }
        });
    }
}

/// Answers a result from outside for a task whose job is not live.
pub(super) fn posted_late(hub: &Arc<LocalHub>, replier: &Replier, reply: ReplyTo, update: ResultUpdate) {
    let (hub, replier) = (Arc::clone(hub), replier.clone());
    tokio::spawn(async move {
        let id = update.id;
        let outcome = hub.compare_with_ended(&update).await;
        if let Err(error) = &outcome {
            tracing::warn!(task = %id, %error, "refused a result from outside");
        }
        replier.send(&reply, outcome.map(|()| Id { id }));
    });
}

async fn answer(hub: &dyn Hub, replier: &Replier, reply: &ReplyTo, request: Request, longest_wait: Duration) {
    let wait = request.wait().map(|wait| wait.min(longest_wait));
    match request {
        Request::Job { id, view, .. } => replier.send(reply, record(hub, replier, id, view, wait).await),
        Request::Summary { id, .. } => replier.send(reply, hub.summary(id, wait).await),
        Request::Tasks { id, after, limit, view } => {
            replier.send(reply, hub.tasks(id, TaskQuery { after, limit, view }).await);
        }
        Request::Jobs { filter } => replier.send(reply, hub.jobs(filter).await),
        Request::Cancel { id } => replier.send(reply, hub.cancel(id).await.map(|()| Id { id })),
        Request::Remove { id } => replier.send(reply, hub.remove(id).await.map(|()| Id { id })),
        Request::Result { result } => {
            let id = result.id;
            replier.send(reply, hub.post_result(result).await.map(|()| Id { id }));
        }
        Request::Workers => replier.send(reply, hub.workers().await),
        Request::Health => replier.send(reply, hub.health().await),
    }
}

/// A record that fits into one message.
async fn record(
    hub: &dyn Hub,
    replier: &Replier,
    id: JobId,
    view: View,
    wait: Option<Duration>,
) -> Result<Json, RequestError> {
    let record = hub.record(id, view, wait).await?;
    let Some(limit) = replier.largest() else { return record.into_json().await };
    record.sized(limit).await?.map_err(|size| too_large(&format!("the record of job {id}"), size, limit))
}
