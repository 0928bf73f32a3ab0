//! Finds the instant at which a cron expression fires.

use jiff::Timestamp;

use super::time_zone::Zone;
use crate::cron::Cron;

/// Within this time, in seconds, the local clock may show a time again. Offsets from UTC differ by at most 26 hours.
const LONGEST_REPETITION: i64 = 3 * 86_400;

/// A time without changes of the offset. Instants are seconds since 1970.
struct Period {
    begin: i64,
    /// Whether the offset changed at `begin`.
    begins_with_change: bool,
    /// What to add to an instant to get the local time.
    offset: i64,
    /// All local times before this one were shown or passed by the clock before `begin`.
    reached: i64,
}

impl Zone {
    /// The first firing from `from` to `until`, both included, in seconds since 1970.
    ///
    /// A zone is a sequence of periods without changes of the offset. In each of them a local time occurs at most once.
    pub(crate) fn first_firing(&self, cron: &Cron, from: i64, until: i64) -> Option<i64> {
        let first = Timestamp::from_second(from).ok()?;
        let mut changes = self.zone.following(first);
        let mut period = self.period_at(from)?;
        while period.begin <= until {
            let change = changes.next().map(|change| (change.timestamp().as_second(), change.offset().seconds()));
            let end = change.map_or(until + 1, |(at, _)| at.min(until + 1));
            if let Some(found) = period.first_firing(cron, end) {
                return Some(found);
            }
            period = Period {
                begin: end,
                begins_with_change: true,
                offset: i64::from(change?.1),
                reached: period.reached.max(end + period.offset),
            };
        }
        None
    }

    /// The period that contains an instant, without its part before the instant.
    fn period_at(&self, begin: i64) -> Option<Period> {
        let offset_at = |second| Some(i64::from(self.zone.to_offset(Timestamp::from_second(second).ok()?).seconds()));
        let mut period = Period { begin, begins_with_change: false, offset: offset_at(begin)?, reached: i64::MIN };
        for change in self.zone.preceding(Timestamp::from_second(begin + 1).ok()?) {
            let at = change.timestamp().as_second();
            if at < begin - LONGEST_REPETITION {
                break;
            }
            period.begins_with_change |= at == begin;
            period.reached = period.reached.max(at + offset_at(at - 1)?);
        }
        Some(period)
    }
}

impl Period {
    /// The first firing before `end`, which lies in the period or ends it.
    fn first_firing(&self, cron: &Cron, end: i64) -> Option<i64> {
        let local_begin = self.begin + self.offset;
        let local_end = end + self.offset;
        if cron.has_wildcard_hours() {
            return cron.first_match(local_begin, local_end).map(|local| local - self.offset);
        }
        // The clock has just skipped a selected time.
        if self.begins_with_change && cron.first_match(self.reached, local_begin).is_some() {
            return Some(self.begin);
        }
        cron.first_match(local_begin.max(self.reached), local_end).map(|local| local - self.offset)
    }
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;

    /// On the last Sunday of October, the clock goes from 03:00 to 02:00 and ten minutes later from 02:10 to 03:10.
    #[test]
    fn a_time_fires_once_if_the_clock_is_changed_twice() {
        let zone = Zone::new("Test", TimeZone::posix("AAA-1BBB0,M10.5.0/3,M10.5.0/2:10").unwrap());
        let midnight = 1_792_882_800;
        assert_eq!(zone.local(midnight * 1000).as_deref(), Some("2026-10-25T00:00:00+01:00"));
        let firings = |text| {
            let cron = Cron::parse(text).unwrap();
            let next = |from: i64| zone.first_firing(&cron, from, midnight + 86_400);
            std::iter::successors(next(midnight), |at| next(at + 1)).map(|at| (at - midnight) / 60).collect::<Vec<_>>()
        };
        assert_eq!(firings("30 2 * * *"), [150]);
        assert_eq!(firings("5 2,3 * * *"), [125, 190]);
        assert_eq!(firings("5 * * * *")[..5], [5, 65, 125, 185, 245]);
        assert_eq!(firings("20 * * * *")[..4], [20, 80, 140, 200]);
    }
}
