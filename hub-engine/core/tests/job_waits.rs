//! Waits and recoveries in jobs: what is read, and what is refused with its code and place.

mod job_support;

use std::time::Duration;

use hub_core::Timestamp;
use hub_core::job::{Awaited, Moment, OnTimeout, Until, Wait};
use job_support::{code, parse, refuse};

/// A job of the task `t` with these keys, behind the task `a`.
fn job(keys: &str) -> String {
    format!(r#"{{"name": "j", "tasks": [{{"name": "a"}}, {{"name": "t", {keys}}}]}}"#)
}

fn wait(wait: &str) -> Wait {
    parse(&job(&format!(r#""wait": {wait}"#))).spec(1).wait().expect("it is a wait").clone()
}

#[test]
fn waits_are_read_with_their_defaults() {
    assert!(
        matches!(wait(r#"{"until": "90s"}"#).awaited, Awaited::Until(Until::Fixed(Moment::After(time))) if time.as_secs() == 90)
    );
    let time = Timestamp::from_millis(1_795_471_303_000);
    let until = wait(r#"{"until": "2026-11-23T22:01:43Z", "signal": null}"#);
    assert_eq!(until.awaited, Awaited::Until(Until::Fixed(Moment::At(time))));
    let signal = wait(r#"{"signal": "größe ✓"}"#);
    assert_eq!(signal.awaited, Awaited::Signal { name: "größe ✓".into(), count: 1 });
    assert_eq!((signal.timeout, signal.on_timeout), (None, OnTimeout::Fail));
    let late = wait(r#"{"signal": "s", "count": 1000, "timeout": "2d", "on_timeout": {"data": [1.0]}}"#);
    assert_eq!(late.timeout, Some(Duration::from_secs(2 * 86_400)));
    assert!(matches!(late.on_timeout, OnTimeout::Data(data) if data.get() == "[1.0]"));
    for (written, choices, failing) in [
        ("{}", "approve reject", "reject"),
        (r#"{"choices": ["yes", "no", "reject"]}"#, "yes no reject", "reject"),
        (r#"{"choices": ["yes", "no"]}"#, "yes no", ""),
        (r#"{"choices": ["yes", "no"], "fail_on": ["no"]}"#, "yes no", "no"),
        (r#"{"fail_on": []}"#, "approve reject", ""),
    ] {
        let Awaited::Approval(approval) = wait(&format!(r#"{{"approval": {written}}}"#)).awaited else {
            panic!("{written} is an approval")
        };
        assert_eq!((approval.choices.join(" "), approval.fail_on.join(" ")), (choices.to_owned(), failing.to_owned()));
    }
}

#[test]
fn templates_of_waits_and_fallbacks_imply_dependencies() {
    for keys in [
        r#""wait": {"until": "_a.data.time"}"#,
        r#""wait": {"approval": {"message": {"text": ["_a.data"]}}}"#,
        r#""recover": {"fallback": ["_a.data", "_.failure.kind"]}"#,
    ] {
        assert_eq!(parse(&job(keys)).spec(1).upstream(), [0], "{keys}");
    }
    assert_eq!(parse(&job(r#""recover": {"fallback": "_.failure"}"#)).spec(1).upstream(), [0_u32; 0]);
    assert!(
        parse(&job(r#""trigger_rule": "always", "recover": {"fallback": "_.failure"}"#)).spec(1).recover().is_some()
    );
    let of_any_name = r#"{"name": "j", "tasks": [{"name": "ask/me", "wait": {"approval": {}}}]}"#;
    assert!(parse(of_any_name).spec(0).wait().is_some(), "the name of a wait is no module");
}

/// Keys of a task, and its problems: `code path` below the task.
const REFUSED: &[(&str, &[&str])] = &[
    (r#""wait": "1h""#, &["wrong_type .wait"]),
    (r#""wait": {}"#, &["missing_key .wait"]),
    (r#""wait": {"timeout": "1h"}"#, &["missing_key .wait"]),
    (r#""wait": {"untill": 1}"#, &["missing_key .wait", "unknown_key .wait.untill"]),
    (r#""wait": {"until": "1h", "signal": "s"}"#, &["out_of_range .wait.signal"]),
    (r#""wait": {"signal": "s", "approval": {}}"#, &["out_of_range .wait.approval"]),
    (r#""wait": {"until": 0}"#, &["out_of_range .wait.until"]),
    (r#""wait": {"until": "0s"}"#, &["out_of_range .wait.until"]),
    (r#""wait": {"until": "soon"}"#, &["out_of_range .wait.until"]),
    (r#""wait": {"until": "2026-13-01"}"#, &["out_of_range .wait.until"]),
    (r#""wait": {"until": "2026-11-23T22:01"}"#, &["out_of_range .wait.until"]),
    (r#""wait": {"until": true}"#, &["wrong_type .wait.until"]),
    (r#""wait": {"until": "_t.data"}"#, &["cycle .wait.until"]),
    (r#""wait": {"until": "_b.data"}"#, &["unknown_task .wait.until"]),
    (r#""wait": {"until": "1h", "timeout": "1h"}"#, &["out_of_range .wait.timeout"]),
    (r#""wait": {"until": "1h", "count": 2}"#, &["out_of_range .wait.count"]),
    (r#""wait": {"signal": ""}"#, &["bad_name .wait.signal"]),
    (r#""wait": {"signal": "a\n"}"#, &["bad_name .wait.signal"]),
    (r#""wait": {"signal": ["a"]}"#, &["wrong_type .wait.signal"]),
    (r#""wait": {"signal": "s", "count": 0}"#, &["out_of_range .wait.count"]),
    (r#""wait": {"signal": "s", "count": 1001}"#, &["out_of_range .wait.count"]),
    (r#""wait": {"signal": "s", "count": 1.5}"#, &["wrong_type .wait.count"]),
    (r#""wait": {"signal": "s", "timeout": 0}"#, &["out_of_range .wait.timeout"]),
    (r#""wait": {"signal": "s", "on_timeout": "skip"}"#, &["out_of_range .wait.on_timeout"]),
    (r#""wait": {"signal": "s", "timeout": 1, "on_timeout": "go"}"#, &["out_of_range .wait.on_timeout"]),
    (r#""wait": {"signal": "s", "timeout": 1, "on_timeout": 7}"#, &["wrong_type .wait.on_timeout"]),
    (r#""wait": {"signal": "s", "timeout": 1, "on_timeout": {}}"#, &["wrong_type .wait.on_timeout"]),
    (r#""wait": {"signal": "s", "timeout": 1, "on_timeout": {"data": 1, "x": 1}}"#, &["wrong_type .wait.on_timeout"]),
    (r#""wait": {"approval": "Go?"}"#, &["wrong_type .wait.approval"]),
    (r#""wait": {"approval": {"schema": {}}}"#, &["unsupported_key .wait.approval.schema"]),
    (r#""wait": {"approval": {"choices": []}}"#, &["out_of_range .wait.approval.choices"]),
    (r#""wait": {"approval": {"choices": "yes"}}"#, &["wrong_type .wait.approval.choices"]),
    (r#""wait": {"approval": {"choices": ["yes", "yes"]}}"#, &["bad_name .wait.approval.choices[1]"]),
    (r#""wait": {"approval": {"choices": ["yes", ""]}}"#, &["bad_name .wait.approval.choices[1]"]),
    (r#""wait": {"approval": {"fail_on": ["no"]}}"#, &["out_of_range .wait.approval.fail_on"]),
    (r#""wait": {"approval": {"message": "_nowhere.data"}}"#, &["unknown_task .wait.approval.message"]),
    (r#""wait": {"approval": {"message": ["_.failure"]}}"#, &["bad_reference .wait.approval.message[0]"]),
    (r#""task_name": "m", "wait": {"until": 1}"#, &["out_of_range .task_name"]),
    (r#""args": [], "kwargs": {}, "wait": {"until": 1}"#, &["out_of_range .args", "out_of_range .kwargs"]),
    (r#""pool": "p", "priority": 1, "wait": {"until": 1}"#, &["out_of_range .pool", "out_of_range .priority"]),
    (r#""retry": 2, "timeout": 1, "wait": {"until": 1}"#, &["out_of_range .retry", "out_of_range .timeout"]),
    (r#""for_each": 2, "wait": {"until": 1}"#, &["out_of_range .for_each"]),
    (r#""wait": {"approval": {"message": "_.item"}}"#, &["bad_reference .wait.approval.message"]),
    (r#""for_each": 2, "recover": {"fallback": "_.item"}"#, &["bad_reference .recover.fallback"]),
    (r#""recover": true"#, &["wrong_type .recover"]),
    (r#""recover": {"fallbacks": 1}"#, &["unknown_key .recover.fallbacks"]),
    (r#""recover": {"fallback": "_t.error"}"#, &["cycle .recover.fallback"]),
    (r#""recover": {"fallback": {"a": "_.failures"}}"#, &["bad_reference .recover.fallback.a"]),
    (r#""recover": {"fallback": "_.failure."}"#, &["bad_reference .recover.fallback"]),
    (r#""recover": {"match": "OSError"}"#, &["wrong_type .recover.match"]),
    (r#""recover": {"match": [""]}"#, &["bad_name .recover.match[0]"]),
    (r#""args": ["_.failure.kind"]"#, &["bad_reference .args[0]"]),
    (
        r#""depends": ["a"], "trigger_rule": "one_done", "recover": {"fallback": "_a.data"}"#,
        &["out_of_range .trigger_rule"],
    ),
];

#[test]
fn what_is_wrong_is_refused_with_its_place() {
    for (keys, expected) in REFUSED {
        let found = refuse(&job(keys));
        let said: Vec<String> = found
            .iter()
            .map(|problem| format!("{} {}", code(problem), problem.path.trim_start_matches("$.tasks[1]")))
            .collect();
        assert_eq!(said, *expected, "{keys}: {found:#?}");
    }
}

#[test]
fn messages_say_what_to_write_instead() {
    for (keys, message, suggestion) in [
        (
            r#""retry": 2, "wait": {"until": 1}"#,
            "\"retry\" cannot stand beside \"wait\": a wait is never tried again",
            Some("remove it"),
        ),
        (
            r#""wait": {"until": "2026-13-01"}"#,
            "\"2026-13-01\" is neither a time such as \"2026-11-23T22:15:03Z\" nor a duration such as \"90s\"",
            None,
        ),
        (
            r#""wait": {}"#,
            "\"wait\" does not say what the task waits for",
            Some("give it one of the keys \"until\", \"signal\" and \"approval\""),
        ),
        (
            r#""wait": {"approval": {"choices": ["ship", "hold"], "fail_on": ["hodl"]}}"#,
            "\"hodl\" is not one of the choices",
            Some("did you mean \"hold\"?"),
        ),
        (
            r#""args": ["_.failure"]"#,
            "\"_.failure\" is the error of a task or a job that has failed: it stands only in a \"fallback\" and in the tasks of \"on_failure\" and \"finally\"",
            Some("for the text itself write \"__.failure\""),
        ),
    ] {
        let found = refuse(&job(keys));
        assert_eq!((&*found[0].message, found[0].suggestion.as_deref()), (message, suggestion), "{keys}");
    }
}
