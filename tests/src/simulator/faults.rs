//! Injects external faults during the fault phase.

use std::sync::Arc;

use super::event::Event;
use super::simulation::Simulation;
use super::world::World;

/// Maximum step of the wall clocks, in milliseconds.
const CLOCK_STEP_MS: u64 = 2 * 3_600_000;

/// Faults of the broker.
pub(super) async fn of_the_broker(world: Arc<World>) {
    let Some(most) = world.weather.broker_ms else { return };
    loop {
        world.pass(world.dice.millis(100, most)).await;
        if world.is_calm() {
            return;
        }
        let fault = |what: &str| world.tell(Event::Fault(format!("the broker {what}")));
        match world.dice.between(0, 3) {
            0 => {
                fault("restarts");
                world.broker.restart();
            }
            1 => {
                fault("loses every connection");
                world.broker.drop_sessions();
            }
            2 => {
                fault("goes away");
                world.broker.go_away();
                world.pass(world.dice.millis(100, 50_000)).await;
                world.broker.come_back();
            }
            _ => {
                fault("takes no messages");
                world.broker.block("memory");
                world.pass(world.dice.millis(100, 10_000)).await;
                world.broker.unblock();
            }
        }
    }
}

/// Disconnects a process from the broker for some time, sometimes longer than a lease.
pub(super) async fn of_the_network(simulation: Arc<Simulation>) {
    let world = &simulation.world;
    let Some(most) = world.weather.partition_ms else { return };
    loop {
        world.pass(world.dice.millis(100, most)).await;
        if world.is_calm() {
            return;
        }
        let processes = simulation.processes();
        if !processes.is_empty() {
            world.dice.pick(&processes).cut_off(world.dice.millis(10, 60_000));
        }
    }
}

/// Sets the wall clocks forward or back, which must have no effect.
pub(super) async fn of_the_clock(world: Arc<World>) {
    let Some(most) = world.weather.clock_ms else { return };
    loop {
        world.pass(world.dice.millis(100, most)).await;
        if world.is_calm() {
            return;
        }
        let ahead = world.dice.between(0, 2 * CLOCK_STEP_MS).cast_signed() - CLOCK_STEP_MS.cast_signed();
        world.tell(Event::Clock(ahead));
        world.set_clock_ahead(ahead);
    }
}

/// Stops a process normally.
pub(super) async fn of_the_operators(simulation: Arc<Simulation>) {
    let world = &simulation.world;
    let Some(most) = world.weather.stop_ms else { return };
    loop {
        world.pass(world.dice.millis(100, most)).await;
        if world.is_calm() {
            return;
        }
        let processes = simulation.processes();
        if !processes.is_empty() {
            world.dice.pick(&processes).ask_to_stop();
        }
    }
}
