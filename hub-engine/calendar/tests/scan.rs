//! Compares `next_after` with a scan of all minutes or seconds that follows the documented rules.

#[path = "support/expressions.rs"]
mod expressions;

#[path = "support/calendars.rs"]
mod calendars;

use calendars::{all, calendar, ms};
use expressions::{Expression, expression};
use jiff::civil::DateTime;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use proptest::sample::select;

/// Changes of the local clock: gaps, overlaps, small ones, a whole day, and changes of the standard time.
const CHANGES: &[(&str, &str)] = &[
    ("UTC", "2026-03-01T00:00:00Z"),
    ("Europe/Berlin", "2026-03-29T01:00:00Z"),
    ("Europe/Berlin", "2026-10-25T01:00:00Z"),
    ("Europe/Dublin", "2019-03-31T01:00:00Z"),
    ("America/New_York", "2026-03-08T07:00:00Z"),
    ("America/New_York", "2026-11-01T06:00:00Z"),
    ("America/New_York", "2060-11-07T06:00:00Z"),
    ("America/Sao_Paulo", "2018-11-04T03:00:00Z"),
    ("America/Sao_Paulo", "2018-02-18T02:00:00Z"),
    ("America/Havana", "2019-11-03T05:00:00Z"),
    ("America/Caracas", "2016-05-01T07:00:00Z"),
    ("Australia/Lord_Howe", "2025-10-04T15:30:00Z"),
    ("Australia/Lord_Howe", "2026-04-04T15:00:00Z"),
    ("Asia/Kathmandu", "1985-12-31T18:30:00Z"),
    ("Asia/Pyongyang", "2018-05-04T15:00:00Z"),
    ("Africa/Casablanca", "2025-02-23T02:00:00Z"),
    ("Africa/Casablanca", "2025-04-06T02:00:00Z"),
    ("Antarctica/Troll", "2026-03-29T01:00:00Z"),
    ("Antarctica/Casey", "2010-03-04T15:00:00Z"),
    ("Pacific/Apia", "2011-12-30T10:00:00Z"),
    ("Pacific/Kwajalein", "1993-08-21T12:00:00Z"),
    ("America/Metlakatla", "2015-11-01T10:00:00Z"),
];

/// The firings from `from` up to `until`, found by looking at each step of the clock. The scan begins `before` earlier,
/// to know which local times the clock has reached.
fn scan(expression: &Expression, zone: &TimeZone, from: i64, until: i64, step_ms: i64, before: i64) -> Vec<i64> {
    let step = SignedDuration::from_millis(step_ms);
    let mut reached: Option<DateTime> = None;
    let mut found = Vec::new();
    let mut at = from - before;
    while at < until {
        let local = zone.to_datetime(Timestamp::from_millisecond(at).unwrap());
        let fires = if expression.has_wildcard_hours {
            expression.matches(local)
        } else {
            // All times that the clock reaches or passes for the first time.
            let mut time = reached.unwrap_or(local);
            let mut fires = false;
            while time <= local {
                fires |= expression.matches(time);
                time += step;
            }
            reached = Some(reached.map_or(time, |reached| reached.max(time)));
            fires
        };
        if fires && at >= from {
            found.push(at);
        }
        at += step_ms;
    }
    found
}

fn zone(name: &str) -> TimeZone {
    TimeZoneDatabase::bundled().get(name).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn five_fields_agree_with_a_scan_of_minutes(
        expressions in prop::collection::vec(expression(false), 1..3),
        (name, change) in select(CHANGES),
        minutes_before in -120..1800_i64,
    ) {
        let texts: Vec<&str> = expressions.iter().map(|expression| expression.text.as_str()).collect();
        let Ok(calendar) = hub_calendar::Calendar::new(&calendars::spec(&texts, name)) else {
            // The days do not exist in the months.
            return Ok(());
        };
        let from = ms(change) - minutes_before * 60_000;
        let until = from + 60 * 3_600_000;
        let scan = |expression| scan(expression, &zone(name), from, until, 60_000, 3 * 86_400_000);
        let mut expected: Vec<i64> = expressions.iter().flat_map(scan).collect();
        expected.sort_unstable();
        expected.dedup();
        let show = |times: &[i64]| times.iter().map(|at| calendar.local(*at)).collect::<Vec<_>>();
        prop_assert_eq!(show(&all(&calendar, from, until)), show(&expected), "{:?} in {}", texts, name);
    }

    #[test]
    fn six_fields_agree_with_a_scan_of_seconds(
        expression in expression(true),
        (name, change) in select(CHANGES),
        minutes_before in -60..150_i64,
    ) {
        let Ok(calendar) = hub_calendar::Calendar::new(&calendars::spec(&[&expression.text], name)) else { return Ok(()) };
        let from = ms(change) - minutes_before * 60_000;
        let until = from + 2 * 3_600_000;
        let expected = scan(&expression, &zone(name), from, until, 1000, 4 * 3_600_000);
        prop_assert_eq!(all(&calendar, from, until), expected, "{} in {}", expression.text, name);
    }

    #[test]
    fn firings_ascend_and_do_not_depend_on_the_start(
        expressions in prop::collection::vec(expression(true), 1..4),
        (name, change) in select(CHANGES),
        offset in -200_000_000..200_000_000_i64,
        part in 0.0..1.0_f64,
    ) {
        let texts: Vec<&str> = expressions.iter().map(|expression| expression.text.as_str()).collect();
        let Ok(calendar) = hub_calendar::Calendar::new(&calendars::spec(&texts, name)) else { return Ok(()) };
        let mut at = ms(change) + offset;
        for _ in 0..20 {
            let Some(next) = calendar.next_after(at) else { break };
            prop_assert!(next > at);
            prop_assert_eq!(next % 1000, 0);
            let between = at + ((next - 1 - at) as f64 * part) as i64;
            prop_assert_eq!(calendar.next_after(between), Some(next));
            prop_assert_eq!(calendar.next_after(next - 1), Some(next));
            at = next;
        }
    }

    #[test]
    fn no_text_causes_a_panic(text in "[0-9*/,#LWHa-f@?~ \\-\t=()\u{e9}]{0,24}", zone in "[A-Za-z+:0-9/_ -]{0,12}", at in any::<i64>()) {
        if let Ok(calendar) = hub_calendar::Calendar::new(&calendars::spec(&[&text], "America/New_York")) {
            let _ = (calendar.next_after(at), calendar.local(at), calendar.abbreviation(at), calendar.notes());
        }
        if let Err(problems) = hub_calendar::Calendar::new(&calendars::spec(&[&text], &zone)) {
            for problem in problems {
                prop_assert!(!problem.to_string().is_empty());
                prop_assert!(problem.position.is_none_or(|position| position <= text.chars().count()));
                let suggestion = problem.suggestion.as_deref();
                match problem.field {
                    hub_calendar::CalendarField::Cron => suggestion.into_iter().for_each(|text| drop(calendar(&[text], "UTC"))),
                    _ => suggestion.into_iter().for_each(|zone| drop(calendar(&["@daily"], zone))),
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn days_agree_with_a_scan_of_dates(expression in expression(false), day in 0..60_000_i64) {
        let Ok(calendar) = hub_calendar::Calendar::new(&calendars::spec(&[&expression.text], "UTC")) else { return Ok(()) };
        for day in day..day + 70 {
            let from = day * 86_400_000;
            let date = TimeZone::UTC.to_datetime(Timestamp::from_millisecond(from).unwrap()).date();
            let fires = calendar.next_after(from - 1).is_some_and(|at| at < from + 86_400_000);
            prop_assert_eq!(fires, expression.matches_date(date), "{} on {}", expression.text, date);
        }
    }
}
