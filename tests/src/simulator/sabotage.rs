//! Breaks the protocol on purpose, around Hub's own code and never in it, to see that the invariants notice.

use std::time::Duration;

use hub_core::{Now, Steady};

/// What is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sabotage {
    /// The store says that it has kept what it has not: deliveries are acknowledged and clients answered too early.
    AcknowledgeBeforeCommit,
    /// Some issues go out twice.
    PublishTwice,
    /// The store forgets which issues the broker has confirmed.
    ForgetConfirmed,
    /// A result of an earlier issue is taken for one of the current issue.
    AcceptStale,
    /// The dispatcher does not learn which tasks a worker holds.
    SkipLease,
    /// What the broker gives up is lost.
    LoseDeadLetter,
    /// The broker confirms a result that it has lost.
    LoseResult,
    /// Every start of the dispatcher counts as the first.
    OneIncarnation,
    /// The store forgets how often tasks have failed.
    ForgetFailures,
    /// Durations follow the wall clock.
    MeasureByWallClock,
}

impl Sabotage {
    /// Every way.
    pub const ALL: [Self; 10] = [
        Self::AcknowledgeBeforeCommit,
        Self::PublishTwice,
        Self::ForgetConfirmed,
        Self::AcceptStale,
        Self::SkipLease,
        Self::LoseDeadLetter,
        Self::LoseResult,
        Self::OneIncarnation,
        Self::ForgetFailures,
        Self::MeasureByWallClock,
    ];
}

/// By how much a commit comes too late.
pub(super) const LATE: Duration = Duration::from_millis(40);

/// What a process reads from its clocks. `as_wall`: what a steady clock would show that follows the wall clock.
pub(super) fn clock(sabotage: Option<Sabotage>, now: Now, as_wall: Steady) -> Now {
    match sabotage {
        Some(Sabotage::MeasureByWallClock) => Now { steady: as_wall, ..now },
        _ => now,
    }
}
