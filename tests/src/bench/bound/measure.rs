//! Measures what the broker alone can do.

use std::time::Duration;

use tokio::runtime::Runtime;

use super::echo;
use super::round_trip::median;

/// What the broker did.
#[derive(Clone, Copy, Debug)]
pub(in crate::bench) struct Bound {
    /// Messages sent and answered, a second.
    pub(in crate::bench) echoes_per_second: f64,
    /// From a send to its answer, one at a time: the median.
    pub(in crate::bench) round_trip: Duration,
}

/// Measures `count` echoes, as many at a time as the broker carries.
pub(in crate::bench) fn echoes_per_second(runtime: &Runtime, address: &str, count: usize) -> f64 {
    runtime.block_on(echo::rate(address, count)).expect("the broker takes and gives messages")
}

/// Measures `count` echoes, one at a time.
pub(in crate::bench) fn round_trip(runtime: &Runtime, address: &str, count: usize) -> Duration {
    runtime.block_on(median(address, count)).expect("the broker takes and gives messages")
}
