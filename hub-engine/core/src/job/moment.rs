//! When something of a job is due: after a duration, or at a time.

use std::time::Duration;

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
    /// What a value means: a time such as `"2026-11-23T22:15:03Z"`, a duration such as `"90s"`, or a number of seconds.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(value: &Json) -> Result<Self, String> {
        let value = Value::of_job(value.get());
        match value.kind() {
            Kind::Number => duration::from_seconds(value.text.parse().unwrap_or(f64::INFINITY)).map(Self::After),
            Kind::String => {
                let text = value.decoded();
                match text.parse() {
                    Ok(time) => Ok(Self::At(time)),
                    Err(_) if text.contains('-') => Err(no_time(&text)),
                    Err(_) => duration::from_text(&text).map(Self::After),
                }
            }
            kind => Err(format!("a time or a duration is a string or a number of seconds, not {}", kind.name())),
        }
    }
}

fn no_time(text: &str) -> String {
    let shown = super::quoted::quoted(text);
    format!("{shown} is neither a time such as \"2026-11-23T22:15:03Z\" nor a duration such as \"90s\"")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_or_a_duration_is_read() {
        let read = |text: &str| Moment::read(&Json::parse(text).unwrap());
        assert_eq!(read("\"90s\""), Ok(Moment::After(Duration::from_secs(90))));
        assert_eq!(read("1.5"), Ok(Moment::After(Duration::from_millis(1500))));
        let time = Moment::At(Timestamp::from_millis(1_795_471_303_000));
        assert_eq!(read("\"2026-11-23T22:01:43Z\""), Ok(time));
        assert_eq!(read("\"2026-11-23T23:01:43+01:00\""), Ok(time));
        for text in ["\"2026-13-01\"", "\"-1s\"", "\"soon\"", "\"\"", "-1", "1e99", "null", "[1]", "true"] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
