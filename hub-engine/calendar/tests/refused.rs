//! Specifications that are refused, with the place, the reason and the suggestion.

#[path = "support/calendars.rs"]
mod calendars;

use std::time::Duration;

use calendars::{problems, spec};
use hub_calendar::{Calendar, CalendarError, CalendarField, CalendarSpec};

/// Expressions with the position, a part of the message and the suggestion.
const REFUSED: &[(&str, usize, &str, Option<&str>)] = &[
    ("", 0, "the expression is empty", None),
    (" \t ", 0, "the expression is empty", None),
    ("*", 1, "1 field instead of five or six", None),
    ("0 6 * *", 7, "4 fields instead of five or six", None),
    ("0 0 0 1 1 * * x", 12, "8 fields instead of five or six", None),
    ("60 * * * *", 0, "minute 60 is out of range: minutes are 0 to 59", Some("0 * * * *")),
    ("0 24 * * *", 2, "hour 24 is out of range", Some("0 0 * * *")),
    ("0 0 0 * *", 4, "day of month 0 is out of range", None),
    ("0 0 32 * *", 4, "day of month 32 is out of range", None),
    ("0 0 1 13 *", 6, "month 13 is out of range", None),
    // apscheduler #105: an endless loop.
    ("0 0 * * 8", 8, "day of week 8 is out of range", None),
    ("0 0 * * 1-8", 10, "day of week 8 is out of range", None),
    ("60 0 0 * * *", 0, "second 60 is out of range", Some("0 0 0 * * *")),
    ("99999999999999999999 * * * *", 0, "out of range", None),
    ("-5 * * * *", 0, "a value of the range is missing", None),
    ("5- * * * *", 2, "a value of the range is missing", None),
    ("1-2-3 * * * *", 3, "unexpected character '-'", None),
    ("1,,2 * * * *", 2, "a value is missing here", None),
    ("1, 2 * * *", 2, "a value is missing here", None),
    ("1.5 * * * *", 1, "unexpected character '.'", None),
    ("1;2 * * * *", 1, "unexpected character ';'", None),
    ("** * * * *", 0, "* must stand alone", None),
    ("5* * * * *", 1, "* must stand alone", None),
    ("*/0 * * * *", 2, "a step of 0 is not possible", Some("* * * * *")),
    ("*/ * * * *", 2, "the step must be a whole number", None),
    ("*/x * * * *", 2, "the step must be a whole number", None),
    ("*/5/2 * * * *", 2, "the step must be a whole number", None),
    ("/5 * * * *", 0, "the range before / is missing", Some("*/5 * * * *")),
    ("5/10 * * * *", 1, "a step needs a range: write 5-59/10", Some("5-59/10 * * * *")),
    ("0 0 * * mon/2", 11, "a step needs a range: write mon-6/2", Some("0 0 * * mon-6/2")),
    ("*/60 * * * *", 2, "selects only minute 0", Some("0 * * * *")),
    ("*/90 * * * *", 2, "selects only minute 0: write 0, or use a smaller step, or use every", None),
    ("0 */24 * * *", 4, "selects only hour 0", Some("0 0 * * *")),
    ("0 9-17/9 * * *", 7, "selects only hour 9", Some("0 9 * * *")),
    ("0 0 * * 7/2", 9, "a step needs a range", Some("0 0 * * 7-6/2")),
    ("0 0 * * monday", 8, "names have three letters: write mon", Some("0 0 * * mon")),
    ("0 0 * * Monday-Friday", 8, "names have three letters: write mon", None),
    ("0 0 1 sept *", 6, "names have three letters: write sep", Some("0 0 1 sep *")),
    ("0 0 mon * *", 4, "mon belongs in the field day of week, and this is the field day of month", None),
    ("0 0 1 * jan", 8, "jan belongs in the field month", None),
    ("0 0 * * mo", 8, "day of week \"mo\" is unknown", None),
    ("0 5 * * * /bin/backup", 10, "the range before / is missing", None),
    // Dates that do not exist. cron-utils #329 and ccronexpr #5: an endless loop.
    ("0 0 30 2 *", 4, "the expression never fires", None),
    ("0 0 31 4,jun,9,11 *", 4, "the expression never fires", None),
    ("0 0 0 30 feb *", 6, "the expression never fires", None),
    ("0 0 */3 2 mon#5", 4, "the expression never fires", None),
    // Other programs.
    ("0 0 L-3 * *", 4, "days before the last day are not supported", None),
    ("0 0 LW * *", 4, "W (the nearest working day) is not supported", None),
    ("0 0 15W * *", 4, "W (the nearest working day) is not supported", None),
    ("0 0 * * L", 8, "L needs a day here", Some("0 0 * * sat")),
    ("0 0 * * mon#6", 12, "a number from 1 to 5 must follow #", None),
    ("0 0 * * mon#", 12, "a number from 1 to 5 must follow #", None),
    ("0 0 2#1 * *", 5, "# is allowed only in the day of week", None),
    ("0 0 * * mon#1/2", 13, "a step cannot follow mon#1", None),
    ("0 12 ? * mon", 5, "? is not supported: write *", Some("0 12 * * mon")),
    ("0 12 1 * ?", 9, "? is not supported: write *", Some("0 12 1 * *")),
    ("0 0 12 ? * 2", 7, "Quartz and AWS count the days of the week from 1 for Sunday", None),
    ("0 0 12 * * mon *", 15, "the year is not supported", Some("0 0 12 * * mon")),
    ("0 0 12 1 1 * 2027", 13, "set start and end of the schedule instead", None),
    ("H * * * *", 0, "H (a value chosen by Jenkins) is not supported", None),
    ("H/15 * * * *", 0, "H (a value chosen by Jenkins) is not supported", None),
    ("H(0-29)/10 * * * *", 0, "H (a value chosen by Jenkins) is not supported", None),
    ("0~30 * * * *", 1, "random times (~) are not supported", None),
    ("0 0 13 * +fri", 9, "+ is not supported", None),
    ("@every 5m", 0, "write every: \"5m\" instead of cron", None),
    ("@reboot", 0, "@reboot is not supported", None),
    ("@dayly", 0, "@dayly is unknown", Some("@daily")),
    ("@", 0, "@ is unknown", None),
    ("TZ=Europe/Berlin 0 6 * * *", 0, "write timezone: \"Europe/Berlin\"", Some("0 6 * * *")),
    ("CRON_TZ=UTC @daily", 0, "write timezone: \"UTC\"", Some("@daily")),
    ("cron(0 12 ? * MON *)", 0, "cron(...) of AWS is not supported", None),
    ("rate(5 minutes)", 0, "rate(...) of AWS is not supported", None),
    // Characters.
    ("0 6 * * mon\u{2013}fri", 11, "consists of ASCII characters", Some("0 6 * * mon-fri")),
    ("0\u{a0}6 * * *", 1, "consists of ASCII characters", Some("0 6 * * *")),
    ("0 6 * * lunes\u{e9}", 13, "consists of ASCII characters", None),
    ("0 6 * * *\n", 9, "a cron expression is one line", Some("0 6 * * *")),
    ("0 6 * *\u{0} *", 7, "unexpected character '\\0'", None),
];

#[test]
fn expressions_are_refused_with_a_reason() {
    for (text, position, message, suggestion) in REFUSED {
        let problems = problems(text);
        let CalendarError { field, index, position: at, message: why, suggestion: instead } = &problems[0];
        assert_eq!((*field, *index, *at), (CalendarField::Cron, 0, Some(*position)), "{text:?}: {why}");
        assert!(why.contains(message), "{text:?}: {why}");
        assert_eq!(instead.as_deref(), *suggestion, "{text:?}: {why}");
    }
}

#[test]
fn suggestions_are_accepted() {
    for text in REFUSED.iter().filter_map(|(.., suggestion)| *suggestion) {
        assert!(Calendar::new(&spec(&[text], "UTC")).is_ok(), "{text}");
    }
}

#[test]
fn all_problems_are_found_at_once() {
    let spec = CalendarSpec {
        cron: vec!["0 6 * * *".into(), "60 24 * * monday".into(), "x".into()],
        every: Some(Duration::from_millis(10)),
        anchor: None,
        timezone: "Europe/Berlni".into(),
    };
    let problems = Calendar::new(&spec).unwrap_err();
    let found: Vec<String> = problems.iter().map(ToString::to_string).collect();
    let expected = [
        "cron 2, character 1: minute 60 is out of range: minutes are 0 to 59 (did you mean \"0 0 * * mon\"?)",
        "cron 2, character 4: hour 24 is out of range: hours are 0 to 23 (did you mean \"0 0 * * mon\"?)",
        "cron 2, character 11: names have three letters: write mon instead of monday (did you mean \"0 0 * * mon\"?)",
        "cron 3, character 2: the expression has 1 field instead of five or six: the fields are minute, hour, day of \
         month, month, day of week, with an optional second before them",
        "every: must not be used together with cron: remove one of them",
        "every: must be at least 1s, not 10ms: each firing creates a job; repeat shorter work inside one task",
        "timezone: \"Europe/Berlni\" is not a name of the IANA time-zone database, such as Europe/Berlin (did you mean \
         \"Europe/Berlin\"?)",
    ];
    assert_eq!(found, expected);
}

#[test]
fn lengths_are_limited() {
    let long = format!("{}0 * * * *", "0,".repeat(124));
    assert_eq!(long.len(), 257);
    assert_eq!(problems(&long)[0].message, "a cron expression has at most 256 bytes, not 257");
    assert!(Calendar::new(&spec(&[&long[2..]], "UTC")).is_ok());
    let texts = ["0 6 * * *"; 101];
    assert!(Calendar::new(&spec(&texts[..100], "UTC")).is_ok());
    let problems = Calendar::new(&spec(&texts, "UTC")).unwrap_err();
    assert_eq!((problems[0].index, problems.len()), (100, 1));
}

#[test]
fn zones_are_refused_with_a_suggestion() {
    let zones = [
        ("", Some("UTC")),
        ("utc", Some("UTC")),
        ("Z", Some("UTC")),
        ("+00:00", Some("UTC")),
        ("europe/berlin", Some("Europe/Berlin")),
        ("Berlin", Some("Europe/Berlin")),
        ("Europe/Berlni", Some("Europe/Berlin")),
        ("new york", Some("America/New_York")),
        ("America/New York", Some("America/New_York")),
        ("CEST", Some("Europe/Berlin")),
        ("CET", Some("Europe/Berlin")),
        ("PST", Some("America/Los_Angeles")),
        ("EST", Some("America/New_York")),
        ("EST5EDT", Some("America/New_York")),
        ("IST", Some("Asia/Kolkata")),
        ("+02:00", Some("Etc/GMT-2")),
        ("-0500", Some("Etc/GMT+5")),
        ("UTC+2", Some("Etc/GMT-2")),
        ("GMT-03:30", None),
        ("+15", None),
        ("Factory", None),
        ("Etc/Unknown", None),
        ("Atlantis/Capital", None),
        ("Europe/Berlin ", Some("Europe/Berlin")),
        ("../../etc/passwd", None),
        ("\u{0}", None),
    ];
    for (zone, suggestion) in zones {
        let problems =
            Calendar::new(&spec(&["0 6 * * *"], zone)).err().unwrap_or_else(|| panic!("{zone:?} is accepted"));
        assert_eq!((problems.len(), problems[0].field), (1, CalendarField::Timezone));
        assert_eq!(problems[0].suggestion.as_deref(), suggestion, "{zone:?}: {}", problems[0]);
        if let Some(zone) = suggestion {
            assert!(Calendar::new(&spec(&["0 6 * * *"], zone)).is_ok(), "{zone}");
        }
    }
    for zone in ["UTC", "GMT", "Etc/UTC", "Asia/Calcutta", "Europe/Kyiv", "US/Pacific", "Japan", "Etc/GMT-14"] {
        assert!(Calendar::new(&spec(&["0 6 * * *"], zone)).is_ok(), "{zone}");
    }
}
