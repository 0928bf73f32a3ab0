//! The random generator of a simulation, seeded once.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The random generator of a simulation.
pub struct Dice(Mutex<ChaCha8Rng>);

impl Dice {
    /// A generator with this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(Mutex::new(ChaCha8Rng::seed_from_u64(seed)))
    }

    /// True with this probability.
    pub fn falls(&self, probability: f64) -> bool {
        probability > 0.0 && self.with(|random| random.random_bool(probability.min(1.0)))
    }

    /// A random number from `least` to `most`.
    pub fn between(&self, least: u64, most: u64) -> u64 {
        self.with(|random| random.random_range(least..=most.max(least)))
    }

    /// A random duration from `least` to `most` milliseconds.
    pub fn millis(&self, least: u64, most: u64) -> Duration {
        Duration::from_millis(self.between(least, most))
    }

    /// A random element.
    ///
    /// # Panics
    /// If the slice is empty.
    pub fn pick<'a, T>(&self, all: &'a [T]) -> &'a T {
        assert!(!all.is_empty(), "one of none");
        &all[self.index(all.len())]
    }

    /// A random index of a list with this length.
    pub fn index(&self, length: usize) -> usize {
        self.with(|random| random.random_range(0..length))
    }

    fn with<T>(&self, draw: impl FnOnce(&mut ChaCha8Rng) -> T) -> T {
        draw(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
