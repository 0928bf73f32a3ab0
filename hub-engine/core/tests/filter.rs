//! Filters: what is read from a text, and what is refused.

use hub_core::filter::{Condition, Filter, Relation, Term, TimeField, When};
use hub_core::job::{Job, Limits};
use hub_core::state::{ErrorKind, FirstFailure, JobState, TaskError};
use hub_core::{JobStatus, Timestamp};
use proptest::prelude::*;

/// Refused filters, with the character of the mistake and a part of the message.
const REFUSED: &[(&str, usize, &str)] = &[
    ("etl", 1, "\"etl\" has no field: write name:etl"),
    ("status", 1, "write status:VALUE"),
    ("label.team", 1, "write label.team:VALUE"),
    ("  name:a  status", 11, "write status:VALUE"),
    ("\"etl\"", 1, "write name:\"VALUE\""),
    ("status:faild", 8, "did you mean FAILED?"),
    ("status:failed,canceled", 15, "did you mean CANCELLED?"),
    ("status:done", 8, "the statuses are PENDING, RUNNING"),
    ("status:fail*", 8, "no job has the status \"fail*\""),
    ("status:", 8, "a value is missing"),
    ("status: failed", 8, "a value is missing"),
    ("name:", 6, "a value is missing"),
    ("name:a,", 8, "a value is missing"),
    ("name:,a", 6, "a value is missing"),
    ("nmae:a", 1, "did you mean name?"),
    ("NAME:a", 1, "did you mean name?"),
    ("state:failed", 1, "the fields are status, name"),
    (
        "colour:red",
        1,
        "the fields are status, name, key, task, error, definition, submitted, started, ended and label.NAME",
    ),
    ("team:data", 1, "the fields are status"),
    ("label:team", 1, "write label.NAME:VALUE"),
    ("labels.team:data", 1, "write label.NAME:VALUE"),
    ("label.:data", 1, "write label.NAME:VALUE"),
    ("label.", 1, "write label.NAME:VALUE"),
    ("Label.a=1", 1, "write label.NAME:VALUE"),
    ("label.team!=data", 1, "write -label.team= for jobs that do not match"),
    ("name!=a", 1, "write -name= for jobs that do not match"),
    ("label.a==b", 9, "into quotation marks"),
    ("name:=b", 6, "into quotation marks"),
    ("label.*:a", 1, "a label's name has"),
    ("status:\"\"", 8, "no job has the status \"\""),
    (":failed", 1, "jobs cannot be filtered by \"\""),
    ("=failed", 1, "jobs cannot be filtered by \"\""),
    ("- status:failed", 2, "a term is missing after the"),
    ("--status:failed", 2, "jobs cannot be filtered by \"-status\""),
    ("!status:failed", 1, "did you mean status?"),
    ("status:failed AND name:a", 15, "\"AND\" has no field"),
    ("(status:failed)", 1, "did you mean status?"),
    ("status>failed", 1, "\"status\" is not a time"),
    ("name<b", 1, "only times can be compared with <"),
    ("label.size>=3", 1, "only times can be compared with >="),
    ("started:2026-11-28", 1, "started is a time: compare it, for example with started>-24h"),
    ("ended=-1h", 1, "ended is a time"),
    ("started>yesterday", 9, "\"yesterday\" is not a time"),
    ("started>24h", 9, "write -24h for 24 hours ago"),
    ("started>-24", 9, "-90m, -24h or -7d"),
    ("started>-1w", 9, "-90m, -24h or -7d"),
    ("started>-", 9, "-90m, -24h or -7d"),
    ("started>", 9, "a value is missing"),
    ("started>>-1h", 9, "into quotation marks"),
    ("started=>-1h", 1, "started is a time"),
    ("started>2026-13-01", 9, "is not a time"),
    ("started>2026-02-30", 9, "is not a time"),
    ("started>28.11.2026", 9, "is not a time"),
    ("started>1764329000", 9, "is not a time"),
    ("started>-1h,-2h", 12, "only one time is allowed here"),
    ("started>-999999d", 9, "up to -366d"),
    ("name:\"a", 6, "closing quotation mark is missing"),
    ("name:\"a\\\"", 6, "closing quotation mark is missing"),
    ("name:\"a\"b", 9, "a blank or a comma is missing"),
    ("name:a\"b\"", 7, "quotation marks must enclose the whole value"),
    ("name:it's \"", 11, "write name:\"VALUE\""),
    ("größe:1", 1, "the fields are status"),
    ("name:ä faild:1", 8, "jobs cannot be filtered by \"faild\""),
    ("name\u{a0}:a", 1, "write name:VALUE"),
    ("'status:failed'", 1, "did you mean status?"),
    ("status\u{ff1a}failed", 1, "has no field"),
    ("definition:etl@prod", 12, "is no version"),
    ("definition:a,b@", 14, "is no version"),
    ("started", 1, "compare it, for example with started>-24h"),
    ("name:a\u{0}", 7, "must not contain control characters"),
    ("*", 1, "has no field"),
];

#[test]
fn mistakes_are_refused_with_their_place_and_a_suggestion() {
    let mut wrong = Vec::new();
    for (text, character, message) in REFUSED {
        match text.parse::<Filter>() {
            Err(error) if error.character == *character && error.message.contains(message) => {}
            other => wrong.push((text, other.map_err(|error| error.to_string()))),
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    let error = "faild".parse::<Filter>().unwrap_err().to_string();
    assert!(error.starts_with("the filter is wrong at character 1: "), "{error}");
}

#[test]
fn filters_have_limits() {
    let values = |count: usize| format!("name:{}", vec!["a"; count].join(","));
    assert!(values(100).parse::<Filter>().is_ok());
    let error = values(101).parse::<Filter>().unwrap_err();
    assert!(error.message.contains("at most 100 values"), "{error}");
    assert!(format!("name:{}", "a".repeat(4091)).parse::<Filter>().is_ok());
    let error = format!("name:{}", "a".repeat(4092)).parse::<Filter>().unwrap_err();
    assert!(error.message.contains("at most 4096 bytes"), "{error}");
    // A message shows no more of a filter than is useful.
    let error = "x".repeat(4000).parse::<Filter>().unwrap_err();
    assert!(error.to_string().len() < 400, "{error}");
}

#[test]
fn a_filter_is_a_text_with_terms() {
    let filter: Filter = "status:failed started>=-24h".parse().unwrap();
    let when = When::Ago(std::time::Duration::from_secs(24 * 3600));
    let terms = [
        Term { is_negated: false, condition: Condition::Status(vec![JobStatus::Failed]) },
        Term { is_negated: false, condition: Condition::Time(TimeField::Started, Relation::From, when) },
    ];
    assert_eq!(filter.terms(), terms);
    let json = serde_json::to_string(&filter).unwrap();
    assert_eq!(json, r#""status:failed started>=-24h""#);
    assert_eq!(serde_json::from_str::<Filter>(&json).unwrap(), filter);
    assert!(serde_json::from_str::<Filter>(r#""status:faild""#).unwrap_err().to_string().contains("FAILED?"));
    assert_eq!(" \t\n ".parse::<Filter>().unwrap().terms(), []);
}

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// A failed job with labels, which began on 27 November.
fn job() -> (Job, JobState) {
    let text = r#"{"name": "etl nightly", "key": "k-1", "labels": {"team": "data", "note": "a, b", "empty": ""},
        "tasks": [{"name": "load"}]}"#;
    let error = TaskError { type_name: Some("TimeoutError".into()), ..TaskError::new(ErrorKind::TaskFailed) };
    let state = JobState {
        status: JobStatus::Failed,
        first_failure: Some(FirstFailure::new(&"load".into(), Some(&error), "too slow").into()),
        started_at: Some(time("2026-11-27T10:00:00Z")),
        ..JobState::pending(time("2026-11-27T09:00:00Z"))
    };
    (Job::parse(text, &Limits::default()).unwrap(), state)
}

#[test]
fn a_job_matches_all_terms_or_not() {
    let (job, state) = job();
    let now = time("2026-11-28T09:30:00Z");
    let matches = |text: &str| {
        let filter = text.parse::<Filter>().unwrap_or_else(|error| panic!("{text}: {error}"));
        filter.terms().iter().all(|term| term.matches(&job, &state, now))
    };
    for text in [
        "",
        "status:failed",
        "status=FAILED",
        "status:success,failed",
        "-status:success",
        "name:\"etl nightly\"",
        "name:etl*",
        "name:*night*",
        "name:*",
        "key:k-1",
        "task:load",
        "task:l*,x",
        "error:TimeoutError",
        "error:TASK_FAILED",
        "error:*Error",
        "label.team=data",
        "label.team:d*",
        "label.note:\"a, b\"",
        "label.note:\"a*\"",
        "label.empty:\"\"",
        "label.empty:*",
        "-label.env:test",
        "submitted>-25h",
        "submitted<=2026-11-27T09:00:00Z",
        "started>2026-11-27",
        "started>=2026-11-27T11:00:00+01:00",
        "-ended>2026-01-01",
        "-ended<2030-01-01",
        "status:failed name:etl* label.team=data -error:ValueError",
        // A semicolon is a part of the value.
        "-name:a;status:success",
    ] {
        assert!(matches(text), "{text}");
    }
    for text in [
        "-status:failed",
        "status:success",
        "name:etl",
        "name:ETL*",
        "name:\"etl\\*\"",
        "key:k",
        "task:loa",
        "error:timeouterror",
        "label.team=ops",
        "label.Team=data",
        "label.env:*",
        "-label.team:*",
        "submitted>-24h",
        "submitted>2026-11-27T09:00:00Z",
        "started<2026-11-27",
        "ended>2026-01-01",
        "ended<2030-01-01",
        "status:failed name:other",
    ] {
        assert!(!matches(text), "{text}");
    }
}

proptest! {
    /// Whatever the text is, it is read or refused, and a refusal names a place in it.
    #[test]
    fn any_text_is_read_or_refused(text in "(-?(status|name|label\\.a|started|ended|task|[a-zä]{0,4})[:=<>]{0,2}(\"?[a-z*ä, \\\\-]{0,6}\"?) ?){0,6}") {
        match text.parse::<Filter>() {
            Ok(filter) => prop_assert_eq!(filter.to_string(), text),
            Err(error) => prop_assert!((1..=text.chars().count() + 1).contains(&error.character), "{}", error),
        }
    }
}
