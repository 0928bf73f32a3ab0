//! Decides whether the worker's tasks are so short that it needs a larger prefetch.
//!
//! A small prefetch is fair to other workers, but with very short tasks the worker would wait for the broker most of
//! the time. So each pool has a second subscription, which is paused unless tasks are short.

use std::time::Duration;

/// Average duration below which the worker uses the larger prefetch.
const SHORT: Duration = Duration::from_millis(4);
/// Average duration above which the worker stops using it.
const LONG: Duration = Duration::from_millis(12);
/// Inverse of the weight of the latest task in the average.
const WEIGHT: u32 = 16;

/// The average duration of recent tasks.
#[derive(Debug)]
pub(super) struct Pace {
    average: Duration,
    short_tasks: bool,
}

impl Pace {
    /// The initial state.
    pub(super) const fn new() -> Self {
        Self { average: LONG, short_tasks: false }
    }

    /// Records the duration of a task.
    pub(super) fn note(&mut self, took: Duration) {
        // The contribution of a long task is limited, so that later short tasks are noticed.
        self.average = (self.average * (WEIGHT - 1) + took.min(LONG * WEIGHT)) / WEIGHT;
        self.short_tasks = self.average < if self.short_tasks { LONG } else { SHORT };
    }

    /// Whether tasks are short.
    pub(super) const fn has_short_tasks(&self) -> bool {
        self.short_tasks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_short_tasks_are_noticed_and_a_long_task_resets_it() {
        let mut pace = Pace::new();
        pace.note(Duration::ZERO);
        assert!(!pace.has_short_tasks(), "one task is not sufficient");
        (0..100).for_each(|_| pace.note(Duration::from_millis(1)));
        assert!(pace.has_short_tasks());
        pace.note(Duration::from_millis(100));
        assert!(pace.has_short_tasks(), "one task of 100 ms among short ones");
        pace.note(Duration::from_secs(3600));
        assert!(!pace.has_short_tasks());
    }
}
