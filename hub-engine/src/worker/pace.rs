//! Whether the worker's tasks are so short that it needs a larger prefetch.
//!
//! A small prefetch is fair to other workers, but a worker of very short tasks would wait for the broker most of the time.
//! So each pool has a second subscription, which flows only while tasks are short.

use std::time::Duration;

/// Below this average the worker uses the larger prefetch.
const SHORT: Duration = Duration::from_millis(4);
/// Above this average it stops using it.
const LONG: Duration = Duration::from_millis(12);
/// Weight of the latest task in the average: one part in this number.
const WEIGHT: u32 = 16;

/// The average duration of recent tasks.
#[derive(Debug)]
pub(super) struct Pace {
    average: Duration,
    short_tasks: bool,
}

impl Pace {
    /// The pace of a worker that has run nothing.
    pub(super) const fn new() -> Self {
        Self { average: LONG, short_tasks: false }
    }

    /// Records the duration of a task.
    pub(super) fn note(&mut self, took: Duration) {
        // A task of hours says no more than that tasks are not short.
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
    fn a_run_of_short_tasks_is_noticed_and_a_long_task_ends_it() {
        let mut pace = Pace::new();
        pace.note(Duration::ZERO);
        assert!(!pace.has_short_tasks(), "one is no run");
        (0..100).for_each(|_| pace.note(Duration::from_millis(1)));
        assert!(pace.has_short_tasks());
        pace.note(Duration::from_millis(100));
        assert!(pace.has_short_tasks(), "one of a hundred milliseconds among short ones");
        pace.note(Duration::from_secs(3600));
        assert!(!pace.has_short_tasks());
    }
}
