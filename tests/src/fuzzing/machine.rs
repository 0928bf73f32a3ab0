//! Target: arbitrary bytes as a sequence of events for the machine. After any sequence the machine is consistent, and without further
//! faults everything ends.
//!
//! This file contains the events and their expected effects. The properties after each turn are in `world` and `ledger`.

mod facts;
mod plan;
mod world;

use super::choices::Choices;
use world::World;

/// Maximum number of events.
const MAX_FACTS: usize = 300;

/// Applies the events of the bytes, then runs everything to its end. Returns whether a job has ended.
pub(super) fn check(bytes: &[u8]) -> bool {
    let mut choices = Choices::new(bytes);
    let mut world = World::new();
    for _ in 0..MAX_FACTS {
        if choices.is_over() {
            break;
        }
        facts::happen(&mut world, &mut choices);
    }
    world.conclude()
}
