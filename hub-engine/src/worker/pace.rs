//! Whether the worker's tasks are so short that it needs many at hand.
//!
//! Few deliveries at hand are fair to other workers, but a worker of very short tasks would wait for the broker most
//! of the time. So each pool has a second subscription, which flows only while tasks are short.

use std::time::Duration;

/// With tasks shorter than this on average the worker takes many.
const SHORT: Duration = Duration::from_millis(4);
/// With tasks longer than this it does not.
const LONG: Duration = Duration::from_millis(12);
/// How much of the average the latest task makes: one part in so many.
const WEIGHT: u32 = 16;

/// How long tasks take lately.
#[derive(Debug)]
pub(super) struct Pace {
    average: Duration,
    brisk: bool,
}

impl Pace {
    /// Of a worker that has run nothing.
    pub(super) const fn new() -> Self {
        Self { average: LONG, brisk: false }
    }

    /// A task has taken so long.
    pub(super) fn note(&mut self, took: Duration) {
        // A task of hours says no more than that tasks are not short.
        self.average = (self.average * (WEIGHT - 1) + took.min(LONG * WEIGHT)) / WEIGHT;
        self.brisk = self.average < if self.brisk { LONG } else { SHORT };
    }

    /// Whether tasks are short.
    pub(super) const fn is_brisk(&self) -> bool {
        self.brisk
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_of_short_tasks_makes_it_brisk_and_a_long_one_ends_it() {
        let mut pace = Pace::new();
        pace.note(Duration::ZERO);
        assert!(!pace.is_brisk(), "one is no run");
        (0..100).for_each(|_| pace.note(Duration::from_millis(1)));
        assert!(pace.is_brisk());
        pace.note(Duration::from_millis(100));
        assert!(pace.is_brisk(), "one of a hundred milliseconds among short ones");
        pace.note(Duration::from_secs(3600));
        assert!(!pace.is_brisk());
    }
}
