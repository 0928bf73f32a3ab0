//! Limits the issues of a pool on the broker if a broker policy removes messages from its queue.
//!
//! A message TTL or a maximum length removes messages from a queue. Their tasks are handed out again, so without a
//! limit every ready task of the pool would be published and removed repeatedly. The allowance is halved when messages
//! are removed, and doubled after an interval without removals.

use std::time::Duration;

use crate::Steady;

/// Minimum interval between two reductions, so that messages removed at the same time count once.
const REDUCTION_INTERVAL: Duration = Duration::from_secs(1);
/// Interval without a removed message after which the allowance is doubled.
const GROWTH_INTERVAL: Duration = Duration::from_secs(30);

/// The allowance of one pool.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Allowance {
    /// The maximum number of issues and when it was last changed. `None`: no limit.
    limit: Option<(u32, Steady)>,
}

impl Allowance {
    /// Reduces the allowance after the broker has removed a message while `out` issues were on it. The allowance stays
    /// at least `least`.
    pub(super) fn reduce(&mut self, out: u32, least: u32, now: Steady) {
        let current = match self.limit {
            Some((_, changed)) if now.since(changed) < REDUCTION_INTERVAL => return,
            Some((limit, _)) => limit.min(out),
            None => out,
        };
        self.limit = Some(((current / 2).max(least).max(1), now));
    }

    /// The number of issues, at most `wanted`, that may be on the broker.
    pub(super) fn of(&mut self, wanted: u32, now: Steady) -> u32 {
        let Some((limit, changed)) = &mut self.limit else { return wanted };
        if now.since(*changed) >= GROWTH_INTERVAL {
            (*limit, *changed) = (limit.saturating_mul(2), now);
        }
        let allowed = wanted.min(*limit);
        if *limit >= wanted {
            self.limit = None;
        }
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_halved_once_for_simultaneous_removals_and_doubled_after_an_interval() {
        let at = |seconds: u64| Steady::from_millis(seconds * 1000);
        let mut allowance = Allowance::default();
        assert_eq!(allowance.of(64, at(0)), 64);
        (0..50).for_each(|_| allowance.reduce(64, 2, at(1)));
        assert_eq!(allowance.of(64, at(1)), 32);
        for second in 2..10 {
            allowance.reduce(32, 2, at(second));
        }
        assert_eq!(allowance.of(64, at(10)), 2, "never below the slots");
        assert_eq!((allowance.of(64, at(38)), allowance.of(64, at(39))), (2, 4));
        let grown: Vec<u32> = (1..6).map(|times| allowance.of(64, at(39 + 30 * times))).collect();
        assert_eq!(grown, [8, 16, 32, 64, 64]);
        allowance.reduce(0, 0, at(1000));
        assert_eq!(allowance.of(64, at(1000)), 1, "at least one stays allowed");
    }
}
