//! The gates of a task, which it passes in a fixed order.

use serde::Serialize;

/// A gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Gate {
    /// Its trigger rule: the ends of its upstream tasks.
    TriggerRule,
    /// The start of its job.
    Start,
    /// Its condition.
    When,
    /// Its delay.
    Delay,
    /// Its items; for an item, the limit of items that run at the same time.
    ForEach,
    /// What it waits for, if it runs no module: a time, signals or an approval.
    Wait,
    /// The interval between two attempts, or the wait for an operator.
    Retry,
    /// A kept result, or an equal task that is handed out.
    Cache,
    /// The job that it runs, if it runs no module.
    SubJob,
    /// Its pool: room in the window, and a worker that can run it.
    Pool,
    /// The queue of its pool on the broker.
    Broker,
}

/// What a gate says of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum GateState {
    /// The task has no such gate.
    Absent,
    /// The task has passed it.
    Passed,
    /// The task waits at it.
    Holds,
    /// The task has not come to it. A condition is not evaluated yet.
    NotReached,
}

/// A gate of a task, and what it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct GateReport {
    /// The gate.
    pub gate: Gate,
    /// What it says.
    pub state: GateState,
}

impl Gate {
    /// All gates in their order.
    pub const ALL: [Self; 11] = [
        Self::TriggerRule,
        Self::Start,
        Self::When,
        Self::Delay,
        Self::ForEach,
        Self::Wait,
        Self::Retry,
        Self::Cache,
        Self::SubJob,
        Self::Pool,
        Self::Broker,
    ];

    /// The states of all gates of a task that has those for which `has` is true, and waits at `held`. `None`: it has passed all.
    #[must_use]
    pub fn report(held: Option<Self>, has: impl Fn(Self) -> bool) -> Vec<GateReport> {
        let state = |gate| match held {
            Some(held) if held == gate => GateState::Holds,
            _ if !has(gate) => GateState::Absent,
            Some(held) if held < gate => GateState::NotReached,
            _ => GateState::Passed,
        };
        Self::ALL.into_iter().map(|gate| GateReport { gate, state: state(gate) }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gates_before_the_held_one_are_passed() {
        let states = |held| {
            let has = |gate| matches!(gate, Gate::When | Gate::Pool | Gate::Broker);
            Gate::report(held, has).into_iter().map(|report| report.state).collect::<Vec<_>>()
        };
        use GateState::{Absent, Holds, NotReached, Passed};
        let held = [Absent, Absent, Passed, Absent, Absent, Absent, Absent, Absent, Absent, Holds, NotReached];
        assert_eq!(states(Some(Gate::Pool)), held);
        let all = [Absent, Absent, Passed, Absent, Absent, Absent, Absent, Absent, Absent, Passed, Passed];
        assert_eq!(states(None), all);
        assert!(Gate::ALL.is_sorted());
    }
}
