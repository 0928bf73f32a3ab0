//! Whether a task that failed runs again, and when.

use std::sync::Arc;
use std::time::Duration;

use super::timeouts::Timeout;
use crate::failure::{ErrorKind, TaskError};

/// How often and when a task is tried again. `docs/jobs.md` describes the keys.
#[derive(Clone, Debug, PartialEq)]
pub struct RetryPolicy {
    /// How many attempts there are, the first one included.
    pub maximum_attempts: u32,
    /// How long the task waits after the first failure.
    pub initial_interval: Duration,
    /// By how much each interval is longer than the one before.
    pub backoff_coefficient: f64,
    /// The longest interval.
    pub maximum_interval: Duration,
    /// Up to which part an interval is shortened, by chance: from 0 to 1.
    pub jitter: f64,
    /// Kinds and types of errors after which it is tried again. Empty: after all but those that cannot pass.
    pub retry_on: Vec<Arc<str>>,
    /// Kinds and types of errors after which it is not.
    pub non_retryable: Vec<Arc<str>>,
    /// What happens after the last attempt.
    pub exhausted: Exhausted,
}

/// What happens to a task whose attempts have all failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exhausted {
    /// It fails.
    Fail,
    /// It waits for an operator for so long, and fails after that.
    Hold(Duration),
}

/// Errors that come again however often the task runs.
const PERMANENT: [ErrorKind; 10] = [
    ErrorKind::BadCondition,
    ErrorKind::BadArguments,
    ErrorKind::BadResult,
    ErrorKind::MissingValue,
    ErrorKind::ResultTooLarge,
    ErrorKind::ArgumentsTooLarge,
    ErrorKind::ValueTooDeep,
    ErrorKind::Undeliverable,
    ErrorKind::RequestRefused,
    ErrorKind::JobCancelled,
];

impl RetryPolicy {
    /// The number of attempts where the policy does not say it.
    pub const ATTEMPTS: u32 = 3;
    /// The largest number of attempts.
    pub const MAXIMUM_ATTEMPTS: u32 = 1000;
    /// How long a held task waits for an operator where the policy does not say it.
    pub const HOLD: Duration = Duration::from_secs(7 * 24 * 60 * 60);
    const INTERVAL: Duration = Duration::from_secs(1);
    const BACKOFF: f64 = 2.0;
    const JITTER: f64 = 0.2;
    /// The longest interval where the policy does not say it: this many times the first one, at most a day.
    const GROWTH: u32 = 100;
    const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

    /// The longest interval of a policy that begins with `initial` and names none.
    #[must_use]
    pub fn usual_maximum(initial: Duration) -> Duration {
        initial.saturating_mul(Self::GROWTH).min(Self::LONGEST).max(initial)
    }

    /// Whether the task is tried again after this error, as far as the error decides it.
    #[must_use]
    pub fn retries(&self, error: Option<&TaskError>) -> bool {
        let Some(error) = error else { return self.retry_on.is_empty() };
        let is_named = |entries: &[Arc<str>]| entries.iter().any(|entry| error.is_called(entry));
        if error.kind == ErrorKind::WorkerLost || is_named(&self.non_retryable) {
            return false;
        }
        let is_permanent = PERMANENT.contains(&error.kind) || error.which == Some(Timeout::ScheduleToStart);
        if self.retry_on.is_empty() { !is_permanent } else { is_named(&self.retry_on) }
    }

    /// How long the task waits after its failure number `failures`, counted from 1. `chance` is from 0 to 1, excluding 1.
    #[must_use]
    pub fn interval(&self, failures: u32, chance: f64) -> Duration {
        let exponent = i32::try_from(failures.saturating_sub(1)).unwrap_or(i32::MAX);
        let longest = self.maximum_interval.as_secs_f64();
        // Finite, so that zero times it is zero.
        let growth = self.backoff_coefficient.powi(exponent).min(f64::MAX);
        let grown = self.initial_interval.as_secs_f64() * growth;
        let seconds = grown.min(longest) * self.jitter.mul_add(-chance, 1.0);
        Duration::from_millis((seconds * 1000.0).round() as u64)
    }
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            maximum_attempts: Self::ATTEMPTS,
            initial_interval: Self::INTERVAL,
            backoff_coefficient: Self::BACKOFF,
            maximum_interval: Self::usual_maximum(Self::INTERVAL),
            jitter: Self::JITTER,
            retry_on: Vec::new(),
            non_retryable: Vec::new(),
            exhausted: Exhausted::Fail,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(kind: ErrorKind, type_name: &str) -> TaskError {
        TaskError { type_name: Some(type_name.into()), ..TaskError::new(kind) }
    }

    #[test]
    fn intervals_grow_up_to_the_longest_and_are_only_ever_shortened() {
        let policy = RetryPolicy { maximum_interval: Duration::from_secs(10), ..RetryPolicy::default() };
        let seconds = [1, 2, 3, 4, 5, 1000, u32::MAX].map(|failures| policy.interval(failures, 0.0).as_secs());
        assert_eq!(seconds, [1, 2, 4, 8, 10, 10, 10]);
        assert_eq!(policy.interval(1, 0.5), Duration::from_millis(900));
        let still = RetryPolicy { initial_interval: Duration::ZERO, ..policy };
        assert_eq!(still.interval(u32::MAX, 0.0), Duration::ZERO);
        assert_eq!(RetryPolicy::usual_maximum(Duration::from_secs(7200)), RetryPolicy::LONGEST);
    }

    #[test]
    fn errors_are_named_by_kind_or_type() {
        let failed = |type_name| error(ErrorKind::TaskFailed, type_name);
        let by_default = RetryPolicy::default();
        assert!(by_default.retries(Some(&failed("ValueError"))) && by_default.retries(None));
        assert!(PERMANENT.iter().all(|kind| !by_default.retries(Some(&error(*kind, "X")))));
        assert!(!by_default.retries(Some(&error(ErrorKind::WorkerLost, "X"))));
        let some = RetryPolicy {
            retry_on: vec!["TimeoutError".into(), "BAD_RESULT".into()],
            non_retryable: vec!["TIMED_OUT".into()],
            ..RetryPolicy::default()
        };
        assert!(some.retries(Some(&failed("TimeoutError"))) && some.retries(Some(&error(ErrorKind::BadResult, "X"))));
        assert!(!some.retries(Some(&failed("ValueError"))) && !some.retries(None));
        assert!(!some.retries(Some(&error(ErrorKind::TimedOut, "TimeoutError"))));
        let none = RetryPolicy { retry_on: vec!["WORKER_LOST".into()], ..RetryPolicy::default() };
        assert!(!none.retries(Some(&error(ErrorKind::WorkerLost, "X"))));
    }
}
