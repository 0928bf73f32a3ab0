//! Simulated clients that send signals and answer questions.

use std::sync::Arc;

use hub_core::{JobId, TaskId};
use hub_engine::operations::{JobSignal, RequestErrorKind, TaskApproval};

use super::event::Event;
use super::facts::Fact;
use super::patience::{AGAIN, is_passing};
use super::plans::Plan;
use super::simulation::Simulation;
use super::waits;

/// Maximum time after the submission until a client begins to send, in milliseconds.
const LATEST_BEGIN: u64 = 20_000;

/// Sends what the tasks of a submitted job wait for.
pub(super) fn serve(simulation: &Arc<Simulation>, plan: &Plan) {
    let tasks = plan.job["tasks"].as_array().into_iter().flatten();
    let waits = tasks.enumerate().filter_map(|(at, task)| Some((at, task.get("wait")?.clone())));
    for (at, wait) in waits {
        let (simulation, task) = (Arc::clone(simulation), plan.id.task(u32::try_from(at).unwrap_or(u32::MAX)));
        let id = plan.id;
        let begin = simulation.world.dice.millis(0, LATEST_BEGIN);
        tokio::spawn(async move {
            simulation.world.pass(begin).await;
            if let Some(name) = wait["signal"].as_str() {
                for number in 0..waits::count(&wait) {
                    send(&simulation, id, name, number).await;
                }
            } else if let Some(choice) = waits::first_choice(&wait) {
                answer(&simulation, id, task, choice).await;
            }
        });
    }
}

/// Sends a signal until it is accepted or refused.
async fn send(simulation: &Simulation, id: JobId, name: &str, number: usize) {
    let world = &simulation.world;
    world.tell(Event::Sent(id, name.to_owned()));
    loop {
        if let Some((process, hub)) = simulation.hub() {
            let signal = JobSignal {
                data: Some(waits::data(name).into()),
                key: Some(format!("number {number}")),
                ..JobSignal::new(id, name)
            };
            match process.unless_killed(hub.signal(signal)).await {
                Some(Ok(_)) => return,
                // The task or the job has ended otherwise.
                Some(Err(error)) if error.kind == RequestErrorKind::Conflict => return,
                Some(Err(error)) if !is_passing(error.kind) => return world.refused("a signal", &error),
                Some(Err(_)) | None => {}
            }
        }
        world.pass(AGAIN).await;
    }
}

/// Answers the question of a task as soon as it is asked.
async fn answer(simulation: &Simulation, id: JobId, task: TaskId, choice: &str) {
    let world = &simulation.world;
    loop {
        if let Some((process, hub)) = simulation.hub() {
            let approval = TaskApproval { by: Some("client".to_owned()), ..TaskApproval::new(task, choice) };
            match process.unless_killed(hub.approve(approval)).await {
                Some(Ok(())) => return,
                // It was not asked yet, or will not be.
                Some(Err(error)) if error.kind == RequestErrorKind::Conflict => {
                    if world.with_oracle(|oracle| oracle.facts().job(id).is_some_and(Fact::has_ended)) {
                        return;
                    }
                }
                Some(Err(error)) if !is_passing(error.kind) => return world.refused("an answer", &error),
                Some(Err(_)) | None => {}
            }
        }
        world.pass(AGAIN).await;
    }
}
