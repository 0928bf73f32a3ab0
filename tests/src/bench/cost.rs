//! What a workload costs each of the programs.

use std::collections::BTreeMap;

use super::processes::{Scope, Usage, usage};

/// A part in the play.
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

/// What each role has used.
pub(super) type Used = BTreeMap<Role, Usage>;

impl ProcessGroup {
    /// The same with this process in this role.
    #[must_use]
    pub(super) fn with(mut self, role: Role, pid: u32, scope: Scope) -> Self {
        self.0.push((role, pid, scope));
        self
    }

    /// What each has used so far.
    pub(super) fn used(&self) -> Used {
        self.0.iter().map(|(role, pid, scope)| (*role, usage(*pid, *scope))).collect()
    }
}

/// What was used in between; the peak is that of the whole life.
pub(super) fn between(before: &Used, after: &Used) -> Used {
    let since = |role: &Role, after: &Usage| {
        let before = before.get(role).copied().unwrap_or_default();
        Usage { cpu: (after.cpu - before.cpu).max(0.0), peak: after.peak }
    };
    after.iter().map(|(role, after)| (*role, since(role, after))).collect()
}

/// Processor time of all together, in seconds.
pub(super) fn total_cpu(used: &Used) -> f64 {
    used.values().map(|usage| usage.cpu).sum()
}
