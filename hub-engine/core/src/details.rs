//! The state of a task that only tasks with special options have. Most tasks have none of it, so it is apart: in memory in a
//! box, in the store in one column.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::cache::CachedFrom;
use crate::digest::Digest;
use crate::failure::TaskError;
use crate::job::ModuleDefaults;
use crate::job_clock::JobClock;
use crate::received::{ApprovalAnswer, ReceivedSignal};
use crate::{JobId, Json, TaskStatus, Timestamp};

/// Maximum number of attempts that are kept of a task: the newest ones.
pub const KEPT_ATTEMPTS: usize = 20;

/// What only tasks with special options have. A field that is not set takes no room in the store, where all fields are in one
/// object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, remote = "Self")]
pub struct TaskDetails {
    /// Number of attempts that failed. It never goes down, and it does not count redeliveries or lost workers.
    #[serde(skip_serializing_if = "is_zero")]
    pub failures: u32,
    /// The position of the upstream task whose end has decided that the task runs, if its trigger rule has a first task.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first: Option<u32>,
    /// The task has failed, and its fallback stands for its result.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub recovered: bool,
    /// The task did not run: its data came with the request for a retry of its job.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub overridden: bool,
    /// The defaults of its module. They are kept from the first issue on, so that a deployment does not change a task that runs.
    #[serde(deserialize_with = "ModuleDefaults::optional", skip_serializing_if = "Option::is_none")]
    pub defaults: Option<Arc<ModuleDefaults>>,
    /// It was issued when no worker was known that has its module. The defaults follow with a report about the issue.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub awaits_defaults: bool,
    /// When the next attempt begins, while the task waits for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_at: Option<Timestamp>,
    /// The task waits until then, though it could run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delayed_until: Option<Timestamp>,
    /// The task waits for an operator's decision, until then at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held_until: Option<Timestamp>,
    /// The time for which a task waits, or at which it stops waiting for signals or an approval.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waits_until: Option<Timestamp>,
    /// How long the wait until one of these times was meant to be, in milliseconds. After a restart the task waits no longer than
    /// that, even if the wall clock was set back meanwhile. `None` for a wait until a time that the job names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wait_ms: Option<u64>,
    /// When the task had passed all gates before its pool. Only tasks with a limit that begins then have it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ready_at: Option<Timestamp>,
    /// Whether its limit `schedule_to_start` is over: it has started, or it did not start in time.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub has_started: bool,
    /// The newest attempts that failed, at most [`KEPT_ATTEMPTS`], in their order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub attempts: Vec<Attempt>,
    /// What few of these tasks have: see [`TaskDetails::rare`].
    #[serde(flatten, skip_deserializing)]
    pub rare: BoxedDetails,
}

/// The details that few tasks have that wait for a time, of which there may be millions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RareDetails {
    /// How often an operator has granted all attempts again.
    #[serde(skip_serializing_if = "is_zero")]
    pub grants: u32,
    /// The job in which the task ran, if it is a task of a retry and did not run again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kept_from: Option<JobId>,
    /// The job that the task runs or ran last, if it runs jobs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub child: Option<JobId>,
    /// What the task has to do with kept results.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache: Option<CacheDetails>,
    /// What the task has reported of its progress, in this attempt or an earlier one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<Json>,
    /// How its items do, if it runs for several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub items: Option<ItemCounts>,
    /// The signals that a task that waits for some has received, in their order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub signals: Vec<ReceivedSignal>,
    /// The answer to the question of an approval.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer: Option<ApprovalAnswer>,
    /// What operators have done with the task: the newest [`KEPT_ATTEMPTS`] repairs, in their order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub repairs: Vec<RepairRecord>,
}

/// Rare details, which take memory once one of them is set. All of them unset are equal to none.
#[derive(Clone, Debug, Default)]
pub struct BoxedDetails(Option<Box<RareDetails>>);

/// What a task with a cache has to do with kept results.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CacheDetails {
    /// The task whose result it has taken. It did not run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<CachedFrom>,
    /// The content of the module that has launched it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<Digest>,
    /// Why its result is not kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_kept: Option<Arc<str>>,
}

/// The number of a task's items, and how those have ended that have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ItemCounts {
    /// All items.
    pub total: u32,
    /// Those that succeeded.
    pub success: u32,
    /// Those that failed.
    pub failed: u32,
    /// Those that were skipped.
    pub skipped: u32,
    /// Those that were stopped.
    pub cancelled: u32,
    /// The size of the list of results in bytes, if it is larger than a value may be. No task can refer to it then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_bytes: Option<u64>,
}

impl ItemCounts {
    /// Counts an item that has ended in this way.
    pub const fn count(&mut self, status: TaskStatus) {
        match status {
            TaskStatus::Success => self.success += 1,
            TaskStatus::Failed | TaskStatus::UpstreamFailed => self.failed += 1,
            TaskStatus::Skipped => self.skipped += 1,
            TaskStatus::Cancelled => self.cancelled += 1,
            TaskStatus::Pending | TaskStatus::Submitted | TaskStatus::Running => {}
        }
    }
}

/// What an operator did with a task that has not ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RepairRecord {
    /// What was done.
    pub action: RepairAction,
    /// When.
    #[serde(with = "crate::time::rfc3339")]
    pub at: Timestamp,
    /// Who did it, as the client says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Arc<str>>,
    /// Why, as the client says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Arc<str>>,
}

/// What operators can do with a task that has not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RepairAction {
    /// Start the next attempt now. A held task gets as many attempts again as its policy allows.
    Retry,
    /// End a task that waits, without running it: `SKIPPED`, or `SUCCESS` with data.
    Skip,
    /// Fail a task that waits for its next attempt or for an operator.
    Fail,
}

impl RepairAction {
    /// Every action.
    pub const ALL: [Self; 3] = [Self::Retry, Self::Skip, Self::Fail];

    /// The word as it stands in requests.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Skip => "skip",
            Self::Fail => "fail",
        }
    }
}

/// An attempt that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// Its number, from 1.
    pub number: u32,
    /// When a worker began with it. `None` if none did, or if that is not known.
    #[serde(default, with = "crate::time::rfc3339::option", skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    #[serde(with = "crate::time::rfc3339")]
    pub ended_at: Timestamp,
    /// The worker that ran it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<Arc<str>>,
    /// Why it failed, for people.
    pub msg: Arc<str>,
    /// Why it failed, for programs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Arc<TaskError>>,
    /// What it printed; its end, if that was long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<Arc<str>>,
}

impl TaskDetails {
    /// The details that few tasks have.
    #[must_use]
    pub fn rare(&self) -> &RareDetails {
        self.rare.get()
    }

    /// The details that few tasks have, for writing.
    pub fn rare_mut(&mut self) -> &mut RareDetails {
        self.rare.0.get_or_insert_default()
    }

    /// Adds an attempt, and drops the oldest one if there are too many.
    pub fn keep_attempt(&mut self, attempt: Attempt) {
        if self.attempts.len() == KEPT_ATTEMPTS {
            self.attempts.remove(0);
        }
        if self.attempts.is_empty() {
            // Most tasks have one. The first one would take the memory of four.
            self.attempts.reserve_exact(1);
        }
        self.attempts.push(attempt);
    }

    /// Notes a wait until one of the times: `field` selects it.
    pub fn wait_until(
        &mut self,
        field: impl FnOnce(&mut Self) -> &mut Option<Timestamp>,
        now: Timestamp,
        wait: Duration,
    ) {
        self.end_wait();
        *field(self) = Some(now.after(wait));
        self.wait_ms = u64::try_from(wait.as_millis()).ok();
    }

    /// The task does not wait for a time any more.
    pub const fn end_wait(&mut self) {
        (self.retry_at, self.held_until, self.delayed_until) = (None, None, None);
        (self.waits_until, self.wait_ms) = (None, None);
    }

    /// The time of the wall clock until which a task waits that runs no module. While the job's clock stands still: as if
    /// it did not.
    #[must_use]
    pub fn end_of_wait(&self, clock: JobClock) -> Option<Timestamp> {
        let until = self.waits_until?;
        Some(if self.is_timed() { clock.wall(until) } else { until })
    }

    /// Whether its wait is a duration, which ends at a time of the job's clock, and no time that the job names.
    #[must_use]
    pub const fn is_timed(&self) -> bool {
        self.wait_ms.is_some()
    }

    /// How long it has been held until `now`, if it is held.
    #[must_use]
    pub fn held_for(&self, now: Timestamp) -> Option<Duration> {
        let whole = Duration::from_millis(self.wait_ms?);
        Some(whole.saturating_sub(self.held_until?.since(now)))
    }

    /// Adds a repair, and drops the oldest one if there are too many.
    pub fn keep_repair(&mut self, repair: RepairRecord) {
        let repairs = &mut self.rare_mut().repairs;
        if repairs.len() == KEPT_ATTEMPTS {
            repairs.remove(0);
        }
        repairs.push(repair);
    }

    /// The details without values of users and tasks.
    #[must_use]
    pub fn without_values(&self) -> Self {
        let mut without = Self { attempts: Vec::new(), ..self.clone() };
        if let Some(rare) = &mut without.rare.0 {
            (rare.repairs, rare.signals) = (Vec::new(), Vec::new());
            (rare.answer, rare.progress) = (None, None);
        }
        without
    }

    /// About how many bytes of memory its lists take.
    #[must_use]
    pub fn weight(&self) -> usize {
        let text = |text: &Option<Arc<str>>| text.as_ref().map_or(0, |text| text.len());
        let attempts = self.attempts.iter().map(|attempt| {
            let trace = attempt.error.as_ref().map_or(0, |error| text(&error.traceback));
            size_of::<Attempt>() + attempt.msg.len() + trace + text(&attempt.log)
        });
        let rare = self.rare();
        let repairs =
            rare.repairs.iter().map(|repair| size_of::<RepairRecord>() + text(&repair.by) + text(&repair.reason));
        let progress = rare.progress.as_ref().map_or(0, |progress| progress.get().len());
        let signals = rare.signals.iter().map(ReceivedSignal::weight);
        let answer = rare.answer.as_ref().map_or(0, ApprovalAnswer::weight);
        attempts.sum::<usize>() + repairs.sum::<usize>() + signals.sum::<usize>() + answer + progress
    }
}

impl From<RareDetails> for TaskDetails {
    fn from(rare: RareDetails) -> Self {
        Self { rare: rare.into(), ..Self::default() }
    }
}

impl From<RareDetails> for BoxedDetails {
    fn from(rare: RareDetails) -> Self {
        Self(Some(Box::new(rare)))
    }
}

impl Serialize for TaskDetails {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Self::serialize(self, serializer)
    }
}

/// From JSON. serde cannot read JSON values in a flattened struct, so each part reads what it knows.
impl<'de> Deserialize<'de> for TaskDetails {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Box::<RawValue>::deserialize(deserializer)?;
        let read = || {
            let mut common = Self::deserialize(&mut serde_json::Deserializer::from_str(text.get()))?;
            let rare: RareDetails = serde_json::from_str(text.get())?;
            common.rare.0 = (rare != RareDetails::default()).then(|| Box::new(rare));
            Ok(common)
        };
        read().map_err(|error: serde_json::Error| serde::de::Error::custom(error))
    }
}

impl BoxedDetails {
    fn get(&self) -> &RareDetails {
        static NONE: LazyLock<RareDetails> = LazyLock::new(RareDetails::default);
        self.0.as_deref().unwrap_or(&NONE)
    }
}

impl PartialEq for BoxedDetails {
    fn eq(&self, other: &Self) -> bool {
        self.get() == other.get()
    }
}

impl Eq for BoxedDetails {}

impl Serialize for BoxedDetails {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.get().serialize(serializer)
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_zero(number: &u32) -> bool {
    *number == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A million tasks may wait for a time. With its timer, each should take less than 200 bytes.
    #[test]
    fn a_task_that_waits_takes_little_memory() {
        assert!(size_of::<TaskDetails>() <= 112, "{} bytes", size_of::<TaskDetails>());
    }

    #[test]
    fn common_and_rare_details_are_one_object_in_the_store() {
        let mut details = TaskDetails { failures: 2, ..TaskDetails::default() };
        details.rare_mut().progress = Some(Json::from_checked(r#"{"rows": 1.0}"#));
        let text = serde_json::to_string(&details).unwrap();
        assert_eq!(text, r#"{"failures":2,"progress":{"rows": 1.0}}"#);
        assert_eq!(serde_json::from_str::<TaskDetails>(&text).unwrap(), details);
        details.rare_mut().progress = None;
        let text = serde_json::to_string(&details).unwrap();
        let read: TaskDetails = serde_json::from_str(&text).unwrap();
        assert_eq!((text.as_str(), &read), (r#"{"failures":2}"#, &details));
    }
}
