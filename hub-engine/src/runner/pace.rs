//! How long the tasks of each module have taken lately.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The work that may wait in a process behind the task that it runs.
const AHEAD: Duration = Duration::from_millis(1);
/// Maximum number of tasks that may wait there.
const MOST_AHEAD: u32 = 32;
/// The latest task makes one part in this number of an average.
const WEIGHT: u32 = 8;

/// Averages by module.
#[derive(Debug, Default)]
pub(super) struct Paces(Mutex<HashMap<Arc<str>, Duration>>);

impl Paces {
    /// Records how long a task of this module ran.
    pub(super) fn note(&self, module: &Arc<str>, took: Duration) {
        let mut averages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match averages.get_mut(module) {
            Some(average) => *average = (*average * (WEIGHT - 1) + took) / WEIGHT,
            None => drop(averages.insert(Arc::clone(module), took)),
        }
    }

    /// How many tasks of this module may wait in a process behind the one that it runs. None of a module that is not
    /// known to be quick.
    pub(super) fn ahead(&self, module: &str) -> u32 {
        let averages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        averages.get(module).map_or(0, |average| {
            let fits = AHEAD.as_nanos() / average.as_nanos().max(1);
            u32::try_from(fits).unwrap_or(u32::MAX).min(MOST_AHEAD)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_quick_modules_are_handed_over_ahead() {
        let paces = Paces::default();
        let (quick, slow) = (Arc::from("quick"), Arc::from("slow"));
        paces.note(&quick, Duration::from_micros(100));
        paces.note(&slow, Duration::from_millis(5));
        assert_eq!((paces.ahead("quick"), paces.ahead("slow"), paces.ahead("unknown")), (10, 0, 0));
        (0..50).for_each(|_| paces.note(&slow, Duration::from_nanos(10)));
        assert_eq!(paces.ahead("slow"), MOST_AHEAD);
        paces.note(&quick, Duration::from_secs(1));
        assert_eq!(paces.ahead("quick"), 0, "one that was slow is waited for again");
    }
}
