//! The number of tasks of a pool that ended recently, which decides the size of its window.

use std::time::Duration;

use crate::Steady;

/// Interval in which tasks are counted. "Recently" means the last one or two intervals.
const INTERVAL: Duration = Duration::from_millis(100);

/// Counts tasks that have ended.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Throughput {
    began: Steady,
    now: u32,
    before: u32,
}

impl Throughput {
    /// Counts one task.
    pub(super) fn count(&mut self, now: Steady) {
        self.turn(now);
        self.now = self.now.saturating_add(1);
    }

    /// The number of tasks that ended recently.
    pub(super) fn recent(&mut self, now: Steady) -> u32 {
        self.turn(now);
        self.now.saturating_add(self.before)
    }

    fn turn(&mut self, now: Steady) {
        let passed = now.since(self.began);
        if passed < INTERVAL {
            return;
        }
        self.before = if passed < INTERVAL * 2 { self.now } else { 0 };
        self.now = 0;
        self.began = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_intervals_do_not_count() {
        let mut throughput = Throughput::default();
        let at = |millis: u64| Steady::from_millis(1_000_000 + millis);
        (0..10).for_each(|_| throughput.count(at(0)));
        assert_eq!(throughput.recent(at(99)), 10);
        assert_eq!(throughput.recent(at(150)), 10);
        throughput.count(at(160));
        assert_eq!(throughput.recent(at(200)), 11);
        assert_eq!(throughput.recent(at(260)), 1);
        assert_eq!(throughput.recent(at(500)), 0);
    }
}
