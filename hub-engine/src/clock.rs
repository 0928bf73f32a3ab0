//! The only place in the shell that reads the clocks.

use std::cell::RefCell;
use std::marker::PhantomData;
use std::sync::OnceLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use hub_core::{Now, Steady, Timestamp};

type Source = Box<dyn Fn() -> Now>;

thread_local! {
    static SIMULATED: RefCell<Option<Source>> = const { RefCell::new(None) };
}

/// The first reading of the monotonic clock. It is not zero, so that earlier times can be represented.
const BEGINNING: Steady = Steady::from_millis(24 * 3600 * 1000);

/// A reading of both clocks of this machine, or of the simulated clocks on a thread that has them.
#[must_use]
pub fn now() -> Now {
    simulated().unwrap_or_else(|| Now { wall: system_time(), steady: monotonic_time() })
}

/// The wall clock, for records and logs.
#[must_use]
pub fn wall() -> Timestamp {
    simulated().map_or_else(system_time, |now| now.wall)
}

/// The monotonic clock, for durations.
#[must_use]
pub fn steady() -> Steady {
    simulated().map_or_else(monotonic_time, |now| now.steady)
}

fn simulated() -> Option<Now> {
    SIMULATED.with_borrow(|source| source.as_ref().map(|source| source()))
}

fn system_time() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// The clock of the runtime, which on Linux is `CLOCK_MONOTONIC`. It is never set, and stops while the machine is
/// suspended. This suspends leases, too: a suspended dispatcher cannot receive heartbeats.
fn monotonic_time() -> Steady {
    static FIRST: OnceLock<Instant> = OnceLock::new();
    let (first, now) = (*FIRST.get_or_init(Instant::now), tokio::time::Instant::now().into_std());
    match now.checked_duration_since(first) {
        Some(since) => BEGINNING.after(since),
        // Happens only with a paused clock in a test, which may have been paused before the first reading.
        None => BEGINNING.before(first - now),
    }
}

/// Waits until this time by the monotonic clock. Without a time, waits for ever.
pub(crate) async fn sleep_until(moment: Option<Steady>) {
    match moment {
        Some(moment) => tokio::time::sleep(moment.since(steady())).await,
        None => std::future::pending().await,
    }
}

/// Makes this thread read the time from `source` until the returned value is dropped. For simulations, which run a
/// whole Hub on one thread.
#[must_use = "the clock is simulated only as long as this lives"]
pub fn simulate(source: impl Fn() -> Now + 'static) -> SimulatedClock {
    SIMULATED.set(Some(Box::new(source)));
    SimulatedClock(PhantomData)
}

/// Its thread has a simulated clock until this is dropped.
#[derive(Debug)]
pub struct SimulatedClock(PhantomData<*const ()>);

impl Drop for SimulatedClock {
    fn drop(&mut self) {
        SIMULATED.set(None);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_monotonic_clock_is_the_clock_of_the_runtime() {
        let before = now();
        tokio::time::advance(Duration::from_secs(3600)).await;
        let passed = steady().since(before.steady);
        assert!(passed.as_millis().abs_diff(3_600_000) <= 1, "{passed:?}");
    }
}
