//! How long to wait before the next try.

use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

/// Waits that double up to a cap, each shortened by chance so that a thousand clients do not come back at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The longest first wait.
    pub first: Duration,
    /// The longest wait at all.
    pub cap: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { first: Duration::from_millis(100), cap: Duration::from_secs(10) }
    }
}

/// A run of waits.
#[derive(Debug)]
pub(super) struct Waits {
    backoff: Backoff,
    random: SmallRng,
    attempt: u32,
}

impl Waits {
    pub(super) fn new(backoff: Backoff, seed: u64) -> Self {
        Self { backoff, random: SmallRng::seed_from_u64(seed), attempt: 0 }
    }

    /// The next wait: between half of what is due and all of it.
    pub(super) fn next(&mut self) -> Duration {
        let doubled = self.backoff.first.saturating_mul(1_u32.checked_shl(self.attempt.min(20)).unwrap_or(u32::MAX));
        self.attempt = self.attempt.saturating_add(1);
        doubled.min(self.backoff.cap).mul_f64(self.random.random_range(0.5..=1.0))
    }

    /// How many waits there were since the last success.
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
    fn waits_grow_to_the_cap_and_begin_anew() {
        let mut waits = Waits::new(Backoff::default(), 1);
        let drawn: Vec<Duration> = (0..40).map(|_| waits.next()).collect();
        assert!(drawn[0] <= Duration::from_millis(100));
        assert!(drawn[20..].iter().all(|wait| *wait >= Duration::from_secs(5) && *wait <= Duration::from_secs(10)));
        waits.reset();
        assert!(waits.next() <= Duration::from_millis(100));
    }
}
