//! The behaviour of the simulated task modules. A value contains its weight and the number of the run that made it, so that the
//! values of two runs of a task can be distinguished everywhere.

use std::time::Duration;

use serde_json::{Value, json};

use super::dice::Dice;

/// Number of attempts at which [`Module::Flaky`] fails.
pub const FLAKY_FAILURES: u32 = 2;
/// Number of attempts that [`Module::Persistent`] sets for its tasks.
pub const PERSISTENCE: u32 = 4;
/// Upper bound of weights.
const LARGEST: u64 = 1_000_003;

/// The behaviour of a module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Module {
    /// Returns a value after a short time.
    Sum,
    /// Returns a value after a time that needs a lease.
    Slow,
    /// Returns a value. Only some workers have it.
    Rare,
    /// No module, but a command. Only some workers allow it.
    Command,
    /// Raises an exception.
    Fail,
    /// Fails at its first [`FLAKY_FAILURES`] attempts.
    Flaky,
    /// Like [`Module::Flaky`]. The module itself sets [`PERSISTENCE`] attempts.
    Persistent,
    /// Starts an external operation, whose result is posted.
    Launch,
    /// Starts an external operation, whose result is never posted. Only its time limit ends it.
    Abandon,
    /// Kills its worker at once.
    Kill,
    /// Kills its worker while a lease holds it.
    KillSlow,
}

impl Module {
    /// Every module.
    pub const ALL: [Self; 11] = [
        Self::Sum,
        Self::Slow,
        Self::Rare,
        Self::Command,
        Self::Fail,
        Self::Flaky,
        Self::Persistent,
        Self::Launch,
        Self::Abandon,
        Self::Kill,
        Self::KillSlow,
    ];

    /// Its name in jobs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sum => "sum",
            Self::Slow => "slow",
            Self::Rare => "rare",
            Self::Command => "command",
            Self::Fail => "fail",
            Self::Flaky => "flaky",
            Self::Persistent => "persistent",
            Self::Launch => "launch",
            Self::Abandon => "abandon",
            Self::Kill => "kill",
            Self::KillSlow => "kill_slow",
        }
    }

    /// The module with this name.
    ///
    /// # Panics
    /// If there is no such module.
    #[must_use]
    pub fn named(name: &str) -> Self {
        let found = Self::ALL.into_iter().find(|module| module.name() == name);
        found.unwrap_or_else(|| panic!("no module {name:?}"))
    }

    /// Whether it kills its worker.
    #[must_use]
    pub const fn kills(self) -> bool {
        matches!(self, Self::Kill | Self::KillSlow)
    }

    /// Whether a task can take minutes, its retries included.
    #[must_use]
    pub const fn is_slow(self) -> bool {
        !matches!(self, Self::Sum | Self::Rare | Self::Command)
    }

    /// Whether the attempt with this number fails, from 1.
    #[must_use]
    pub const fn fails_at(self, attempt: u32) -> bool {
        match self {
            Self::Fail => true,
            Self::Flaky | Self::Persistent => attempt <= FLAKY_FAILURES,
            _ => false,
        }
    }

    /// The duration of a run.
    #[must_use]
    pub fn duration(self, dice: &Dice) -> Duration {
        match self {
            Self::Slow | Self::KillSlow => dice.millis(900, 15_000),
            _ if dice.falls(0.1) => dice.millis(300, 1_500),
            _ => dice.millis(0, 40),
        }
    }
}

/// The result of a run with these arguments.
#[must_use]
pub fn value(args: &Value, kwargs: &Value, run: u64) -> Value {
    let v = (weigh(args) + weigh(kwargs) + 1) % LARGEST;
    json!({"v": v, "run": run, "list": [v, {"deep": v}, null]})
}

/// Keys without weight: the run that made a value, and what only Hub knows of an error.
const WEIGHTLESS: [&str; 3] = ["run", "which", "cause"];

/// The weight of a value, independent of the run that made it.
fn weigh(value: &Value) -> u64 {
    let sum = match value {
        Value::Null | Value::Bool(_) => 1,
        Value::Number(number) => number.as_u64().unwrap_or(7),
        Value::String(text) => text.len() as u64,
        Value::Array(items) => items.iter().map(weigh).sum(),
        // An item of a task that iterates over a value.
        Value::Object(object) if object.get("key").is_some_and(|key| key == "run") => 1,
        Value::Object(object) => {
            let weighed = object.iter().filter(|(key, _)| !WEIGHTLESS.contains(&key.as_str()));
            weighed.map(|(key, item)| key.len() as u64 + weigh(item)).sum()
        }
    };
    sum % LARGEST
}

/// All runs whose values are contained in this value.
#[must_use]
pub fn runs_in(value: &Value) -> Vec<u64> {
    match value {
        Value::Array(items) => items.iter().flat_map(runs_in).collect(),
        Value::Object(object) => object
            .iter()
            .flat_map(|(key, item)| match item.as_u64() {
                Some(run) if key == "run" => vec![run],
                _ => runs_in(item),
            })
            .collect(),
        _ => Vec::new(),
    }
}
