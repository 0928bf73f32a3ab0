//! Firings around changes of the local clock.

#[path = "support/calendars.rs"]
mod calendars;

use calendars::{all, calendar, ms, next};

/// A case: expression, zone, time before the first firing, and the next firings.
type Case = (&'static str, &'static str, &'static str, &'static [&'static str]);

/// Cases that users of other programs reported. The program and the number of the report precede each case.
const REPORTED: &[Case] = &[
    // kubernetes #121594: fired twice.
    ("0 2 * * *", "Europe/Berlin", "2023-10-28T22:00:00Z", &["2023-10-29T02:00:00+02:00", "2023-10-30T02:00:00+01:00"]),
    // airflow #38098, librefang #3831: not fired.
    (
        "0 2 * * *",
        "America/Chicago",
        "2024-03-10T07:00:00Z",
        &["2024-03-10T03:00:00-05:00", "2024-03-11T02:00:00-05:00"],
    ),
    // airflow #7999: fired an hour late after the change.
    (
        "0 7,9 * * *",
        "America/Los_Angeles",
        "2020-03-07T17:00:00Z",
        &["2020-03-08T07:00:00-07:00", "2020-03-08T09:00:00-07:00", "2020-03-09T07:00:00-07:00"],
    ),
    // quartz #81: a minutely schedule did not fire in the second pass.
    (
        "* * * * *",
        "Europe/Berlin",
        "2016-10-30T00:58:00Z",
        &["2016-10-30T02:59:00+02:00", "2016-10-30T02:00:00+01:00", "2016-10-30T02:01:00+01:00"],
    ),
    // quartz #1138: an error at the end of Ramadan's clock change, which is in the opposite direction.
    (
        "29 5 2 23 2 *",
        "Africa/Casablanca",
        "2025-02-23T00:00:00Z",
        &["2025-02-23T02:05:29+01:00", "2026-02-23T02:05:29+00:00"],
    ),
    ("29 5 2 23 2 *", "Africa/Casablanca", "2025-02-23T01:45:10Z", &["2026-02-23T02:05:29+00:00"]),
    // apscheduler #1059: fired at a time that does not exist.
    ("0 2 * * *", "US/Eastern", "2013-03-10T06:00:00Z", &["2013-03-10T03:00:00-04:00", "2013-03-11T02:00:00-04:00"]),
    // apscheduler #1021: an endless loop in the second pass.
    (
        "30 * * * *",
        "Europe/Helsinki",
        "2017-10-29T01:45:00Z",
        &["2017-10-29T04:30:00+02:00", "2017-10-29T05:30:00+02:00"],
    ),
    // apscheduler #980: an endless loop of a schedule for each second hour.
    (
        "0 1-23/2 * * *",
        "Europe/London",
        "2024-10-26T23:00:00Z",
        &["2024-10-27T01:00:00+01:00", "2024-10-27T03:00:00+00:00"],
    ),
    (
        "0 */2 * * *",
        "Europe/Berlin",
        "2024-10-26T22:00:00Z",
        &["2024-10-27T02:00:00+02:00", "2024-10-27T02:00:00+01:00", "2024-10-27T04:00:00+01:00"],
    ),
    // apscheduler #529: skipped a day.
    ("0 0 * * 1-5", "US/Central", "2021-03-12T06:00:00Z", &["2021-03-15T00:00:00-05:00"]),
    // apscheduler #370: the next time was before the given one, in a zone whose winter time counts as daylight saving.
    ("0 1 * * *", "Europe/Dublin", "2019-03-30T01:00:00Z", &["2019-03-31T02:00:00+01:00", "2019-04-01T01:00:00+01:00"]),
    // celery #9653: fired an hour late.
    ("0 3 * * *", "Europe/Zurich", "2025-03-29T02:00:00Z", &["2025-03-30T03:00:00+02:00", "2025-03-31T03:00:00+02:00"]),
    // django-celery-beat #629: stopped.
    (
        "0 * 28-31 * *",
        "America/Los_Angeles",
        "2023-02-01T07:00:00Z",
        &["2023-02-28T00:00:00-08:00", "2023-02-28T01:00:00-08:00", "2023-02-28T02:00:00-08:00"],
    ),
    // temporal #8205: fired zero or two times.
    (
        "30 1 * * *",
        "America/New_York",
        "2025-11-02T04:00:00Z",
        &["2025-11-02T01:30:00-04:00", "2025-11-03T01:30:00-05:00"],
    ),
    // nats-server #8543: skipped a year, since midnight does not exist.
    (
        "0 1 4 11 *",
        "America/Sao_Paulo",
        "2018-11-04T02:00:00Z",
        &["2018-11-04T01:00:00-02:00", "2019-11-04T01:00:00-03:00"],
    ),
    (
        "0 0 * * *",
        "America/Sao_Paulo",
        "2018-11-03T03:00:00Z",
        &["2018-11-04T01:00:00-02:00", "2018-11-05T00:00:00-02:00"],
    ),
    // robfig/cron #541: not fired.
    ("0 2 * * *", "US/Pacific", "2025-03-09T08:00:00Z", &["2025-03-09T03:00:00-07:00", "2025-03-10T02:00:00-07:00"]),
    // croniter #48: an additional firing on the day after the change.
    (
        "0 8 * * 1",
        "Europe/Amsterdam",
        "2017-10-23T06:00:00Z",
        &["2017-10-30T08:00:00+01:00", "2017-11-06T08:00:00+01:00"],
    ),
    // prefect #10472: an hour late until the next day.
    (
        "10 0 * * *",
        "America/Montreal",
        "2023-03-12T05:10:02Z",
        &["2023-03-13T00:10:00-04:00", "2023-03-14T00:10:00-04:00"],
    ),
    // Crontap #2: the first firing of the day moved to the next day.
    (
        "30 * 1 * *",
        "Europe/Berlin",
        "2023-03-01T22:30:00Z",
        &["2023-04-01T00:30:00+02:00", "2023-04-01T01:30:00+02:00"],
    ),
    // cronexpr #24: all firings of the day moved to three o'clock.
    ("0 14 * * *", "America/Los_Angeles", "2016-03-12T22:01:00Z", &["2016-03-13T14:00:00-07:00"]),
];

/// Cases of the documented rules.
const RULES: &[Case] = &[
    // Several skipped times fire once.
    (
        "15,45 2 * * *",
        "Europe/Berlin",
        "2026-03-28T23:00:00Z",
        &["2026-03-29T03:00:00+02:00", "2026-03-30T02:15:00+02:00"],
    ),
    ("* 2 * * *", "Europe/Berlin", "2026-03-28T23:00:00Z", &["2026-03-29T03:00:00+02:00", "2026-03-30T02:00:00+02:00"]),
    // A skipped time and a time of the first instant after the gap fire once.
    (
        "0 2,3,4 * * *",
        "Europe/Berlin",
        "2026-03-28T23:00:00Z",
        &["2026-03-29T03:00:00+02:00", "2026-03-29T04:00:00+02:00"],
    ),
    // The skipped time is within the day before the next search.
    ("30 2 * * *", "Europe/Berlin", "2026-03-29T01:00:00Z", &["2026-03-30T02:30:00+02:00"]),
    ("30 2 * * *", "Europe/Berlin", "2026-03-29T00:59:59Z", &["2026-03-29T03:00:00+02:00"]),
    // The search begins in the second pass.
    ("55 2 * * *", "Europe/Berlin", "2026-10-25T01:54:00Z", &["2026-10-26T02:55:00+01:00"]),
    // Wildcard hours follow elapsed time.
    (
        "*/30 * * * *",
        "Europe/Berlin",
        "2026-03-29T00:00:00Z",
        &["2026-03-29T01:30:00+01:00", "2026-03-29T03:00:00+02:00", "2026-03-29T03:30:00+02:00"],
    ),
    (
        "*/30 * * * *",
        "Europe/Berlin",
        "2026-10-25T00:00:00Z",
        &[
            "2026-10-25T02:30:00+02:00",
            "2026-10-25T02:00:00+01:00",
            "2026-10-25T02:30:00+01:00",
            "2026-10-25T03:00:00+01:00",
        ],
    ),
    // All hours are a wildcard, however they are written.
    (
        "30 0-23 * * *",
        "Europe/Berlin",
        "2026-10-25T00:00:00Z",
        &["2026-10-25T02:30:00+02:00", "2026-10-25T02:30:00+01:00", "2026-10-25T03:30:00+01:00"],
    ),
    // A range of some hours is fixed.
    (
        "30 1-9 * * *",
        "Europe/Berlin",
        "2026-10-25T00:00:00Z",
        &["2026-10-25T02:30:00+02:00", "2026-10-25T03:30:00+01:00"],
    ),
    (
        "30 1-9 * * *",
        "Europe/Berlin",
        "2026-03-29T00:00:00Z",
        &["2026-03-29T01:30:00+01:00", "2026-03-29T03:00:00+02:00", "2026-03-29T03:30:00+02:00"],
    ),
    // A wildcard in the minute does not matter.
    ("* 2 * * *", "Europe/Berlin", "2026-10-25T00:58:00Z", &["2026-10-25T02:59:00+02:00", "2026-10-26T02:00:00+01:00"]),
    // The change is half an hour.
    (
        "15 2 * * *",
        "Australia/Lord_Howe",
        "2025-10-04T14:00:00Z",
        &["2025-10-05T02:30:00+11:00", "2025-10-06T02:15:00+11:00"],
    ),
    (
        "45 1 * * *",
        "Australia/Lord_Howe",
        "2026-04-04T13:00:00Z",
        &["2026-04-05T01:45:00+11:00", "2026-04-06T01:45:00+10:30"],
    ),
    (
        "*/30 * * * *",
        "Australia/Lord_Howe",
        "2026-04-04T14:00:00Z",
        &["2026-04-05T01:30:00+11:00", "2026-04-05T01:30:00+10:30", "2026-04-05T02:00:00+10:30"],
    ),
    // 30 December 2011 does not exist.
    (
        "0 12 * * *",
        "Pacific/Apia",
        "2011-12-29T12:00:00Z",
        &["2011-12-29T12:00:00-10:00", "2011-12-31T00:00:00+14:00", "2011-12-31T12:00:00+14:00"],
    ),
    ("0 0 * * *", "Pacific/Apia", "2011-12-29T12:00:00Z", &["2011-12-31T00:00:00+14:00", "2012-01-01T00:00:00+14:00"]),
    (
        "0 */12 * * *",
        "Pacific/Apia",
        "2011-12-29T12:00:00Z",
        &["2011-12-29T12:00:00-10:00", "2011-12-31T00:00:00+14:00"],
    ),
    (
        "0 6 30 12 *",
        "Pacific/Apia",
        "2011-12-01T00:00:00Z",
        &["2011-12-31T00:00:00+14:00", "2012-12-30T06:00:00+14:00"],
    ),
    (
        "0 6 * * *",
        "Pacific/Kwajalein",
        "1993-08-20T00:00:00Z",
        &["1993-08-20T06:00:00-12:00", "1993-08-22T00:00:00+12:00", "1993-08-22T06:00:00+12:00"],
    ),
    // Changes of the standard time.
    (
        "10 0 * * *",
        "Asia/Kathmandu",
        "1985-12-30T19:00:00Z",
        &["1986-01-01T00:15:00+05:45", "1986-01-02T00:10:00+05:45"],
    ),
    ("0 6 * * *", "Asia/Kathmandu", "2026-01-01T00:00:00Z", &["2026-01-01T06:00:00+05:45"]),
    (
        "20 0 * * *",
        "Africa/Monrovia",
        "1972-01-06T12:00:00Z",
        &["1972-01-07T00:44:30+00:00", "1972-01-08T00:20:00+00:00"],
    ),
    // Midnight occurs twice.
    (
        "0 0 * * *",
        "America/Havana",
        "2019-11-02T12:00:00Z",
        &["2019-11-03T00:00:00-04:00", "2019-11-04T00:00:00-05:00"],
    ),
    // The repeated hour belongs to the day before.
    (
        "30 23 * * *",
        "America/Sao_Paulo",
        "2018-02-17T12:00:00Z",
        &["2018-02-17T23:30:00-02:00", "2018-02-18T23:30:00-03:00"],
    ),
    // Rules of the database hold after its last listed year.
    (
        "30 2 * * *",
        "Europe/Berlin",
        "2199-03-30T12:00:00Z",
        &["2199-03-31T03:00:00+02:00", "2199-04-01T02:30:00+02:00"],
    ),
];

#[track_caller]
fn check(cases: &[Case]) {
    for (cron, zone, after, expected) in cases {
        assert_eq!(next(&calendar(&[cron], zone), after, expected.len()), *expected, "{cron} in {zone} after {after}");
    }
}

#[test]
fn reported_problems_of_other_programs_do_not_occur() {
    check(REPORTED);
}

#[test]
fn the_rules_for_changes_of_the_clock_hold() {
    check(RULES);
}

#[test]
fn a_fixed_time_fires_once_on_each_local_date() {
    for (zone, from, until) in [
        ("Europe/Berlin", "2025-12-31T23:00:00Z", "2026-12-31T23:00:00Z"),
        ("America/New_York", "2026-01-01T05:00:00Z", "2027-01-01T05:00:00Z"),
        ("Australia/Lord_Howe", "2025-12-31T13:00:00Z", "2026-12-31T13:00:00Z"),
        ("Africa/Casablanca", "2025-12-31T23:00:00Z", "2026-12-31T23:00:00Z"),
    ] {
        for cron in ["30 2 * * *", "30 1 * * *", "10 2 * * *", "45 1 * * *"] {
            let calendar = calendar(&[cron], zone);
            let fired = all(&calendar, ms(from), ms(until));
            let dates: Vec<String> = fired.iter().map(|at| calendar.local(*at)[..10].to_owned()).collect();
            let mut expected: Vec<String> = Vec::new();
            let mut at = ms(from);
            while at < ms(until) {
                let date = calendar.local(at)[..10].to_owned();
                if expected.last() != Some(&date) {
                    expected.push(date);
                }
                at += 3_600_000;
            }
            assert_eq!((dates.len(), &dates), (365, &expected), "{cron} in {zone}");
        }
    }
}

#[test]
fn several_expressions_with_a_common_time_fire_once() {
    let calendar = calendar(&["0 2 * * *", "0 * * * *"], "Europe/Berlin");
    let found = next(&calendar, "2026-10-24T23:30:00Z", 3);
    assert_eq!(found, ["2026-10-25T02:00:00+02:00", "2026-10-25T02:00:00+01:00", "2026-10-25T03:00:00+01:00"]);
    let found = next(&calendar, "2026-03-29T00:00:00Z", 2);
    assert_eq!(found, ["2026-03-29T03:00:00+02:00", "2026-03-29T04:00:00+02:00"]);
}

#[test]
fn times_are_shown_with_offset_and_abbreviation() {
    let berlin = calendar(&["0 6 * * *"], "Europe/Berlin");
    assert_eq!(berlin.timezone(), "Europe/Berlin");
    let at = ms("2026-03-29T01:00:00.999Z");
    assert_eq!(berlin.local(at), "2026-03-29T03:00:00+02:00");
    assert_eq!(berlin.abbreviation(at).as_deref(), Some("CEST"));
    assert_eq!(berlin.abbreviation(at - 1000).as_deref(), Some("CET"));
    let monrovia = calendar(&["0 6 * * *"], "Africa/Monrovia");
    assert_eq!(monrovia.local(0), "1969-12-31T23:15:30-00:44:30");
    let newfoundland = calendar(&["0 6 * * *"], "America/St_Johns");
    assert_eq!(newfoundland.local(ms("2026-01-01T00:00:00Z")), "2025-12-31T20:30:00-03:30");
    assert_eq!(berlin.local(i64::MAX), "9223372036854775807 ms since 1970");
    assert_eq!(berlin.abbreviation(i64::MIN), None);
}
