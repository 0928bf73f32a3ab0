//! The duration and the seed of the test, from environment variables, so that a failure can be repeated with one command.

use std::time::Duration;

/// The settings `HUB_CHAOS_SECONDS` and `HUB_CHAOS_SEED`.
#[derive(Clone, Copy, Debug)]
pub struct ChaosSettings {
    /// Duration of the fault injection, for each AMQP client.
    pub time: Duration,
    /// The seed of the jobs and the faults.
    pub seed: u64,
}

/// Default duration, in seconds.
const SECONDS: u64 = 35;
const SEED: u64 = 1;

impl ChaosSettings {
    /// Reads the environment.
    ///
    /// # Panics
    /// If a value is not a number.
    #[must_use]
    pub fn from_environment() -> Self {
        let number = |name: &str, default: u64| {
            std::env::var(name).map_or(default, |text| {
                text.parse().unwrap_or_else(|_| panic!("{name} must be a number, and is {text:?}"))
            })
        };
        let time = Duration::from_secs(number("HUB_CHAOS_SECONDS", SECONDS));
        Self { time, seed: number("HUB_CHAOS_SEED", SEED) }
    }

    /// Runs a test with these settings. A failure prints how to repeat it.
    pub fn run<T>(&self, trial: &str, test: impl FnOnce() -> T) -> T {
        let told = TellHow { settings: *self, trial };
        let outcome = test();
        std::mem::forget(told);
        outcome
    }
}

/// Prints how to repeat a test if it is dropped by a panic.
struct TellHow<'a> {
    settings: ChaosSettings,
    trial: &'a str,
}

impl Drop for TellHow<'_> {
    fn drop(&mut self) {
        let (seconds, seed, trial) = (self.settings.time.as_secs(), self.settings.seed, self.trial);
        eprintln!(
            "to repeat it: HUB_CHAOS_SECONDS={seconds} HUB_CHAOS_SEED={seed} \
             cargo test -p hub-tests --test chaos -- --include-ignored --exact {trial}"
        );
    }
}
