//! Which faults a simulation has, and how many: drawn once from its seed. Most seeds have some kinds of faults and
//! lack the others, since a world that has everything at once hardly gets anywhere.

use std::time::Duration;

use super::dice::Dice;

/// The faults of one simulation. Probabilities are per operation.
#[derive(Clone, Debug, Default)]
pub struct Weather {
    /// How long faults go on; then progress is demanded.
    pub lasts: Duration,
    /// The longest way of a message, in milliseconds.
    pub latency_ms: u64,
    /// The longest commit, in milliseconds.
    pub commit_ms: u64,
    /// A dispatcher dies within so many steps.
    pub dispatcher_steps: Option<u64>,
    /// A worker dies within so many steps.
    pub worker_steps: Option<u64>,
    /// A connection breaks.
    pub cut: f64,
    /// A connection does not come about.
    pub refuse: f64,
    /// The broker takes a message twice.
    pub duplicate: f64,
    /// A message is overtaken by later ones.
    pub overtaken: f64,
    /// A commit fails, done or not.
    pub commit_fails: f64,
    /// The store cannot be read.
    pub read_fails: f64,
    /// How often, at most, something befalls the broker, in milliseconds.
    pub broker_ms: Option<u64>,
    /// How often, at most, a process is cut off for a while, in milliseconds.
    pub partition_ms: Option<u64>,
    /// How often, at most, somebody stops a process in good order, in milliseconds.
    pub stop_ms: Option<u64>,
    /// Whether a dispatcher that starts may find another time than the last one had.
    pub clocks_differ: bool,
    /// How often, at most, somebody sets the wall clocks forward or back, in milliseconds.
    pub clock_ms: Option<u64>,
    /// A worker's runner takes a task beyond its slots.
    pub ahead: f64,
    /// A task that was handed over comes back without having begun.
    pub not_begun: f64,
}

impl Weather {
    /// The weather that `dice` decide.
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
