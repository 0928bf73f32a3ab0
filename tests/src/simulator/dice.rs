//! All chance of a simulation: one generator, seeded once.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Decides what is left to chance.
pub struct Dice(Mutex<ChaCha8Rng>);

impl Dice {
    /// Chance that follows from `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(Mutex::new(ChaCha8Rng::seed_from_u64(seed)))
    }

    /// Whether something happens that happens with this probability.
    pub fn falls(&self, probability: f64) -> bool {
        probability > 0.0 && self.with(|random| random.random_bool(probability.min(1.0)))
    }

    /// A number from `least` to `most`.
    pub fn between(&self, least: u64, most: u64) -> u64 {
        self.with(|random| random.random_range(least..=most.max(least)))
    }

    /// A time from `least` to `most` milliseconds.
    pub fn millis(&self, least: u64, most: u64) -> Duration {
        Duration::from_millis(self.between(least, most))
    }

    /// One of several.
    ///
    /// # Panics
    /// Where there is none.
    pub fn pick<'a, T>(&self, all: &'a [T]) -> &'a T {
        assert!(!all.is_empty(), "one of none");
        &all[self.index(all.len())]
    }

    /// A position in a list that is this long.
    pub fn index(&self, length: usize) -> usize {
        self.with(|random| random.random_range(0..length))
    }

    fn with<T>(&self, draw: impl FnOnce(&mut ChaCha8Rng) -> T) -> T {
        draw(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
