//! Breaks the protocol around Hub's code, to test that the invariants detect it.

use std::sync::Arc;
use std::time::Duration;

use hub_core::action::Change;
use hub_core::{Json, Now, Steady};

/// The kind of sabotage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sabotage {
    /// The store reports commits before they are done, so deliveries are acknowledged and clients answered too early.
    AcknowledgeBeforeCommit,
    /// Some issues are published twice.
    PublishTwice,
    /// The store loses the confirms of issues.
    ForgetConfirmed,
    /// The result of an earlier issue is accepted as the result of the current one.
    AcceptStale,
    /// The dispatcher does not receive the leases of workers.
    SkipLease,
    /// Dead letters are lost.
    LoseDeadLetter,
    /// The broker confirms a result that it has lost.
    LoseResult,
    /// The dispatcher does not count its incarnations.
    OneIncarnation,
    /// The store forgets the number of failures of tasks.
    ForgetFailures,
    /// The store forgets that jobs are paused.
    ForgetPauses,
    /// The store forgets which handlers run, and how the tasks of their jobs ended.
    ForgetPhases,
    /// The store forgets the signals of jobs.
    ForgetSignals,
    /// The store forgets the defaults that tasks have from their modules.
    ForgetDefaults,
    /// The store forgets the tasks that retries have kept.
    ForgetKept,
    /// The store forgets which jobs are sub-jobs.
    ForgetParents,
    /// The store forgets which versions of definitions jobs have begun with.
    ForgetPins,
    /// The store forgets which jobs are those of schedules.
    ForgetRuns,
    /// The store forgets how far schedules have come.
    ForgetTimes,
    /// The store keeps other results for later tasks than those that tasks have returned.
    KeepOtherResults,
    /// Durations are measured with the wall clock.
    MeasureByWallClock,
}

impl Sabotage {
    /// All kinds.
    pub const ALL: [Self; 20] = [
        Self::AcknowledgeBeforeCommit,
        Self::PublishTwice,
        Self::ForgetConfirmed,
        Self::AcceptStale,
        Self::SkipLease,
        Self::LoseDeadLetter,
        Self::LoseResult,
        Self::OneIncarnation,
        Self::ForgetFailures,
        Self::ForgetPauses,
        Self::ForgetPhases,
        Self::ForgetSignals,
        Self::ForgetDefaults,
        Self::ForgetKept,
        Self::ForgetParents,
        Self::ForgetPins,
        Self::ForgetRuns,
        Self::ForgetTimes,
        Self::KeepOtherResults,
        Self::MeasureByWallClock,
    ];
}

/// The changes that the store keeps.
pub(super) fn kept(sabotage: Option<Sabotage>, changes: &Arc<Vec<Change>>) -> Arc<Vec<Change>> {
    if sabotage != Some(Sabotage::KeepOtherResults) {
        return Arc::clone(changes);
    }
    let mut others = Vec::clone(changes);
    for change in &mut others {
        if let Change::ResultKept { kept: Some(kept), .. } = change {
            kept.data = Json::null();
        }
    }
    Arc::new(others)
}

/// Delay of a late commit.
pub(super) const LATE: Duration = Duration::from_millis(40);

/// The clocks of a process. `as_wall` is the value of a steady clock that follows the wall clock.
pub(super) fn clock(sabotage: Option<Sabotage>, now: Now, as_wall: Steady) -> Now {
    match sabotage {
        Some(Sabotage::MeasureByWallClock) => Now { steady: as_wall, ..now },
        _ => now,
    }
}
