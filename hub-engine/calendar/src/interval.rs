//! Firings at a fixed interval of elapsed time.

use std::time::Duration;

use crate::error::{CalendarError, CalendarField};
use crate::range::MAXIMUM_MS;

/// Minimum interval.
const MINIMUM: Duration = Duration::from_secs(1);
/// Maximum interval: ten years with three leap days.
const MAXIMUM: Duration = Duration::from_secs(3653 * 86_400);

/// Fires at `anchor + n * every` for each whole number n.
#[derive(Debug)]
pub(crate) struct Interval {
    every_ms: i64,
    anchor: i64,
}

impl Interval {
    /// Checks both values and appends what is wrong with them to `problems`.
    pub(crate) fn new(every: Duration, anchor: Option<i64>, problems: &mut Vec<CalendarError>) -> Option<Self> {
        if let Some(why) = refusal(every) {
            problems.push(CalendarError::of_value(CalendarField::Every, why));
        }
        match anchor {
            None => {
                let why = "is required with every: it is the time from which intervals are counted";
                problems.push(CalendarError::of_value(CalendarField::Anchor, why));
            }
            Some(anchor) if !(0..=MAXIMUM_MS).contains(&anchor) => {
                let why = "must lie between 1970 and 9999, in milliseconds since 1970-01-01T00:00:00Z";
                problems.push(CalendarError::of_value(CalendarField::Anchor, why));
            }
            Some(anchor) => return Some(Self { every_ms: i64::try_from(every.as_millis()).ok()?, anchor }),
        }
        None
    }

    /// The first firing after `after`, both in milliseconds since 1970.
    pub(crate) fn next_after(&self, after: i64) -> Option<i64> {
        let next = after
            .checked_add(self.every_ms)?
            .checked_sub((after.checked_sub(self.anchor)?).rem_euclid(self.every_ms))?;
        (0..=MAXIMUM_MS).contains(&next).then_some(next)
    }
}

fn refusal(every: Duration) -> Option<String> {
    if every < MINIMUM {
        return Some(format!(
            "must be at least 1s, not {every:?}: each firing creates a job; repeat shorter work inside one task"
        ));
    }
    if every > MAXIMUM {
        return Some("must be at most 10 years (3,653 days): use cron with a month for rare dates".to_owned());
    }
    let is_whole = every.subsec_nanos().is_multiple_of(1_000_000);
    (!is_whole).then(|| format!("must be a whole number of milliseconds, not {every:?}"))
}
