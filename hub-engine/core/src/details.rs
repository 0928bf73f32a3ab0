//! The state of a task that only tasks with special options have. Most tasks have none of it, so it is apart: in memory in a
//! box, in the store in one column.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::cache::CachedFrom;
use crate::digest::Digest;
use crate::failure::TaskError;
use crate::job_clock::JobClock;
use crate::received::{ApprovalAnswer, ReceivedSignal};
use crate::{JobId, Json, TaskStatus, Timestamp};

/// Maximum number of attempts that are kept of a task: the newest ones.
pub const KEPT_ATTEMPTS: usize = 20;

/// What only tasks with special options have. A field that is not set takes no room in the store.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TaskDetails {
    /// Number of attempts that failed. It never goes down, and it does not count redeliveries or lost workers.
    #[serde(skip_serializing_if = "is_zero")]
    pub failures: u32,
    /// How often an operator has granted all attempts again.
    #[serde(skip_serializing_if = "is_zero")]
    pub grants: u32,
    /// The task has failed, and its fallback stands for its result.
    #[serde(skip_serializing_if = "is_false")]
    pub recovered: bool,
    /// The job in which the task ran, if it is a task of a retry and did not run again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kept_from: Option<JobId>,
    /// The task did not run: its data came with the request for a retry of its job.
    #[serde(skip_serializing_if = "is_false")]
    pub overridden: bool,
    /// The job that the task runs or ran last, if it runs jobs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub child: Option<JobId>,
    /// What the task has to do with kept results.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache: Option<Box<CacheDetails>>,
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
    #[serde(skip_serializing_if = "is_false")]
    pub has_started: bool,
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
    /// The newest attempts that failed, at most [`KEPT_ATTEMPTS`], in their order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub attempts: Vec<Attempt>,
}

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
    /// Adds an attempt, and drops the oldest one if there are too many.
    pub fn keep_attempt(&mut self, attempt: Attempt) {
        if self.attempts.len() == KEPT_ATTEMPTS {
            self.attempts.remove(0);
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
        if self.repairs.len() == KEPT_ATTEMPTS {
            self.repairs.remove(0);
        }
        self.repairs.push(repair);
    }

    /// The details without values of users and tasks.
    #[must_use]
    pub fn without_values(&self) -> Self {
        let (repairs, signals) = (Vec::new(), Vec::new());
        Self { attempts: Vec::new(), repairs, signals, answer: None, progress: None, ..self.clone() }
    }

    /// About how many bytes of memory its lists take.
    #[must_use]
    pub fn weight(&self) -> usize {
        let text = |text: &Option<Arc<str>>| text.as_ref().map_or(0, |text| text.len());
        let attempts = self.attempts.iter().map(|attempt| {
            let trace = attempt.error.as_ref().map_or(0, |error| text(&error.traceback));
            size_of::<Attempt>() + attempt.msg.len() + trace + text(&attempt.log)
        });
        let repairs =
            self.repairs.iter().map(|repair| size_of::<RepairRecord>() + text(&repair.by) + text(&repair.reason));
        let progress = self.progress.as_ref().map_or(0, |progress| progress.get().len());
        let signals = self.signals.iter().map(ReceivedSignal::weight);
        let answer = self.answer.as_ref().map_or(0, ApprovalAnswer::weight);
        attempts.sum::<usize>() + repairs.sum::<usize>() + signals.sum::<usize>() + answer + progress
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_zero(number: &u32) -> bool {
    *number == 0
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_false(value: &bool) -> bool {
    !*value
}
