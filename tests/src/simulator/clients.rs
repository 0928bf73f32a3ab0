//! Simulated clients that submit jobs, pause and cancel them and post results. They repeat requests until they get a response.

use std::sync::Arc;
use std::time::Duration;

use hub_core::{JobId, Json, RetryFrom, TaskId};
use hub_engine::operations::{
    DefinitionDraft, JobCancel, JobRetry, Pausable, PauseRequest, RequestErrorKind, ResultUpdate, Submission,
    UpdateStatus,
};
use hub_engine::wire::{JobMessage, Names, Replies, Reply};
use hub_transport::{Message, Outcome, Session, Subscription};
use serde_json::{Value, json};

use super::answers;
use super::event::Event;
use super::facts::Fact;
use super::patience::{AGAIN, is_passing};
use super::plans::Plan;
use super::simulation::Simulation;
use super::world::World;

/// Maximum time that a client waits for a reply over the broker.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(20);
/// The correlation id of the reply that a client waits for.
const WANTED: &str = "wanted";

/// The client of one job, from its submission to its cancellation.
pub async fn follow(simulation: Arc<Simulation>, plan: Plan) {
    let world = &simulation.world;
    world.pass(plan.after).await;
    // Each repetition asks for the same, also where the first request had to be changed.
    let mut retry_of = plan.retry_of.clone();
    let is_defined = plan.is_defined && retry_of.is_none();
    if is_defined {
        define(&simulation, &plan, false).await;
    }
    for at in 0..=plan.again {
        if let Some((of, from)) = &mut retry_of {
            retry(&simulation, *of, from, &plan).await;
        } else if plan.over_broker {
            while submit_over_broker(world, &plan).await.is_none() {
                world.pass(AGAIN).await;
            }
        } else {
            submit(&simulation, &plan).await;
        }
        world.tell(Event::Submitted(plan.id));
        if is_defined && at == 0 {
            // The job, and the same start again, keep the version.
            define(&simulation, &plan, true).await;
        }
    }
    answers::serve(&simulation, &plan);
    let begun = world.elapsed();
    let at = |when: Duration| (begun + when.saturating_sub(plan.after)).saturating_sub(world.elapsed());
    if let Some((when, length)) = plan.pause {
        world.pass(at(when)).await;
        pause(&simulation, plan.id, true).await;
        // Some jobs are cancelled while they are paused.
        if plan.cancel_now {
            cancel_as_planned(&simulation, &plan).await;
        }
        world.pass(length).await;
        pause(&simulation, plan.id, false).await;
    }
    if let Some(when) = plan.cancel_after {
        world.pass(at(when)).await;
    }
    cancel_as_planned(&simulation, &plan).await;
}

/// Pauses or resumes a job.
async fn pause(simulation: &Simulation, id: JobId, pauses: bool) {
    let world = &simulation.world;
    loop {
        if let Some((process, hub)) = simulation.hub() {
            let of = PauseRequest::new(Pausable::Job(id));
            let asked = async { if pauses { hub.pause(of).await } else { hub.resume(of).await } };
            match process.unless_killed(asked).await {
                Some(Ok(())) => return world.tell(Event::Paused(id, pauses)),
                // The job has ended or is being cancelled.
                Some(Err(error)) if error.kind == RequestErrorKind::Conflict => return,
                Some(Err(error)) if !is_passing(error.kind) => return world.refused("a pause", &error),
                Some(Err(_)) | None => {}
            }
        }
        world.pass(AGAIN).await;
    }
}

/// Retries a job when it has ended. If none of its tasks would run again, the last one does, and `from` says so from then on.
async fn retry(simulation: &Simulation, of: JobId, from: &mut RetryFrom, plan: &Plan) {
    let (world, id) = (&simulation.world, plan.id);
    let last = plan.job["tasks"].as_array().and_then(|tasks| tasks.last()?["name"].as_str()).unwrap_or_default();
    while !world.with_oracle(|oracle| oracle.facts().job(of).is_some_and(Fact::has_ended)) {
        world.pass(AGAIN).await;
    }
    loop {
        if let Some((process, hub)) = simulation.hub() {
            let retry = JobRetry { new_id: Some(id), from: from.clone(), ..JobRetry::new(of) };
            match process.unless_killed(hub.retry(retry)).await {
                Some(Ok(_)) => return,
                Some(Err(error)) if error.message.contains("none would run again") => {
                    *from = RetryFrom::Tasks(vec![last.to_owned()]);
                }
                // The dispatcher may not know yet that the commit of the end has succeeded.
                Some(Err(error)) if error.message.contains("has not ended") => {}
                Some(Err(error)) if !is_passing(error.kind) => return world.refused("a retry", &error),
                Some(Err(_)) | None => {}
            }
        }
        world.pass(AGAIN).await;
    }
}

/// Makes a version of the definition of a job, with its alias.
async fn define(simulation: &Simulation, plan: &Plan, is_later: bool) {
    let world = &simulation.world;
    let draft = DefinitionDraft {
        name: plan.name().into(),
        text: plan.definition(is_later).into(),
        aliases: vec!["prod".into()],
        by: None,
        dry_run: false,
    };
    loop {
        if let Some((process, hub)) = simulation.hub() {
            match process.unless_killed(hub.define(draft.clone())).await {
                Some(Ok(defined)) => {
                    let version = 1 + u32::from(is_later);
                    assert_eq!(defined.version, version, "the definition {} has other versions", defined.name);
                    return;
                }
                Some(Err(error)) if !is_passing(error.kind) => return world.refused("a definition", &error),
                Some(Err(_)) | None => {}
            }
        }
        world.pass(AGAIN).await;
    }
}

async fn submit(simulation: &Simulation, plan: &Plan) {
    let world = &simulation.world;
    loop {
        if let Some((process, hub)) = simulation.hub() {
            let submission = Submission { text: plan.text().into(), id: Some(plan.id) };
            match process.unless_killed(hub.submit(submission)).await {
                Some(Ok(_)) => return,
                Some(Err(error)) if !is_passing(error.kind) => return world.refused("a submit", &error),
                Some(Err(_)) | None => {}
            }
        }
        world.pass(AGAIN).await;
    }
}

/// One attempt. `None` if it has to be repeated.
async fn submit_over_broker(world: &World, plan: &Plan) -> Option<()> {
    let names = Names::new("hub");
    let session = connect(world, &names).await?;
    let mut inbox = session.inbox().await.ok()?;
    // Some submissions wait for the end of the job.
    let tasks = plan.job["tasks"].as_array().map_or(0, Vec::len);
    let wait = tasks.is_multiple_of(2).then_some(Duration::from_millis(500));
    let job = |text: String, asked: &'static str| JobMessage {
        id: Some(plan.id),
        text: text.into(),
        correlation_id: Some(asked.into()),
        wait,
    };
    let mut jobs = vec![job(plan.text(), WANTED)];
    // Some messages contain an invalid job and a duplicate as well.
    if tasks.is_multiple_of(3) {
        jobs.extend([job("nonsense".to_owned(), "nonsense"), job(plan.text(), "again")]);
    }
    publish(&*session, JobMessage::message(jobs, &names, Some(inbox.address.into()))).await?;
    let answer = tokio::time::timeout(RESPONSE_TIMEOUT, answer(&mut inbox.subscription)).await.ok()??;
    match Reply::decode::<Value>(answer.as_bytes()).ok()? {
        Ok(_) => {}
        Err(error) if is_passing(error.kind) => return None,
        Err(error) => world.refused("a submit", &error),
    }
    Some(())
}

/// Waits for the reply. `None` if the connection ends.
async fn answer(inbox: &mut Subscription) -> Option<String> {
    loop {
        let message = inbox.deliveries.recv().await?.message;
        match message.correlation_id.as_deref() {
            Some(WANTED) => return String::from_utf8(message.body.to_vec()).ok(),
            Some(_) => {}
            None => {
                let answers = Replies::decode(&message.body).ok()?.replies;
                if let Some(answer) = answers.into_iter().find(|answer| answer.to == WANTED) {
                    return Some(answer.reply.get().to_owned());
                }
            }
        }
    }
}

/// Cancels a job if that is planned.
async fn cancel_as_planned(simulation: &Simulation, plan: &Plan) {
    if plan.cancel_after.is_none() {
        return;
    }
    let (world, id) = (&simulation.world, plan.id);
    loop {
        if let Some((process, hub)) = simulation.hub() {
            let cancel = JobCancel { now: plan.cancel_now, ..JobCancel::new(id) };
            match process.unless_killed(hub.cancel_with(cancel)).await {
                Some(Ok(_)) => return world.tell(Event::Cancelled(id)),
                // The job has ended, or it was cancelled and the reply was lost.
                Some(Err(error)) if error.kind == RequestErrorKind::Conflict => return,
                Some(Err(error)) if !is_passing(error.kind) => return world.refused("a cancel", &error),
                Some(Err(_)) | None => {}
            }
        }
        world.pass(AGAIN).await;
    }
}

/// Posts the external result of a launched task. If the task waits for another run, the result is not posted, since that run launches
/// it again.
pub async fn end_outside(simulation: Arc<Simulation>, run: u64, task: TaskId, value: Value) {
    let world = &simulation.world;
    world.pass(world.dice.millis(0, 20_000)).await;
    world.tell(Event::Outside(run, task));
    if world.dice.falls(0.5) {
        while post_over_broker(world, task, &value).await.is_none() {
            world.pass(AGAIN).await;
        }
        return;
    }
    loop {
        if let Some((process, hub)) = simulation.hub() {
            let data = Some(Json::from(value.clone()));
            let update = ResultUpdate { id: task, status: UpdateStatus::Success, data, msg: None, v: None };
            match process.unless_killed(hub.post_result(update)).await {
                Some(Ok(())) => return world.tell(Event::Posted(run, task)),
                // If the submission was neither stored nor answered, the job is submitted again.
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
    session.declare(&names.shared_topology()).await.ok()?;
    Some(session)
}

async fn publish(session: &dyn Session, message: Message) -> Option<()> {
    let publisher = session.publisher(1).await.ok()?;
    let receipt = publisher.publish(message).await.ok()?;
    matches!(receipt.await, Outcome::Confirmed).then_some(())
}
