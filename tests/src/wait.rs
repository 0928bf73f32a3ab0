//! Waits for conditions with a deadline, and the pauses of tests that inject faults.

use std::fmt::Debug;
use std::time::{Duration, Instant};

/// Maximum time to wait for a condition, even on a busy machine.
pub const DEADLINE: Duration = Duration::from_secs(120);
/// Interval between two checks of a condition.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Calls `look` until it returns `Ok`, and returns the value.
///
/// # Panics
/// After [`DEADLINE`], with the last state.
pub fn eventually<T, E: Debug>(what: &str, look: impl FnMut() -> Result<T, E>) -> T {
    eventually_within(DEADLINE, what, look)
}

/// Like [`eventually`], with another time limit.
///
/// # Panics
/// After `limit`, with the last state.
pub fn eventually_within<T, E: Debug>(limit: Duration, what: &str, mut look: impl FnMut() -> Result<T, E>) -> T {
    let deadline = Instant::now() + limit;
    loop {
        match look() {
            Ok(value) => return value,
            Err(state) if Instant::now() >= deadline => panic!("{what}: not within {limit:?}; last state: {state:?}"),
            Err(_) => std::thread::sleep(POLL_INTERVAL),
        }
    }
}

/// Sleeps: the pause between two injected faults, or the duration of a fault. Do not use it to wait for a condition.
pub fn rest(time: Duration) {
    std::thread::sleep(time);
}

/// The interval between two checks of a condition in asynchronous code.
pub async fn poll_delay() {
    tokio::time::sleep(POLL_INTERVAL).await;
}
