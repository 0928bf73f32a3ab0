//! What the simulation's task modules do. A value says how much it weighs and which run made it, so that values of
//! two runs of the same task can be told apart wherever they get to.

use std::time::Duration;

use serde_json::{Value, json};

use super::dice::Dice;

/// Number of attempts at which [`Module::Flaky`] raises.
pub const FLAKY_FAILURES: u32 = 2;
/// Weights stay below this.
const LARGEST: u64 = 1_000_003;

/// What a module does with its worker and its task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Module {
    /// Returns a value soon.
    Sum,
    /// Returns a value after long enough to need a lease.
    Slow,
    /// Returns a value, on workers that have it; others lack it.
    Rare,
    /// Raises.
    Fail,
    /// Raises at its first [`FLAKY_FAILURES`] attempts.
    Flaky,
    /// Starts something outside, whose result is posted.
    Launch,
    /// Kills its worker at once.
    Kill,
    /// Kills its worker while a lease holds it.
    KillSlow,
}

impl Module {
    /// Every module.
    pub const ALL: [Self; 8] =
        [Self::Sum, Self::Slow, Self::Rare, Self::Fail, Self::Flaky, Self::Launch, Self::Kill, Self::KillSlow];

    /// Its name in jobs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sum => "sum",
            Self::Slow => "slow",
            Self::Rare => "rare",
            Self::Fail => "fail",
            Self::Flaky => "flaky",
            Self::Launch => "launch",
            Self::Kill => "kill",
            Self::KillSlow => "kill_slow",
        }
    }

    /// The module of this name.
    ///
    /// # Panics
    /// Where there is none.
    #[must_use]
    pub fn named(name: &str) -> Self {
        let found = Self::ALL.into_iter().find(|module| module.name() == name);
        found.unwrap_or_else(|| panic!("no module {name:?}"))
    }

    /// Whether every worker that runs it dies.
    #[must_use]
    pub const fn kills(self) -> bool {
        matches!(self, Self::Kill | Self::KillSlow)
    }

    /// How long a run of it takes.
    #[must_use]
    pub fn duration(self, dice: &Dice) -> Duration {
        match self {
            Self::Slow | Self::KillSlow => dice.millis(900, 15_000),
            _ if dice.falls(0.1) => dice.millis(300, 1_500),
            _ => dice.millis(0, 40),
        }
    }
}

/// What a run returns for these arguments.
#[must_use]
pub fn value(args: &Value, kwargs: &Value, run: u64) -> Value {
    let v = (weigh(args) + weigh(kwargs) + 1) % LARGEST;
    json!({"v": v, "run": run, "list": [v, {"deep": v}, null]})
}

/// How much a value weighs, whichever run made it.
fn weigh(value: &Value) -> u64 {
    let sum = match value {
        Value::Null | Value::Bool(_) => 1,
        Value::Number(number) => number.as_u64().unwrap_or(7),
        Value::String(text) => text.len() as u64,
        Value::Array(items) => items.iter().map(weigh).sum(),
        Value::Object(object) => {
            object.iter().filter(|(key, _)| *key != "run").map(|(key, item)| key.len() as u64 + weigh(item)).sum()
        }
    };
    sum % LARGEST
}

/// Every run whose value is in this one.
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
