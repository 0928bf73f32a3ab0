//! The clock of a job, which stands still while the job is paused.
//!
//! Durations of a job (delays, intervals between attempts, its deadline) are counted on this clock. A time of it is
//! stored once and stays as it is when the job is paused and resumed, so a resume writes one row. A job that was never
//! paused has the wall clock.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// The clock of a job. A reading of it plus the time of all pauses is a time of the wall clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct JobClock {
    /// Since when it stands still, by the wall clock.
    #[serde(with = "crate::time::rfc3339::option", skip_serializing_if = "Option::is_none")]
    pub paused_since: Option<Timestamp>,
    /// The length of earlier pauses in milliseconds. It is negative if the wall clock was set back during a pause: then
    /// what was left of each duration is left afterwards, too.
    #[serde(skip_serializing_if = "is_zero")]
    pub paused_ms: i64,
}

impl JobClock {
    /// The time of this clock when the wall clock shows `wall`.
    #[must_use]
    pub fn read(self, wall: Timestamp) -> Timestamp {
        shifted(self.paused_since.unwrap_or(wall), self.paused_ms.saturating_neg())
    }

    /// The time of the wall clock at which this clock shows `at`. While it stands still: as if it did not.
    #[must_use]
    pub fn wall(self, at: Timestamp) -> Timestamp {
        shifted(at, self.paused_ms)
    }

    /// How long this clock has to run until it shows `at`.
    #[must_use]
    pub fn until(self, at: Timestamp, wall: Timestamp) -> Duration {
        at.since(self.read(wall))
    }

    /// Stops it.
    pub fn pause(&mut self, wall: Timestamp) {
        self.paused_since.get_or_insert(wall);
    }

    /// Starts it again. A part of the pause before `start` does not count: no duration had begun.
    pub fn resume(&mut self, wall: Timestamp, start: Option<Timestamp>) {
        let Some(since) = self.paused_since.take() else { return };
        let since = start.map_or(since, |start| start.min(wall).max(since));
        self.paused_ms = self.paused_ms.saturating_add(signed(wall).saturating_sub(signed(since)));
    }
}

fn signed(time: Timestamp) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

fn shifted(time: Timestamp, by: i64) -> Timestamp {
    Timestamp::from_millis(time.as_millis().saturating_add_signed(by))
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_zero(number: &i64) -> bool {
    *number == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn a_pause_shifts_times_by_its_length() {
        let mut clock = JobClock::default();
        assert_eq!((clock.read(at(100)), clock.wall(at(150))), (at(100), at(150)));
        clock.pause(at(110));
        clock.pause(at(120));
        assert_eq!((clock.read(at(400)), clock.until(at(150), at(400))), (at(110), Duration::from_millis(40)));
        clock.resume(at(410), None);
        assert_eq!((clock.wall(at(150)), clock.until(at(150), at(410))), (at(450), Duration::from_millis(40)));
        clock.resume(at(500), None);
        assert_eq!(clock.paused_ms, 300);
    }

    #[test]
    fn a_wall_clock_that_is_set_during_a_pause_changes_no_duration() {
        for wall in [at(10), at(1_000_000)] {
            let mut clock = JobClock::default();
            clock.pause(at(1000));
            clock.resume(wall, None);
            assert_eq!(clock.until(at(1500), wall), Duration::from_millis(500), "{wall}");
        }
    }

    #[test]
    fn a_pause_before_the_start_does_not_count() {
        for (resumed, counted) in [(at(200), 0), (at(500), 200)] {
            let mut clock = JobClock::default();
            clock.pause(at(100));
            clock.resume(resumed, Some(at(300)));
            assert_eq!(clock.paused_ms, counted, "{resumed}");
        }
    }
}
