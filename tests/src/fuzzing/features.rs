//! Target: arbitrary bytes as a sequence of events for the machine, with jobs that use nearly all features.
//!
//! The target `machine` knows what each event has to do to a plain job. This one expects nothing of a single event. After each
//! turn the store has what the machine knows, what has ended does not change, and a restart from the store goes on; with workers,
//! operators and time, everything ends.

mod events;
mod plan;
mod store;
mod world;

use super::choices::Choices;
use world::World;

/// Maximum number of events.
const MAX_EVENTS: usize = 300;

/// Applies the events of the bytes, then runs everything to its end. Returns whether a job has ended.
pub(super) fn check(bytes: &[u8]) -> bool {
    let mut choices = Choices::new(bytes);
    let mut world = World::new();
    for _ in 0..MAX_EVENTS {
        if choices.is_over() {
            break;
        }
        events::happen(&mut world, &mut choices);
    }
    world.conclude()
}
