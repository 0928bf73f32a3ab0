//! A simulated client that keeps a schedule, until the faults are over.

use std::sync::Arc;

use hub_core::schedule::{CatchUp, Overlap};
use hub_engine::operations::{RequestErrorKind, ScheduleAnswer, ScheduleDraft, ScheduleRequest};
use serde_json::{Value, json};

use super::patience::{AGAIN, is_passing};
use super::simulation::Simulation;
use super::work::Module;
use super::world::World;

/// The name of the schedule.
const NAME: &str = "tick";
/// Maximum interval of the schedule in milliseconds.
const LONGEST_MS: u64 = 20_000;

/// Keeps a schedule until the faults are over and it has decided all times that have come, and removes it then.
pub async fn keep(simulation: Arc<Simulation>) {
    let world = &simulation.world;
    let text: Arc<str> = schedule(world).to_string().into();
    let set = ScheduleDraft { name: NAME.into(), text, by: None, dry_run: false };
    ask(&simulation, ScheduleRequest::Set(set)).await;
    while !world.is_calm() {
        world.pass(AGAIN).await;
    }
    let calm_at = hub_engine::clock::wall();
    loop {
        match ask(&simulation, ScheduleRequest::Get { name: NAME.into() }).await {
            ScheduleAnswer::One(record) if record.summary.next_at.is_some_and(|next| next > calm_at) => break,
            _ => world.pass(AGAIN).await,
        }
    }
    remove(&simulation).await;
}

/// A schedule whose jobs overlap now and then.
fn schedule(world: &World) -> Value {
    let dice = &world.dice;
    let module = if dice.falls(0.5) { Module::Sum } else { Module::Slow };
    json!({
        "name": NAME,
        "every": format!("{}ms", dice.between(1000, LONGEST_MS)),
        "jitter": if dice.falls(0.3) { "2s" } else { "0s" },
        "overlap": dice.pick(&Overlap::ALL).as_str(),
        "catch_up": dice.pick(&CatchUp::ALL).as_str(),
        "job": {"name": NAME, "tasks": [{"name": "t", "task_name": module.name(), "args": [1]}], "output": "_t.data"}
    })
}

/// Removes the schedule. The answer to the first request may have been lost.
async fn remove(simulation: &Simulation) {
    let world = &simulation.world;
    loop {
        if let Some((process, hub)) = simulation.hub() {
            let removed = hub.schedules(ScheduleRequest::Remove { name: NAME.into() });
            match process.unless_killed(removed).await {
                Some(Ok(_)) => return,
                Some(Err(error)) if error.kind == RequestErrorKind::NotFound => return,
                Some(Err(error)) if !is_passing(error.kind) => world.refused("the end of a schedule", &error),
                Some(Err(_)) | None => {}
            }
        }
        world.pass(AGAIN).await;
    }
}

/// Repeats a request until it is answered.
async fn ask(simulation: &Simulation, request: ScheduleRequest) -> ScheduleAnswer {
    let world = &simulation.world;
    loop {
        if let Some((process, hub)) = simulation.hub() {
            match process.unless_killed(hub.schedules(request.clone())).await {
                Some(Ok(answer)) => return answer,
                Some(Err(error)) if !is_passing(error.kind) => world.refused("a schedule", &error),
                Some(Err(_)) | None => {}
            }
        }
        world.pass(AGAIN).await;
    }
}
