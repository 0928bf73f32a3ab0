//! Schedules.

use std::sync::Arc;

use hub_core::job_details::PauseRecord;
use hub_core::machine::ScheduleChange;
use hub_core::schedule::{LastRun, Skip};
use hub_core::{JobId, Json, Timestamp};
use serde::{Deserialize, Serialize};

use super::jobs::Submitted;
use super::name_page::NamePage;

/// A request about schedules.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum ScheduleRequest {
    /// Keep a schedule under its name.
    Set(ScheduleDraft),
    /// A page of the schedules, by name.
    List(NamePage),
    /// One schedule.
    Get {
        /// Its name.
        name: Arc<str>,
    },
    /// Remove a schedule. Its jobs go on.
    Remove {
        /// Its name.
        name: Arc<str>,
    },
    /// Pause a schedule. Its jobs go on.
    Pause(ScheduleOrder),
    /// Resume a schedule, which goes on with its next time.
    Resume(ScheduleOrder),
    /// Start a job of the schedule now, regardless of its times, its overlap and its pause.
    Trigger(ScheduleTrigger),
}

/// A request to keep a schedule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScheduleDraft {
    /// The name, which the text must have, too.
    pub name: Arc<str>,
    /// The text of the schedule.
    pub text: Arc<str>,
    /// Who changes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Whether nothing is changed: the answer says what would be.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
}

/// A request to pause or to resume a schedule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScheduleOrder {
    /// The name of the schedule.
    pub name: Arc<str>,
    /// Who asks for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A request to start a job of a schedule now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScheduleTrigger {
    /// The name of the schedule.
    pub name: Arc<str>,
    /// The id for the job. The same request under the same id again has no effect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<JobId>,
}

/// The answer to a [`ScheduleRequest`].
#[derive(Clone, Debug)]
pub enum ScheduleAnswer {
    /// What became of a schedule that was set.
    Set(ScheduleSet),
    /// A page of the schedules.
    List(SchedulePage),
    /// One schedule.
    One(Box<ScheduleRecord>),
    /// The schedule was removed, paused or resumed.
    Done(ScheduleName),
    /// The job that was started.
    Triggered(Submitted),
}

/// The name of a schedule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScheduleName {
    /// The name.
    pub name: Arc<str>,
}

/// What became of a [`ScheduleDraft`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScheduleSet {
    /// The name of the schedule.
    pub name: Arc<str>,
    /// Whether it is new, has changed, or has the same text as before.
    pub change: ScheduleChange,
    /// Its next times, at most [`ScheduleRecord::UPCOMING`].
    pub upcoming: Vec<UpcomingRun>,
    /// What the author may not expect.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// A future time of a schedule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpcomingRun {
    /// The time.
    #[serde(with = "hub_core::time::rfc3339")]
    pub at: Timestamp,
    /// The same time in the zone of the schedule.
    pub local: String,
}

/// A page of schedules.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SchedulePage {
    /// The schedules, by name.
    pub schedules: Vec<ScheduleSummary>,
    /// The cursor for [`NamePage::after`] of the next page. Absent on the last page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// A schedule in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScheduleSummary {
    /// Its name.
    pub name: Arc<str>,
    /// The definition that it starts. Absent: it contains its job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub definition: Option<String>,
    /// Its next time. Absent: there is none, or it is paused.
    #[serde(default, with = "hub_core::time::rfc3339::option", skip_serializing_if = "Option::is_none")]
    pub next_at: Option<Timestamp>,
    /// The pause, if it is paused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<PauseRecord>,
    /// The job that was started last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<LastRun>,
    /// Number of its jobs that have not ended, and of their retries.
    pub running: u64,
    /// Number of times that wait for the end of earlier jobs.
    pub waiting: u64,
    /// Number of all started jobs.
    pub started: u64,
    /// Number of all skipped times.
    pub skipped: u64,
    /// Number of jobs in a row that have failed, or were refused.
    pub failures: u32,
}

/// A schedule with everything about it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScheduleRecord {
    /// The schedule as in a list.
    #[serde(flatten)]
    pub summary: ScheduleSummary,
    /// When it was created.
    #[serde(with = "hub_core::time::rfc3339")]
    pub created_at: Timestamp,
    /// When it was changed last.
    #[serde(with = "hub_core::time::rfc3339")]
    pub changed_at: Timestamp,
    /// Who changed it last, as the client says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Arc<str>>,
    /// Its next times, at most [`ScheduleRecord::UPCOMING`].
    pub upcoming: Vec<UpcomingRun>,
    /// Its jobs that have not ended, and their retries, at most [`ScheduleRecord::JOBS`].
    pub jobs: Vec<JobId>,
    /// The newest skipped times, the last one first.
    pub skips: Vec<Skip>,
    /// The schedule, as it was given.
    pub schedule: Json,
}

impl ScheduleRecord {
    /// Maximum number of future times in a record.
    pub const UPCOMING: usize = 10;
    /// Maximum number of jobs in a record.
    pub const JOBS: usize = 1000;
}

impl ScheduleRequest {
    /// Whether the request is idempotent.
    pub(super) const fn may_repeat(&self) -> bool {
        match self {
            Self::Set(_) | Self::List(_) | Self::Get { .. } | Self::Pause(_) | Self::Resume(_) => true,
            // The second answer would be a refusal, although the first request was executed.
            Self::Remove { .. } => false,
            Self::Trigger(trigger) => trigger.id.is_some(),
        }
    }

    /// Whether the request changes state.
    pub(super) const fn changes_something(&self) -> bool {
        !matches!(self, Self::List(_) | Self::Get { .. })
    }
}

impl ScheduleAnswer {
    pub(super) fn to_json(&self) -> serde_json::Result<String> {
        match self {
            Self::Set(set) => serde_json::to_string(set),
            Self::List(page) => serde_json::to_string(page),
            Self::One(record) => serde_json::to_string(record),
            Self::Done(name) => serde_json::to_string(name),
            Self::Triggered(submitted) => serde_json::to_string(submitted),
        }
    }

    pub(super) fn read(request: &ScheduleRequest, text: &str) -> serde_json::Result<Self> {
        Ok(match request {
            ScheduleRequest::Set(_) => Self::Set(serde_json::from_str(text)?),
            ScheduleRequest::List(_) => Self::List(serde_json::from_str(text)?),
            ScheduleRequest::Get { .. } => Self::One(serde_json::from_str(text)?),
            ScheduleRequest::Remove { .. } | ScheduleRequest::Pause(_) | ScheduleRequest::Resume(_) => {
                Self::Done(serde_json::from_str(text)?)
            }
            ScheduleRequest::Trigger(_) => Self::Triggered(serde_json::from_str(text)?),
        })
    }
}
