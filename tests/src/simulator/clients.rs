//! Those who submit jobs, cancel them, and post results. They ask again until they have an answer.

use std::sync::Arc;
use std::time::Duration;

use hub_core::{JobId, Json, TaskId};
use hub_engine::operations::{RequestErrorKind, ResultUpdate, Submission, UpdateStatus};
use hub_engine::wire::{Names, Reply, WAIT_HEADER};
use hub_transport::{Message, Outcome, Session};
use serde_json::{Value, json};

use super::event::Event;
use super::plans::Plan;
use super::world::World;

/// How long a client waits before it asks again.
const AGAIN: Duration = Duration::from_millis(700);
/// How long a client waits for an answer over the broker.
const PATIENCE: Duration = Duration::from_secs(20);

/// The client of one job, from its submission to its cancellation.
pub async fn follow(world: Arc<World>, plan: Plan) {
    world.pass(plan.after).await;
    for _ in 0..=plan.again {
        if plan.over_broker {
            while submit_over_broker(&world, &plan).await.is_none() {
                world.pass(AGAIN).await;
            }
        } else {
            submit(&world, &plan).await;
        }
        world.tell(Event::Submitted(plan.id));
    }
    if let Some(when) = plan.cancel_after {
        world.pass(when.saturating_sub(plan.after)).await;
        cancel(&world, plan.id).await;
    }
}

async fn submit(world: &World, plan: &Plan) {
    loop {
        if let Some((process, hub)) = world.hub() {
            let submission = Submission { text: plan.job.to_string().into(), id: Some(plan.id) };
            match process.unless_killed(hub.submit(submission)).await {
                Some(Ok(_)) => return,
                Some(Err(error)) if !is_passing(error.kind) => return world.refused("a submit", &error),
                Some(Err(_)) | None => {}
            }
        }
        world.pass(AGAIN).await;
    }
}

/// Once; `None` where it is to be tried again.
async fn submit_over_broker(world: &World, plan: &Plan) -> Option<()> {
    let names = Names::new("hub");
    let session = connect(world, &names).await?;
    let mut inbox = session.inbox().await.ok()?;
    let text = plan.job.to_string();
    let mut message = Message::new(names.hub(), names.job_key(plan.id), text).with_message_id(plan.id.to_string());
    message.reply_to = Some(inbox.address.into());
    // Some want to be answered at the end, and soon.
    if plan.job["tasks"].as_array().is_some_and(|tasks| tasks.len().is_multiple_of(2)) {
        message = message.with_header(WAIT_HEADER, "500");
    }
    publish(&*session, message).await?;
    let reply = tokio::time::timeout(PATIENCE, inbox.subscription.deliveries.recv()).await.ok()??;
    match Reply::decode::<Value>(&reply.message.body).ok()? {
        Ok(_) => {}
        Err(error) if is_passing(error.kind) => return None,
        Err(error) => world.refused("a submit", &error),
    }
    Some(())
}

async fn cancel(world: &World, id: JobId) {
    loop {
        if let Some((process, hub)) = world.hub() {
            match process.unless_killed(hub.cancel(id)).await {
                Some(Ok(())) => return world.tell(Event::Cancelled(id)),
                // It has ended, or was cancelled and the answer got lost.
                Some(Err(error)) if error.kind == RequestErrorKind::Conflict => return,
                Some(Err(error)) if !is_passing(error.kind) => return world.refused("a cancel", &error),
                Some(Err(_)) | None => {}
            }
        }
        world.pass(AGAIN).await;
    }
}

/// What a task has launched comes to its end, and says so. Where the task waits for another run of it, nobody
/// wants this one: that run launches it again.
pub async fn end_outside(world: Arc<World>, run: u64, task: TaskId, value: Value) {
    world.pass(world.dice.millis(0, 20_000)).await;
    world.tell(Event::Outside(run, task));
    if world.dice.falls(0.5) {
        while post_over_broker(&world, task, &value).await.is_none() {
            world.pass(AGAIN).await;
        }
        return;
    }
    loop {
        if let Some((process, hub)) = world.hub() {
            let data = Some(Json::from(value.clone()));
            let update = ResultUpdate { id: task, status: UpdateStatus::Success, data, msg: None, v: None };
            match process.unless_killed(hub.post_result(update)).await {
                Some(Ok(())) => return world.tell(Event::Posted(run, task)),
                // The whole job may come again, where its submission was not kept and not answered.
                Some(Err(error)) if matches!(error.kind, RequestErrorKind::Conflict | RequestErrorKind::NotFound) => {
                    return;
                }
                Some(Err(error)) if !is_passing(error.kind) => return world.refused("a post", &error),
                Some(Err(_)) | None => {}
            }
        }
        world.pass(AGAIN).await;
    }
}

async fn post_over_broker(world: &World, task: TaskId, value: &Value) -> Option<()> {
    let names = Names::new("hub");
    let session = connect(world, &names).await?;
    let body = json!({"id": task, "status": "SUCCESS", "data": value}).to_string();
    publish(&*session, Message::new(names.hub(), names.result_key(task), body)).await
}

async fn connect(world: &World, names: &Names) -> Option<Arc<dyn Session>> {
    let session = world.broker.transport().connect().await.ok()?;
    session.declare(&names.client_topology()).await.ok()?;
    Some(session)
}

async fn publish(session: &dyn Session, message: Message) -> Option<()> {
    let publisher = session.publisher(1).await.ok()?;
    let receipt = publisher.publish(message).await.ok()?;
    matches!(receipt.await, Outcome::Confirmed).then_some(())
}

/// Whether the same may go well a moment later.
const fn is_passing(kind: RequestErrorKind) -> bool {
    matches!(kind, RequestErrorKind::Unavailable | RequestErrorKind::Internal)
}
