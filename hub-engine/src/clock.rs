//! The one place of the shell that asks the world what time it is.

use std::cell::RefCell;
use std::marker::PhantomData;
use std::sync::OnceLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use hub_core::{Now, Steady, Timestamp};

type Source = Box<dyn Fn() -> Now>;

thread_local! {
    static SIMULATED: RefCell<Option<Source>> = const { RefCell::new(None) };
}

/// What the steady clock shows when it is first read, so that it can be read for moments before that, too.
const BEGINNING: Steady = Steady::from_millis(24 * 3600 * 1000);

/// Now, by this machine's clocks; by the simulated ones on a thread that has some.
#[must_use]
pub fn now() -> Now {
    simulated().unwrap_or_else(|| Now { wall: system_time(), steady: monotonic_time() })
}

/// The wall clock, for records and logs.
#[must_use]
pub fn wall() -> Timestamp {
    simulated().map_or_else(system_time, |now| now.wall)
}

/// The steady clock, for durations.
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

/// The runtime's clock, which on Linux is `CLOCK_MONOTONIC`: it is never set, and stands still while the machine sleeps. A
/// dispatcher that has slept has not been able to hear of anybody meanwhile, so leases stand still with it.
fn monotonic_time() -> Steady {
    static FIRST: OnceLock<Instant> = OnceLock::new();
    let (first, now) = (*FIRST.get_or_init(Instant::now), tokio::time::Instant::now().into_std());
    match now.checked_duration_since(first) {
        Some(since) => BEGINNING.after(since),
        // Only under a paused clock of a test, which may have been paused before that.
        None => BEGINNING.before(first - now),
    }
}

/// How long it is until then by the steady clock; for ever where there is no such moment.
pub(crate) async fn sleep_until(moment: Option<Steady>) {
    match moment {
        Some(moment) => tokio::time::sleep(moment.since(steady())).await,
        None => std::future::pending().await,
    }
}

/// Has this thread ask `source` what time it is, until what is returned is dropped. For simulations, which run a
/// whole Hub on one thread.
#[must_use = "the clock is simulated only as long as this lives"]
pub fn simulate(source: impl Fn() -> Now + 'static) -> SimulatedClock {
    SIMULATED.set(Some(Box::new(source)));
    SimulatedClock(PhantomData)
}

/// As long as it lives, its thread has a simulated clock.
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
    async fn the_steady_clock_is_the_runtimes() {
        let before = now();
        tokio::time::advance(Duration::from_secs(3600)).await;
        let passed = steady().since(before.steady);
        assert!(passed.as_millis().abs_diff(3_600_000) <= 1, "{passed:?}");
    }
}
