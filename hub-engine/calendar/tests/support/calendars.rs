//! Calendars and times for the tests.

#![allow(dead_code, reason = "each test program uses a part")]

use hub_calendar::{Calendar, CalendarError, CalendarSpec};
use jiff::Timestamp;

/// Milliseconds of a time such as `2026-01-01T00:00:00Z`.
#[track_caller]
pub(crate) fn ms(time: &str) -> i64 {
    time.parse::<Timestamp>().unwrap_or_else(|error| panic!("{time}: {error}")).as_millisecond()
}

/// The specification with cron expressions in a zone.
pub(crate) fn spec(cron: &[&str], timezone: &str) -> CalendarSpec {
    let cron = cron.iter().map(|&text| text.to_owned()).collect();
    CalendarSpec { cron, timezone: timezone.to_owned(), ..CalendarSpec::default() }
}

/// A calendar with cron expressions in a zone.
#[track_caller]
pub(crate) fn calendar(cron: &[&str], timezone: &str) -> Calendar {
    Calendar::new(&spec(cron, timezone)).unwrap_or_else(|problems| panic!("{cron:?} in {timezone}: {problems:?}"))
}

/// The problems of one expression.
#[track_caller]
pub(crate) fn problems(cron: &str) -> Vec<CalendarError> {
    Calendar::new(&spec(&[cron], "UTC")).err().unwrap_or_else(|| panic!("{cron:?} is accepted"))
}

/// The first firings after a time, as local times.
pub(crate) fn next(calendar: &Calendar, after: &str, count: usize) -> Vec<String> {
    let mut at = ms(after);
    let next = |_| {
        at = calendar.next_after(at)?;
        Some(calendar.local(at))
    };
    (0..count).map_while(next).collect()
}

/// All firings from `from` up to, but without, `until`.
pub(crate) fn all(calendar: &Calendar, from: i64, until: i64) -> Vec<i64> {
    let next = |at: &i64| calendar.next_after(*at).filter(|at| *at < until);
    std::iter::successors(next(&(from - 1)), next).collect()
}
