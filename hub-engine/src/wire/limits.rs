//! The time limits of an attempt in the message of a task.

use std::time::Duration;

use hub_core::job::{AttemptLimits, Timeouts};
use serde::{Deserialize, Serialize};

/// The time limits of an attempt, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitsMs {
    /// See [`AttemptLimits::start_to_close`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_to_close_ms: Option<u64>,
    /// See [`AttemptLimits::heartbeat`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heartbeat_ms: Option<u64>,
    /// See [`AttemptLimits::grace`].
    #[serde(default = "default_grace")]
    pub grace_ms: u64,
}

const fn default_grace() -> u64 {
    millis(Timeouts::GRACE)
}

#[allow(clippy::cast_possible_truncation, reason = "durations of the job format have at most 366 days")]
const fn millis(duration: Duration) -> u64 {
    duration.as_millis() as u64
}

/// The longest limit. A longer one in a message counts as this one.
const LONGEST: u64 = 366 * 24 * 60 * 60 * 1000;

impl From<AttemptLimits> for LimitsMs {
    fn from(limits: AttemptLimits) -> Self {
        let AttemptLimits { start_to_close, heartbeat, grace } = limits;
        Self {
            start_to_close_ms: start_to_close.map(millis),
            heartbeat_ms: heartbeat.map(millis),
            grace_ms: millis(grace),
        }
    }
}

impl From<LimitsMs> for AttemptLimits {
    fn from(limits: LimitsMs) -> Self {
        let duration = |ms: u64| Duration::from_millis(ms.min(LONGEST));
        Self {
            start_to_close: limits.start_to_close_ms.map(duration),
            heartbeat: limits.heartbeat_ms.map(duration),
            grace: duration(limits.grace_ms),
        }
    }
}
