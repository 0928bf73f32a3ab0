//! What the broker alone can do: a client of lapin sends small persistent messages to one quorum queue, and a second
//! connection answers each on another. Two messages with confirms and acknowledgements is what a task costs at least,
//! so what Hub does is told as a ratio to this.

mod connection;
mod desk;
mod echo;
mod round_trip;

use std::time::Duration;

use tokio::runtime::Runtime;

pub(super) use connection::delete_queues;

/// The size of a message, in bytes: as of a task with two numbers.
const BODY: [u8; 250] = [b'x'; 250];
/// How many publishes may be without a confirm, and how many deliveries unacknowledged: as in Hub.
const WINDOW: u16 = 1024;

/// What the broker did.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bound {
    /// Messages sent and answered, a second.
    pub(super) echoes_per_second: f64,
    /// From a send to its answer, one at a time: the median.
    pub(super) round_trip: Duration,
}

/// Has so many messages answered, as many at a time as the broker carries.
pub(super) fn echoes_per_second(runtime: &Runtime, address: &str, count: usize) -> f64 {
    runtime.block_on(echo::rate(address, count)).expect("the broker takes and gives messages")
}

/// Has so many messages answered one at a time.
pub(super) fn round_trip(runtime: &Runtime, address: &str, count: usize) -> Duration {
    runtime.block_on(round_trip::median(address, count)).expect("the broker takes and gives messages")
}
