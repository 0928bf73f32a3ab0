//! Keeps a dispatcher and some workers running: a process that was killed or stopped is replaced by a new one.

use std::sync::Arc;
use std::time::Duration;

use hub_engine::dispatcher::{Dispatcher, DispatcherSettings};
use hub_engine::worker::{Worker, WorkerSettings};
use hub_transport::supervisor::Backoff;
use tokio_util::sync::CancellationToken;

use super::process::Process;
use super::runner::SimRunner;
use super::simulation::Simulation;
use super::store::SimStore;
use super::task_options::POOLS;
use super::transport::SimTransport;
use super::world::World;

/// No delay between connection attempts, except that of the simulated network.
const AT_ONCE: Backoff = Backoff { first: Duration::ZERO, cap: Duration::ZERO };
/// Maximum difference between clocks, in milliseconds.
const CLOCKS_DIFFER_MS: u64 = 3_600_000;

/// Keeps a dispatcher running until `close`; then stops it.
pub(super) async fn dispatchers(simulation: Arc<Simulation>, close: CancellationToken) {
    let world = &simulation.world;
    while !close.is_cancelled() {
        let process = simulation.begin("dispatcher");
        if world.weather.clocks_differ && !world.is_calm() {
            let ahead = world.dice.between(0, CLOCKS_DIFFER_MS);
            world.set_clock_ahead(i64::try_from(ahead).unwrap_or(i64::MAX));
        }
        let mut settings = DispatcherSettings::new("hub");
        settings.backoff = AT_ONCE;
        let starting = Dispatcher::start(SimTransport::new(&process), SimStore::new(&process), settings);
        // A dispatcher that cannot read its store ends and is restarted.
        if let Some(Ok(dispatcher)) = process.unless_killed(starting).await {
            simulation.set_hub(Some((Arc::clone(&process), dispatcher.hub())));
            if wait_for_end(&process, &close).await {
                let grace = world.dice.millis(0, 5_000);
                process.unless_killed(dispatcher.stop(grace)).await;
            }
            simulation.set_hub(None);
        }
        process.end();
        pause(world, &close).await;
    }
}

/// Keeps a worker running until `close`; then stops it. The first worker has everything, the others what chance
/// gives them.
pub(super) async fn workers(simulation: Arc<Simulation>, first: bool, close: CancellationToken) {
    let world = &simulation.world;
    while !close.is_cancelled() {
        let process = simulation.begin("worker");
        let everything = first || world.dice.falls(0.5);
        let slots = u32::try_from(world.dice.between(1, 4)).unwrap_or(1);
        let mut settings = WorkerSettings::new("hub", slots);
        settings.id = Arc::clone(&process.name);
        settings.backoff = AT_ONCE;
        settings.pools =
            POOLS.iter().filter(|_| everything || world.dice.falls(0.6)).map(|&pool| pool.into()).collect();
        let runner = SimRunner::new(&simulation, &process, everything);
        let worker = Worker::start(SimTransport::new(&process), runner, settings);
        if wait_for_end(&process, &close).await {
            let grace = world.dice.millis(0, 5_000);
            process.unless_killed(worker.stop(grace)).await;
        }
        process.end();
        pause(world, &close).await;
    }
}

/// Waits until a process is killed or asked to stop. Returns true if it is asked to stop.
async fn wait_for_end(process: &Process, close: &CancellationToken) -> bool {
    tokio::select! {
        biased;
        () = process.died() => return false,
        () = process.is_asked_to_stop() => {}
        () = close.cancelled() => process.ask_to_stop(),
    }
    true
}

async fn pause(world: &World, close: &CancellationToken) {
    if !close.is_cancelled() {
        world.pass(world.dice.millis(1, 2_000)).await;
    }
}
