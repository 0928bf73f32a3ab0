//! Measures the broker without Hub.

use std::time::Duration;

use tokio::runtime::Runtime;

use super::echo;
use super::round_trip::median;

/// The figures of the broker alone.
#[derive(Clone, Copy, Debug)]
pub(in crate::bench) struct Bound {
    /// Messages sent and answered per second.
    pub(in crate::bench) echoes_per_second: f64,
    /// Median time from a message to its answer, with one message at a time.
    pub(in crate::bench) round_trip: Duration,
}

/// Measures the throughput of `count` echoes.
pub(in crate::bench) fn echoes_per_second(runtime: &Runtime, address: &str, count: usize) -> f64 {
    runtime.block_on(echo::rate(address, count)).expect("the broker takes and gives messages")
}

/// Measures `count` echoes, one at a time.
pub(in crate::bench) fn round_trip(runtime: &Runtime, address: &str, count: usize) -> Duration {
    runtime.block_on(median(address, count)).expect("the broker takes and gives messages")
}
