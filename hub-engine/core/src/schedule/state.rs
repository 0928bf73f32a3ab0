//! How far a schedule has come.

use std::collections::VecDeque;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{KeptSchedule, Run};
use crate::job_details::PauseRecord;
use crate::{JobId, Timestamp};

/// Maximum number of times that wait for the end of earlier jobs.
pub const MAXIMUM_BUFFERED: usize = 1000;
/// Maximum number of jobs that are started for times at which no dispatcher ran.
pub const MAXIMUM_CAUGHT_UP: u32 = 1000;
/// Maximum number of skipped times that are recorded. The newest ones are kept.
pub const MAXIMUM_SKIPS: usize = 100;

/// How far a schedule has come. It changes in the commit that adds the job, or that records a skipped time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ScheduleState {
    /// The first time that is not decided yet. `None`: there is no further time.
    #[serde(with = "crate::time::rfc3339::option", skip_serializing_if = "Option::is_none")]
    pub next_at: Option<Timestamp>,
    /// The pause, if the schedule is paused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paused: Option<PauseRecord>,
    /// Number of jobs in a row that have failed, or were refused.
    pub failures: u32,
    /// Number of jobs in a row that were started for missed times.
    pub caught_up: u32,
    /// Times that wait for the end of earlier jobs, as milliseconds since 1970.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub buffered: Vec<u64>,
    /// The newest skipped times.
    #[serde(skip_serializing_if = "VecDeque::is_empty")]
    pub skips: VecDeque<Skip>,
    /// Number of all skipped times.
    pub skipped: u64,
    /// Number of all started jobs.
    pub started: u64,
    /// The job that was started last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<LastRun>,
}

/// The job that was started last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastRun {
    /// Its time.
    #[serde(with = "crate::time::rfc3339")]
    pub at: Timestamp,
    /// The job.
    pub job: JobId,
}

/// A time for which no job was started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skip {
    /// The time.
    #[serde(with = "crate::time::rfc3339")]
    pub at: Timestamp,
    /// Why.
    pub reason: SkipReason,
    /// More about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub msg: Option<Arc<str>>,
}

/// Why no job was started for a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum SkipReason {
    /// A job of the schedule had not ended.
    Overlap,
    /// A later time took its place.
    Superseded,
    /// Too many times wait for the end of earlier jobs.
    BufferFull,
    /// No dispatcher ran at this time.
    Missed,
    /// The schedule was paused, or its times were changed, while its job was being prepared.
    Withdrawn,
    /// The job was refused.
    Refused,
    /// There was a job with its id.
    Exists,
}

/// A schedule and how far it has come.
#[derive(Clone, Debug, PartialEq)]
pub struct ScheduleSnapshot {
    /// The schedule.
    pub kept: Arc<KeptSchedule>,
    /// How far it has come.
    pub state: Arc<ScheduleState>,
}

impl SkipReason {
    /// The reason as a sentence for people.
    #[must_use]
    pub const fn describe(self) -> &'static str {
        match self {
            Self::Overlap => "a job of the schedule had not ended",
            Self::Superseded => "a later time took its place",
            Self::BufferFull => "too many times waited for the end of earlier jobs",
            Self::Missed => "no dispatcher ran at this time",
            Self::Withdrawn => "the schedule was paused, or its times were changed, before the job could start",
            Self::Refused => "the job was refused",
            Self::Exists => "there was a job with its id",
        }
    }
}

impl ScheduleState {
    /// Records a skipped time.
    pub(crate) fn skip(&mut self, at: Timestamp, reason: SkipReason, msg: Option<Arc<str>>) {
        self.skipped += 1;
        if self.skips.len() == MAXIMUM_SKIPS {
            self.skips.pop_front();
        }
        self.skips.push_back(Skip { at, reason, msg });
    }
}

impl ScheduleSnapshot {
    /// The name of the schedule.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        self.kept.schedule.name()
    }

    /// The job of a client's request at this time.
    #[must_use]
    pub fn triggered(&self, at: Timestamp) -> Run {
        Run { name: Arc::clone(self.name()), uid: self.kept.uid, at, triggered: true }
    }
}
