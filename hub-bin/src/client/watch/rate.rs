//! How fast a job goes, and when it will have ended.
//!
//! The remaining time is estimated from the rate at which tasks end. That is sound only while the rate is steady and the
//! remaining work is known; otherwise there is no estimate.

use std::collections::VecDeque;
use std::time::Duration;

/// Maximum age of what the rate is computed from.
const WINDOW: Duration = Duration::from_secs(30);
/// Minimum time that the rate is computed from.
const MINIMUM_RATE_TIME: Duration = Duration::from_secs(2);
/// Minimum time that an estimate is computed from.
const MINIMUM_ESTIMATE_TIME: Duration = Duration::from_secs(5);
/// Minimum number of ends that an estimate is computed from.
const MINIMUM_ENDS: u64 = 20;
/// Maximum ratio between what remains and what was seen to end.
const MAXIMUM_RATIO: u64 = 20;
/// Maximum ratio between the rates of the two halves of the window.
const STEADY: f64 = 2.0;

/// The numbers of tasks and items at one time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Progress {
    pub(super) ended: u64,
    pub(super) total: u64,
}

/// The recent progress of a job.
#[derive(Debug, Default)]
pub(super) struct Rate {
    /// Times since the begin of the watch, in ascending order.
    samples: VecDeque<(Duration, Progress)>,
    /// Number of ends that were seen.
    seen: u64,
}

impl Rate {
    /// Notes the progress at the time `now`.
    pub(super) fn note(&mut self, now: Duration, progress: Progress) {
        if let Some((_, last)) = self.samples.back() {
            self.seen += progress.ended.saturating_sub(last.ended);
        }
        self.samples.push_back((now, progress));
        // One sample that is older than the window is kept, so that the window is always covered.
        while self.samples.get(1).is_some_and(|(time, _)| now.saturating_sub(*time) >= WINDOW) {
            self.samples.pop_front();
        }
    }

    /// Number of ends in a second, over the last 30 seconds.
    pub(super) fn per_second(&self) -> Option<f64> {
        let (first, last) = (self.samples.front()?, self.samples.back()?);
        (last.0 - first.0 >= MINIMUM_RATE_TIME).then(|| slope(first, last)).filter(|rate| *rate > 0.0)
    }

    /// The estimated time that the job still takes, at the time `now`.
    pub(super) fn rest(&self, now: Duration) -> Option<Duration> {
        let (first, last) = (self.samples.front()?, self.samples.back()?);
        let ends = last.1.ended.saturating_sub(first.1.ended);
        if last.0 - first.0 < MINIMUM_ESTIMATE_TIME || ends < MINIMUM_ENDS || first.1.total != last.1.total {
            return None;
        }
        let remaining = last.1.total.saturating_sub(last.1.ended);
        if remaining == 0 || remaining > self.seen.saturating_mul(MAXIMUM_RATIO) {
            return None;
        }
        let middle = first.0 + (last.0 - first.0) / 2;
        let between = self.samples.iter().rev().find(|(time, _)| *time <= middle)?;
        let (before, after) = (slope(first, between), slope(between, last));
        if before.max(after) > before.min(after) * STEADY {
            return None;
        }
        let rest = Duration::try_from_secs_f64(remaining as f64 / slope(first, last)).ok()?;
        Some(rest.saturating_sub(now.saturating_sub(last.0)))
    }
}

fn slope(first: &(Duration, Progress), last: &(Duration, Progress)) -> f64 {
    let seconds = (last.0 - first.0).as_secs_f64();
    if seconds > 0.0 { last.1.ended.saturating_sub(first.1.ended) as f64 / seconds } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rate after one look a second, with these numbers of ends.
    fn of(total: u64, ended: impl IntoIterator<Item = u64>) -> (Rate, Duration) {
        let (mut rate, mut now) = (Rate::default(), Duration::ZERO);
        for (second, ended) in ended.into_iter().enumerate() {
            now = Duration::from_secs(second as u64);
            rate.note(now, Progress { ended, total });
        }
        (rate, now)
    }

    fn rest(total: u64, ended: impl IntoIterator<Item = u64>) -> Option<u64> {
        let (rate, now) = of(total, ended);
        rate.rest(now).map(|rest| rest.as_secs())
    }

    #[test]
    fn a_steady_rate_gives_an_estimate() {
        assert_eq!(rest(1000, (0..=10).map(|second| second * 10)), Some(90));
        let (rate, _) = of(1000, (0..=100).map(|second| second * 10));
        assert_eq!(rate.per_second(), Some(10.0));
        assert!(rate.samples.len() <= 32, "the window is bounded");
    }

    #[test]
    fn there_is_no_estimate_without_a_sound_basis() {
        assert_eq!(rest(100, [0, 10, 20]), None, "too short");
        assert_eq!(rest(100, (0..=10).map(|second| second / 2)), None, "too few ends");
        assert_eq!(rest(100_000, (0..=10).map(|second| second * 10)), None, "too much remains");
        assert_eq!(rest(1000, [0, 50, 100, 150, 200, 250, 250, 250, 250, 250, 250]), None, "it has stopped");
        assert_eq!(rest(1000, [0, 0, 0, 0, 0, 0, 20, 40, 60, 80]), None, "it has just begun");
        assert_eq!(rest(100, (0..=10).map(|second| second * 10)), None, "nothing remains");
        let (mut rate, now) = of(1000, (0..=10).map(|second| second * 10));
        let now = now + Duration::from_secs(1);
        rate.note(now, Progress { ended: 110, total: 9000 });
        assert_eq!(rate.rest(now), None, "the work has grown");
    }

    #[test]
    fn an_estimate_counts_down_between_two_looks_and_is_never_negative() {
        let (rate, now) = of(1000, (0..=10).map(|second| second * 10));
        assert_eq!(rate.rest(now + Duration::from_secs(3)), Some(Duration::from_secs(87)));
        assert_eq!(rate.rest(now + Duration::from_secs(3000)), Some(Duration::ZERO));
    }

    #[test]
    fn without_progress_there_is_no_rate() {
        assert_eq!(of(10, [3; 20]).0.per_second(), None);
        assert_eq!(Rate::default().per_second(), None);
        // A task can be counted as open again by a newer dispatcher.
        assert_eq!(of(10, [5, 4, 3, 2]).0.per_second(), None);
    }
}
