//! Any bytes as a row of facts for the machine: whatever happens, in whatever order, it stays in order itself, and
//! when all goes well again everything comes to its end.
//!
//! What happened and what is expected of it is here; what must be true after every turn is the world's and the
//! ledger's.

mod facts;
mod plan;
mod world;

use super::choices::Choices;
use world::World;

/// Maximum number of events.
const MOST_FACTS: usize = 300;

/// Applies the events of the bytes, then runs everything to its end. Returns whether a job has ended.
pub(super) fn check(bytes: &[u8]) -> bool {
    let mut choices = Choices::new(bytes);
    let mut world = World::new();
    for _ in 0..MOST_FACTS {
        if choices.is_over() {
            break;
        }
        facts::happen(&mut world, &mut choices);
    }
    world.conclude()
}
