//! When a task runs, by how its upstream tasks end.

use crate::TaskStatus;

/// When a task runs. `docs/jobs.md` has the table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TriggerRule {
    /// After all upstream tasks have succeeded.
    #[default]
    AllSuccess,
    /// After all have ended.
    AllDone,
    /// After all have ended, if one has succeeded.
    AllDoneMinOneSuccess,
    /// After all have ended, if none has failed.
    NoneFailed,
    /// After all have ended, if none has failed and one has succeeded.
    NoneFailedMinOneSuccess,
    /// After all have failed.
    AllFailed,
    /// After all were skipped.
    AllSkipped,
    /// After all have ended, if none was skipped.
    NoneSkipped,
    /// As soon as one has succeeded.
    OneSuccess,
    /// As soon as one has failed.
    OneFailed,
    /// As soon as one has succeeded or failed.
    OneDone,
    /// At once.
    Always,
}

impl TriggerRule {
    /// Every rule, in the order of the documentation.
    pub const ALL: [Self; 12] = [
        Self::AllSuccess,
        Self::AllDone,
        Self::AllDoneMinOneSuccess,
        Self::NoneFailed,
        Self::NoneFailedMinOneSuccess,
        Self::AllFailed,
        Self::AllSkipped,
        Self::NoneSkipped,
        Self::OneSuccess,
        Self::OneFailed,
        Self::OneDone,
        Self::Always,
    ];

    /// The word as it stands in jobs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AllSuccess => "all_success",
            Self::AllDone => "all_done",
            Self::AllDoneMinOneSuccess => "all_done_min_one_success",
            Self::NoneFailed => "none_failed",
            Self::NoneFailedMinOneSuccess => "none_failed_min_one_success",
            Self::AllFailed => "all_failed",
            Self::AllSkipped => "all_skipped",
            Self::NoneSkipped => "none_skipped",
            Self::OneSuccess => "one_success",
            Self::OneFailed => "one_failed",
            Self::OneDone => "one_done",
            Self::Always => "always",
        }
    }

    /// Whether the task may run while some of its upstream tasks have not ended.
    #[must_use]
    pub const fn runs_early(self) -> bool {
        matches!(self, Self::OneSuccess | Self::OneFailed | Self::OneDone | Self::Always)
    }

    /// Whether the end of one upstream task decides that the task runs: the first one whose end meets the rule.
    #[must_use]
    pub const fn has_first(self) -> bool {
        matches!(self, Self::OneSuccess | Self::OneFailed | Self::OneDone)
    }

    /// Whether one upstream task that ends like this meets the rule, if the rule has a first task.
    #[must_use]
    pub const fn is_met_by(self, end: TaskStatus) -> bool {
        let failed = matches!(end, TaskStatus::Failed | TaskStatus::UpstreamFailed | TaskStatus::Cancelled);
        match self {
            Self::OneSuccess => matches!(end, TaskStatus::Success),
            Self::OneFailed => failed,
            Self::OneDone => failed || matches!(end, TaskStatus::Success),
            _ => false,
        }
    }

    /// Whether the rule makes sense only for a task that has upstream tasks.
    #[must_use]
    pub const fn needs_upstream(self) -> bool {
        !matches!(self, Self::AllSuccess | Self::AllDone | Self::NoneFailed | Self::NoneSkipped | Self::Always)
    }
}
