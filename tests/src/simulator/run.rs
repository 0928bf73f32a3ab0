//! One simulation of a seed: the safety phase with faults, then the progress phase without faults.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::leftovers::Leftovers;
use super::oracle::Violation;
use super::sabotage::Sabotage;
use super::simulation::Simulation;
use super::trace::Trace;
use super::world::World;
use super::{clients, daemons, faults, panics, schedules};

/// Maximum simulated time of the progress phase.
const PROGRESS_WITHIN: Duration = Duration::from_secs(3600);
/// Time without events after which a simulation is stuck. It is longer than all leases and tasks.
const STUCK_AFTER: Duration = Duration::from_secs(300);
/// How often a simulation has a schedule.
const HAS_SCHEDULE: f64 = 0.5;
/// Interval between two checks whether everything has ended.
const POLL_INTERVAL: Duration = Duration::from_millis(500);
/// Time for reconnecting and for pending replies.
const REST: Duration = Duration::from_secs(30);
/// Maximum time for all processes to stop.
const STOP_WITHIN: Duration = Duration::from_secs(120);

/// The result of a simulation.
#[derive(Debug)]
pub struct Verdict {
    /// Its seed.
    pub seed: u64,
    /// The violation, if there is one.
    pub violation: Option<Violation>,
    /// The trace of events.
    pub trace: Trace,
}

/// Runs the simulation of `seed`. With `whole_trace`, the whole trace is kept, otherwise only its end.
///
/// # Panics
/// If there can be no runtime.
#[must_use]
pub fn run(seed: u64, sabotage: Option<Sabotage>, whole_trace: bool) -> Verdict {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().start_paused(true).build().expect("a runtime");
    let watch = panics::watch();
    let world = {
        let _entered = runtime.enter();
        World::new(seed, sabotage, whole_trace)
    };
    let clock = hub_engine::clock::simulate(world.clock());
    runtime.block_on(simulate(&Simulation::new(&world)));
    if let Some(panic) = panics::seen().first() {
        world.with_oracle(|oracle| oracle.accuse("nothing_panics", panic.clone()));
    }
    drop(runtime);
    drop(clock);
    drop(watch);
    let violation = world.with_oracle(|oracle| oracle.violation().cloned());
    Verdict { seed, violation, trace: world.take_trace() }
}

async fn simulate(simulation: &Arc<Simulation>) {
    let world = &simulation.world;
    let (close_workers, close_dispatcher) = (CancellationToken::new(), CancellationToken::new());
    let dispatcher = tokio::spawn(daemons::dispatchers(Arc::clone(simulation), close_dispatcher.clone()));
    let workers: Vec<JoinHandle<()>> = (0..world.dice.between(1, 4))
        .map(|at| tokio::spawn(daemons::workers(Arc::clone(simulation), at == 0, close_workers.clone())))
        .collect();
    tokio::spawn(faults::of_the_broker(Arc::clone(world)));
    tokio::spawn(faults::of_the_network(Arc::clone(simulation)));
    tokio::spawn(faults::of_the_operators(Arc::clone(simulation)));
    tokio::spawn(faults::of_the_clock(Arc::clone(world)));
    let plans = world.plans.iter().cloned();
    let mut clients: Vec<JoinHandle<()>> =
        plans.map(|plan| tokio::spawn(clients::follow(Arc::clone(simulation), plan))).collect();
    if world.dice.falls(HAS_SCHEDULE) {
        clients.push(tokio::spawn(schedules::keep(Arc::clone(simulation))));
    }

    while world.elapsed() < world.weather.lasts && !is_broken(world) {
        world.pass(POLL_INTERVAL).await;
    }
    simulation.end_faults();
    world.broker.come_back();
    world.broker.unblock();
    let deadline = world.elapsed() + PROGRESS_WITHIN;
    let (mut happened, mut at) = (world.happened(), world.elapsed());
    while world.elapsed() < deadline && !is_broken(world) && !is_over(simulation, &clients).await {
        world.pass(POLL_INTERVAL).await;
        if world.happened() != happened {
            (happened, at) = (world.happened(), world.elapsed());
        } else if world.elapsed() > at + STUCK_AFTER {
            break;
        }
    }
    // Let messages in transit arrive.
    world.pass(REST).await;
    if is_broken(world) {
        return;
    }
    let health = health(simulation).await;
    close_workers.cancel();
    let stopping = async {
        for worker in workers {
            let _ = worker.await;
        }
        close_dispatcher.cancel();
        let _ = dispatcher.await;
    };
    if tokio::time::timeout(STOP_WITHIN, stopping).await.is_err() {
        world.with_oracle(|oracle| oracle.accuse("every_process_stops", "not within two minutes".to_owned()));
    }
    let leftovers = Leftovers { depths: depths(world), health };
    world.with_oracle(|oracle| oracle.end(&leftovers));
}

fn is_broken(world: &World) -> bool {
    world.with_oracle(|oracle| oracle.violation().is_some()) || !panics::seen().is_empty()
}

/// Whether all processes and clients are idle.
async fn is_over(simulation: &Simulation, clients: &[JoinHandle<()>]) -> bool {
    let world = &simulation.world;
    clients.iter().all(JoinHandle::is_finished)
        && world.with_oracle(|oracle| oracle.facts().all_ended())
        && depths(world).values().all(|depth| *depth == 0)
        && health(simulation).await.is_some_and(|health| health.tasks_in_flight == 0)
}

async fn health(simulation: &Simulation) -> Option<hub_engine::operations::HealthReport> {
    let (process, hub) = simulation.hub()?;
    process.unless_killed(hub.health()).await?.ok()
}

/// Number of messages in each queue, without heartbeats and replies.
fn depths(world: &World) -> BTreeMap<String, usize> {
    let mut depths = world.broker.depths();
    let passing = ["hub.heartbeats.", "hub.control.", "inbox."];
    depths.retain(|queue, _| !passing.iter().any(|prefix| queue.starts_with(prefix)));
    depths
}
