//! The average duration of recent tasks of each module.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Maximum total duration of the tasks that are queued in a process.
const MAXIMUM_QUEUED_TIME: Duration = Duration::from_millis(1);
/// Maximum number of tasks that are queued in a process.
const MAXIMUM_QUEUED_TASKS: u32 = 32;
/// Inverse of the weight of the latest task in an average.
const WEIGHT: u32 = 8;

/// Average durations by module.
#[derive(Debug, Default)]
pub(super) struct Paces(Mutex<BTreeMap<Arc<str>, Duration>>);

impl Paces {
    /// Records the duration of a task of this module.
    pub(super) fn note(&self, module: &Arc<str>, took: Duration) {
        let mut averages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match averages.get_mut(module) {
            Some(average) => *average = (*average * (WEIGHT - 1) + took) / WEIGHT,
            None => drop(averages.insert(Arc::clone(module), took)),
        }
    }

    /// The number of tasks of this module that may be queued behind a running one. Zero for a module that is not known
    /// to be fast.
    pub(super) fn ahead(&self, module: &str) -> u32 {
        let averages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        averages.get(module).map_or(0, |average| {
            let fits = MAXIMUM_QUEUED_TIME.as_nanos() / average.as_nanos().max(1);
            u32::try_from(fits).unwrap_or(u32::MAX).min(MAXIMUM_QUEUED_TASKS)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_fast_modules_are_queued_ahead() {
        let paces = Paces::default();
        let (quick, slow) = (Arc::from("quick"), Arc::from("slow"));
        paces.note(&quick, Duration::from_micros(100));
        paces.note(&slow, Duration::from_millis(5));
        assert_eq!((paces.ahead("quick"), paces.ahead("slow"), paces.ahead("unknown")), (10, 0, 0));
        (0..50).for_each(|_| paces.note(&slow, Duration::from_nanos(10)));
        assert_eq!(paces.ahead("slow"), MAXIMUM_QUEUED_TASKS);
        paces.note(&quick, Duration::from_secs(1));
        assert_eq!(paces.ahead("quick"), 0, "a slow task resets it");
    }
}
