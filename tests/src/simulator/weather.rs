//! The kinds and rates of faults of a simulation, drawn from its seed. Most seeds have only some kinds of faults, since all
//! kinds at once would prevent progress.

use std::time::Duration;

use super::dice::Dice;

/// The faults of one simulation. Probabilities are per operation.
#[derive(Clone, Debug, Default)]
pub struct Weather {
    /// Duration of the fault phase.
    pub lasts: Duration,
    /// Maximum latency of a message, in milliseconds.
    pub latency_ms: u64,
    /// Maximum duration of a commit, in milliseconds.
    pub commit_ms: u64,
    /// Maximum number of steps until a dispatcher is killed.
    pub dispatcher_steps: Option<u64>,
    /// Maximum number of steps until a worker is killed.
    pub worker_steps: Option<u64>,
    /// Probability that a connection breaks.
    pub cut: f64,
    /// Probability that a connection is refused.
    pub refuse: f64,
    /// Probability that a message is duplicated.
    pub duplicate: f64,
    /// Probability that a message is overtaken by later ones.
    pub overtaken: f64,
    /// Probability that a commit fails, applied or not.
    pub commit_fails: f64,
    /// Probability that a read of the store fails.
    pub read_fails: f64,
    /// Minimum interval between faults of the broker, in milliseconds.
    pub broker_ms: Option<u64>,
    /// Minimum interval between partitions, in milliseconds.
    pub partition_ms: Option<u64>,
    /// Minimum interval between normal stops of processes, in milliseconds.
    pub stop_ms: Option<u64>,
    /// Whether the clocks of successive dispatchers differ.
    pub clocks_differ: bool,
    /// Minimum interval between changes of the wall clocks, in milliseconds.
    pub clock_ms: Option<u64>,
    /// Probability that a runner takes a task in advance.
    pub ahead: f64,
    /// Probability that a task is returned without having started.
    pub not_begun: f64,
}

impl Weather {
    /// Random faults.
    #[must_use]
    pub fn draw(dice: &Dice) -> Self {
        let latency_ms = *dice.pick(&[1, 5, 50, 400]);
        let commit_ms = *dice.pick(&[0, 3, 30, 1500]);
        let lasts = dice.millis(5_000, 90_000);
        if dice.falls(0.08) {
            return Self { lasts, latency_ms, commit_ms, ..Self::default() };
        }
        let sometimes = |probability: f64| if dice.falls(0.45) { probability } else { 0.0 };
        let every = |least: u64, most: u64| dice.falls(0.4).then(|| dice.between(least, most));
        Self {
            lasts,
            latency_ms,
            commit_ms,
            dispatcher_steps: dice.falls(0.6).then(|| *dice.pick(&[30, 100, 400])),
            worker_steps: dice.falls(0.5).then(|| *dice.pick(&[40, 150, 500])),
            cut: sometimes(*dice.pick(&[0.002, 0.01, 0.04])),
            refuse: sometimes(0.3),
            duplicate: sometimes(0.05),
            overtaken: sometimes(0.05),
            commit_fails: sometimes(0.05),
            read_fails: sometimes(0.1),
            broker_ms: every(3_000, 30_000),
            partition_ms: every(5_000, 60_000),
            stop_ms: every(3_000, 30_000),
            clocks_differ: dice.falls(0.3),
            clock_ms: every(3_000, 30_000),
            ahead: sometimes(0.5),
            not_begun: sometimes(*dice.pick(&[0.05, 0.4])),
        }
    }
}
