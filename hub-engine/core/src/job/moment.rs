//! When something of a job is due: after a duration, or at a time.

use std::time::Duration;

use super::delay::Delay;
use super::duration;
use super::value::{Kind, Value};
use crate::job_clock::JobClock;
use crate::{Json, Timestamp};

/// When something is due, as the author of a job writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// After this duration on the job's clock.
    After(Duration),
    /// At this time of the wall clock.
    At(Timestamp),
}

/// When something is due, for a job that was submitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// At this time of the job's clock.
    Clock {
        /// The time.
        at: Timestamp,
        /// The wait from the submission to then.
        longest: Duration,
    },
    /// At this time of the wall clock.
    Wall(Timestamp),
}

impl Moment {
    /// The moment that a value means: a duration, or a string with a time.
    pub(super) fn read(value: &Value<'_>) -> Result<Self, String> {
        if value.kind() == Kind::String
            && let Ok(time) = value.decoded().parse()
        {
            return Ok(Self::At(time));
        }
        match Delay::read(&Json::from_checked(value.text)) {
            Ok(duration) if duration < duration::SHORTEST => Err("a duration is at least 1 ms".to_owned()),
            Ok(duration) => Ok(Self::After(duration)),
            Err(why) => Err(format!("{why}; or a time such as \"2026-11-23T22:15:03Z\"")),
        }
    }
}

impl Due {
    /// Whether it has come, when its timer fires. The timer of a duration is right also if the wall clock was set.
    #[must_use]
    pub fn has_come(self, wall: Timestamp) -> bool {
        match self {
            Self::Clock { .. } => true,
            Self::Wall(at) => at <= wall,
        }
    }

    /// The time of the wall clock, as far as it is known: a pause that goes on will shift it.
    #[must_use]
    pub fn wall(self, clock: JobClock) -> Timestamp {
        match self {
            Self::Clock { at, .. } => clock.wall(at),
            Self::Wall(at) => at,
        }
    }
}
