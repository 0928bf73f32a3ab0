//! Answers what comes over the broker: submissions, requests, and results from outside that want an answer.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use hub_core::JobId;
use hub_transport::supervisor::DeliveryRef;
use hub_transport::{Bytes, Delivery};
use serde::Serialize;

use super::intake::Arrival;
use super::local::LocalHub;
use super::replies::{Replier, ReplyTo};
use crate::operations::{Hub, RequestError, RequestErrorKind, ResultUpdate};
use crate::wire::{self, Request};

/// How long an answer to "tell me when it has ended" is held back at most.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// How long a job waits whose like could not be looked up in the store.
const RETRY: Duration = Duration::from_secs(1);

/// An answer that is an id.
#[derive(Serialize)]
pub(super) struct Id<T> {
    pub(super) id: T,
}

/// Takes in a submission from the jobs queue.
pub(super) fn submission(hub: &Arc<LocalHub>, replier: &Replier, at: DeliveryRef, delivery: Delivery) {
    let (hub, replier) = (Arc::clone(hub), replier.clone());
    tokio::spawn(async move {
        let mut message = delivery.message;
        let reply = ReplyTo::of(&message);
        let id = message.message_id.as_deref().and_then(|id| JobId::from_str(id).ok());
        let wait = wire::wait_of(&message).map(|wait| wait.min(LONGEST_WAIT)).filter(|_| reply.is_wanted());
        let admitted = loop {
            let arrival = Arrival { body: message.body.clone(), id, delivery: Some(at) };
            let admitted = hub.take_in(arrival, wait).await;
            if !matches!(&admitted, Err(error) if error.kind == RequestErrorKind::Internal) {
                break admitted;
            }
            // The store cannot be read at present. The broker does not bring the job again as long as this
            // session lives.
            tokio::time::sleep(RETRY).await;
        };
        // However long the job takes, its text is the loop's now.
        message.body = Bytes::new();
        let outcome = match admitted {
            Ok(admission) => hub.outcome(admission).await,
            Err(error) => Err(error),
        };
        if let Err(error) = &outcome {
            if error.kind == RequestErrorKind::Unavailable {
                // Not acknowledged: it is delivered again, to whoever takes over.
                return;
            }
            tracing::warn!(message_id = message.message_id.as_deref(), %error, "refused a job");
            hub.refused(at);
        }
        replier.send(&reply, outcome);
    });
}

/// Answers a request from the request queue.
pub(super) fn request(hub: &Arc<LocalHub>, replier: &Replier, delivery: Delivery) {
    let (hub, replier) = (Arc::clone(hub), replier.clone());
    tokio::spawn(async move {
        let reply = ReplyTo::of(&delivery.message);
        match Request::decode(&delivery.message.body) {
            Ok(request) => answer(&*hub, &replier, &reply, request).await,
            Err(error) => {
                tracing::warn!(%error, "refused a request");
                let refusal = RequestError::new(RequestErrorKind::InvalidRequest, error.to_string());
                replier.send::<()>(&reply, Err(refusal));
            }
        }
    });
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

async fn answer(hub: &dyn Hub, replier: &Replier, reply: &ReplyTo, request: Request) {
    let wait = request.wait().map(|wait| wait.min(LONGEST_WAIT));
    match request {
        Request::Job { id, .. } => replier.send(reply, hub.job(id, wait).await),
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
