//! How long a torment lasts and which: from the environment, so that a failure can be repeated with one line.

use std::time::Duration;

/// What `HUB_CHAOS_SECONDS` and `HUB_CHAOS_SEED` say.
#[derive(Clone, Copy, Debug)]
pub struct ChaosSettings {
    /// How long faults are injected, for each AMQP client.
    pub time: Duration,
    /// What decides the jobs and the faults.
    pub seed: u64,
}

/// As the gate runs it.
const SECONDS: u64 = 35;
const SEED: u64 = 1;

impl ChaosSettings {
    /// Reads the environment.
    ///
    /// # Panics
    /// Where it says something else than numbers.
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

    /// Runs a test under these settings; says how to repeat it where it fails.
    pub fn run<T>(&self, trial: &str, test: impl FnOnce() -> T) -> T {
        let told = TellHow { settings: *self, trial };
        let outcome = test();
        std::mem::forget(told);
        outcome
    }
}

/// Tells how to repeat what has failed, when a panic takes it along.
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
