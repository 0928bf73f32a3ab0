//! The cost of a workload for each of the programs.

use std::collections::BTreeMap;

use super::processes::{Scope, Usage, usage};

/// The role of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Role {
    Client,
    Dispatcher,
    Worker,
    Python,
    Broker,
    /// Everything in one process.
    Whole,
}

impl Role {
    pub(super) const ALL: [Self; 6] =
        [Self::Client, Self::Dispatcher, Self::Worker, Self::Python, Self::Broker, Self::Whole];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Dispatcher => "dispatcher",
            Self::Worker => "worker",
            Self::Python => "python",
            Self::Broker => "broker",
            Self::Whole => "one process",
        }
    }
}

/// The processes of a deployment, each with its role.
#[derive(Clone, Debug, Default)]
pub(super) struct ProcessGroup(Vec<(Role, u32, Scope)>);

/// The resource usage of each role.
pub(super) type Used = BTreeMap<Role, Usage>;

impl ProcessGroup {
    /// Adds a process with this role.
    #[must_use]
    pub(super) fn with(mut self, role: Role, pid: u32, scope: Scope) -> Self {
        self.0.push((role, pid, scope));
        self
    }

    /// The usage of each role so far.
    pub(super) fn used(&self) -> Used {
        self.0.iter().map(|(role, pid, scope)| (*role, usage(*pid, *scope))).collect()
    }
}

/// The usage between two measurements. The peak is that of the whole lifetime.
pub(super) fn between(before: &Used, after: &Used) -> Used {
    let since = |role: &Role, after: &Usage| {
        let before = before.get(role).copied().unwrap_or_default();
        Usage { cpu: (after.cpu - before.cpu).max(0.0), peak: after.peak }
    };
    after.iter().map(|(role, after)| (*role, since(role, after))).collect()
}

/// Total processor time, in seconds.
pub(super) fn total_cpu(used: &Used) -> f64 {
    used.values().map(|usage| usage.cpu).sum()
}
