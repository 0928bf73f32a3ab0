//! The one place of the shell that asks the world what time it is.

use std::cell::RefCell;
use std::marker::PhantomData;
use std::time::{SystemTime, UNIX_EPOCH};

use hub_core::Timestamp;

type Source = Box<dyn Fn() -> Timestamp>;

thread_local! {
    static SIMULATED: RefCell<Option<Source>> = const { RefCell::new(None) };
}

/// Now, by this machine's clock; by the simulated one on a thread that has one.
#[must_use]
pub fn now() -> Timestamp {
    if let Some(simulated) = SIMULATED.with_borrow(|source| source.as_ref().map(|source| source())) {
        return simulated;
    }
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// Has this thread ask `source` what time it is, until what is returned is dropped. For simulations, which run a
/// whole Hub on one thread.
#[must_use = "the clock is simulated only as long as this lives"]
pub fn simulate(source: impl Fn() -> Timestamp + 'static) -> SimulatedClock {
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
