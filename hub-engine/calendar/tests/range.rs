//! Intervals, the limits of time, and the time that a search takes.

#[path = "support/calendars.rs"]
mod calendars;

use std::iter::successors;
use std::time::{Duration, Instant};

use calendars::{all, calendar, ms};
use hub_calendar::{Calendar, CalendarError, CalendarField, CalendarSpec};

/// The end of 29 December 9999, the maximum.
const END: i64 = 253_402_127_999_999;

fn every(every: Duration, anchor: Option<i64>) -> Result<Calendar, Vec<CalendarError>> {
    let timezone = "Europe/Berlin".to_owned();
    Calendar::new(&CalendarSpec { every: Some(every), anchor, timezone, ..CalendarSpec::default() })
}

#[test]
fn intervals_are_counted_from_the_anchor() {
    let calendar = every(Duration::from_millis(1500), Some(10_000)).unwrap();
    assert_eq!(all(&calendar, 8_000, 14_000), [8_500, 10_000, 11_500, 13_000]);
    assert_eq!(all(&calendar, 0, 3_000), [1_000, 2_500]);
    assert_eq!(calendar.next_after(9_999), Some(10_000));
    assert_eq!(calendar.next_after(10_000), Some(11_500));
    assert!(calendar.notes().is_empty());
    // The zone has no effect: 24 hours are not a day when the clock changes.
    let calendar = every(Duration::from_secs(86_400), Some(ms("2026-03-28T05:00:00Z"))).unwrap();
    assert_eq!(calendar.local(calendar.next_after(ms("2026-03-28T05:00:00Z")).unwrap()), "2026-03-29T07:00:00+02:00");
}

#[test]
fn calendars_can_be_shared() {
    fn check<T: Clone + Send + Sync + std::fmt::Debug>() {}
    check::<Calendar>();
}

#[test]
fn intervals_are_limited() {
    let days = |days: u64| Duration::from_secs(days * 86_400);
    assert!(every(Duration::from_secs(1), Some(0)).is_ok());
    assert!(every(days(3653), Some(END)).is_ok());
    let refused = [
        (Duration::ZERO, Some(0), CalendarField::Every, "must be at least 1s, not 0ns"),
        (Duration::from_millis(999), Some(0), CalendarField::Every, "must be at least 1s, not 999ms"),
        (Duration::from_micros(1_000_500), Some(0), CalendarField::Every, "must be a whole number of milliseconds"),
        (days(3653) + Duration::from_millis(1), Some(0), CalendarField::Every, "must be at most 10 years"),
        (Duration::MAX, Some(0), CalendarField::Every, "must be at most 10 years"),
        (days(1), None, CalendarField::Anchor, "is required with every"),
        (days(1), Some(-1), CalendarField::Anchor, "must lie between 1970 and 9999"),
        (days(1), Some(END + 1), CalendarField::Anchor, "must lie between 1970 and 9999"),
    ];
    for (interval, anchor, field, message) in refused {
        let problems = every(interval, anchor).unwrap_err();
        assert_eq!((problems.len(), problems[0].field), (1, field), "{interval:?}");
        assert!(problems[0].message.starts_with(message), "{}", problems[0]);
    }
    let problems = Calendar::new(&CalendarSpec::default()).unwrap_err();
    assert!(problems[0].message.starts_with("is missing: write cron"), "{problems:?}");
    let both = CalendarSpec { cron: vec!["0 6 * * *".into()], anchor: Some(0), ..CalendarSpec::default() };
    assert_eq!(Calendar::new(&both).unwrap_err()[0].to_string(), "anchor: is used only with every: remove it");
}

#[test]
fn times_outside_of_the_range_have_no_next_firing() {
    let calendars = [
        calendar(&["* * * * * *"], "UTC"),
        calendar(&["30 2 * * *"], "Pacific/Kiritimati"),
        calendar(&["30 2 * * *"], "America/New_York"),
        calendar(&["0 0 29 12 *"], "Pacific/Pago_Pago"),
        every(Duration::from_secs(1), Some(END)).unwrap(),
        every(Duration::from_secs(3653 * 86_400), Some(END)).unwrap(),
    ];
    for calendar in &calendars {
        for after in [i64::MIN, i64::MIN + 1, -86_400_000, -2, END, END + 1, i64::MAX - 1, i64::MAX] {
            assert_eq!(calendar.next_after(after), None, "{calendar:?}");
            assert!(!calendar.local(after).is_empty());
        }
        let first = calendar.next_after(-1).unwrap();
        assert!((0..=END).contains(&first), "{first}");
        for from in [END - 2 * 3_600_000, END - 3 * 86_400_000, END - 367 * 86_400_000] {
            let firings = successors(calendar.next_after(from), |at| calendar.next_after(*at));
            assert!(firings.take(8000).all(|at| (from + 1..=END).contains(&at)));
        }
    }
    assert_eq!(calendars[0].next_after(-1), Some(0));
    assert_eq!(calendars[0].next_after(END - 1000), Some(END - 999));
    assert_eq!(calendars[0].next_after(END - 999), None);
    assert_eq!(calendar(&["0 0 29 2 *"], "Europe/Berlin").next_after(ms("9996-03-01T00:00:00Z")), None);
}

/// The limits are generous: an unoptimized build on a busy computer must stay within them.
#[test]
fn a_search_takes_little_time() {
    let longest = |cron: &str, zone: &str, after: &str| {
        let calendar = calendar(&[cron], zone);
        let run = |_| {
            let start = Instant::now();
            std::hint::black_box(calendar.next_after(ms(after)));
            start.elapsed()
        };
        let best = (0..5).map(run).min().unwrap();
        println!("{cron:<24} {zone:<20} {after} {best:?}");
        best
    };
    for zone in ["UTC", "Europe/Berlin", "Africa/Casablanca", "America/New_York"] {
        for cron in ["* * * * *", "30 2 * * *", "0 6 * * mon-fri", "0 0 L * *", "59 59 23 31 12 *"] {
            assert!(longest(cron, zone, "2026-03-01T00:00:00Z") < Duration::from_millis(1), "{cron} in {zone}");
        }
        // The next fifth Monday of a February is 40 years later.
        for cron in ["0 0 * 2 mon#5", "0 2 * 2 mon#5", "0 */2 * 2 mon#5"] {
            assert!(longest(cron, zone, "2072-03-01T00:00:00Z") < Duration::from_millis(50), "{cron} in {zone}");
        }
        // There is none in the rest of the range.
        assert!(longest("0 0 * 2 mon#5", zone, "9988-03-01T00:00:00Z") < Duration::from_millis(50));
    }
}
