//! Waiting for a condition instead of for a time; and the rests of those who torment, who wait for nothing.

use std::fmt::Debug;
use std::time::{Duration, Instant};

/// Longer than anything takes on a busy machine; reached only when something hangs.
pub const DEADLINE: Duration = Duration::from_secs(120);
/// How long between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Looks until `look` yields `Ok`, and returns what is in it.
///
/// # Panics
/// After [`DEADLINE`], with the state seen last.
pub fn eventually<T, E: Debug>(what: &str, look: impl FnMut() -> Result<T, E>) -> T {
    eventually_within(DEADLINE, what, look)
}

/// The same with a limit of its own, for what takes its time.
///
/// # Panics
/// After `limit`, with the state seen last.
pub fn eventually_within<T, E: Debug>(limit: Duration, what: &str, mut look: impl FnMut() -> Result<T, E>) -> T {
    let deadline = Instant::now() + limit;
    loop {
        match look() {
            Ok(value) => return value,
            Err(state) if Instant::now() >= deadline => panic!("{what}: not within {limit:?}; seen last: {state:?}"),
            Err(_) => std::thread::sleep(LOOK_EVERY),
        }
    }
}

/// Does nothing for this long: a pause between two torments, or how long one lasts. Never a way to wait for
/// something.
pub fn rest(time: Duration) {
    std::thread::sleep(time);
}

/// A breath before asking again, for whoever asks without a thread of their own.
pub async fn breathe() {
    tokio::time::sleep(LOOK_EVERY).await;
}
