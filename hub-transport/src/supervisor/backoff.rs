//! Delays between connection attempts.

use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

/// Exponential backoff with jitter, so that many clients do not reconnect at the same time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// Maximum first delay.
    pub first: Duration,
    /// Maximum delay.
    pub cap: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { first: Duration::from_millis(100), cap: Duration::from_secs(10) }
    }
}

/// A sequence of delays.
#[derive(Debug)]
pub(super) struct Delays {
    backoff: Backoff,
    random: SmallRng,
    attempt: u32,
}

impl Delays {
    pub(super) fn new(backoff: Backoff, seed: u64) -> Self {
        Self { backoff, random: SmallRng::seed_from_u64(seed), attempt: 0 }
    }

    /// The next delay: a random value between half of the current maximum and the maximum.
    pub(super) fn next(&mut self) -> Duration {
        let doubled = self.backoff.first.saturating_mul(1_u32.checked_shl(self.attempt.min(20)).unwrap_or(u32::MAX));
        self.attempt = self.attempt.saturating_add(1);
        doubled.min(self.backoff.cap).mul_f64(self.random.random_range(0.5..=1.0))
    }

    /// Number of delays since the last success.
    pub(super) const fn attempt(&self) -> u32 {
        self.attempt
    }

    pub(super) const fn reset(&mut self) {
        self.attempt = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_to_the_cap_and_can_be_reset() {
        let mut delays = Delays::new(Backoff::default(), 1);
        let drawn: Vec<Duration> = (0..40).map(|_| delays.next()).collect();
        assert!(drawn[0] <= Duration::from_millis(100));
        assert!(drawn[20..].iter().all(|wait| *wait >= Duration::from_secs(5) && *wait <= Duration::from_secs(10)));
        delays.reset();
        assert!(delays.next() <= Duration::from_millis(100));
    }
}
