//! Schedules with the programs: `docs/schedules.md`.

use std::collections::BTreeSet;

use hub_core::Timestamp;
use hub_tests::client_calls::{answered, parsed, refused, write};
use hub_tests::{Programs, eventually, root};
use serde_json::{Value, json};

const MODULES: [(&str, &str); 5] = [
    ("total.py", "def total(values):\n    return sum(values)\n"),
    ("multiply.py", "def multiply(a, b):\n    return a * b\n"),
    ("add.py", "def add(a, b):\n    return a + b\n"),
    ("echo.py", "def echo(value):\n    return value\n"),
    ("nap.py", "import time\n\ndef nap(seconds, value):\n    time.sleep(seconds)\n    return value\n"),
];

fn show(programs: &Programs, name: &str) -> Value {
    parsed(&answered(programs, &["schedules", "show", name, "-o", "json"]).0)
}

/// Waits until this holds for a schedule.
fn until(programs: &Programs, name: &str, holds: impl Fn(&Value) -> bool) -> Value {
    eventually(&format!("the schedule {name}"), || {
        let record = show(programs, name);
        if holds(&record) { Ok(record) } else { Err(record) }
    })
}

fn jobs(programs: &Programs, filter: &str) -> Vec<Value> {
    let page = parsed(&answered(programs, &["list", filter, "--limit", "1000", "-o", "json"]).0);
    page["jobs"].as_array().unwrap().clone()
}

#[test]
fn schedules_are_applied_shown_paused_triggered_and_removed() {
    let (programs, _hub) = Programs::alone().start_in_memory(&MODULES, &[]);
    let etc = |name: &str| root().join("etc").join(name).to_string_lossy().into_owned();
    let schedules = etc("schedules");
    assert!(refused(&programs, &["schedules", "apply", &schedules], 2).contains("no definition \"report@prod\""));
    assert_eq!(answered(&programs, &["schedules", "list", "-o", "json"]).0.trim(), "[]");
    answered(&programs, &["definitions", "apply", &etc("definitions"), "--alias", "prod"]);
    let (_, dry) = answered(&programs, &["schedules", "apply", &schedules, "--dry-run"]);
    assert!(dry.contains("nightly-report would be created") && dry.contains("(nothing was changed)"), "{dry}");
    let (_, first) = answered(&programs, &["schedules", "apply", &schedules]);
    assert!(first.contains("nightly-report is new; next time: ") && first.contains("2 schedules: 2 new"), "{first}");
    let (_, again) = answered(&programs, &["schedules", "apply", &schedules]);
    assert!(again.contains("nightly-report is unchanged") && again.contains("0 new, 0 changed"), "{again}");

    let (id, _) = answered(&programs, &["schedules", "trigger", "nightly-report"]);
    let ended = programs.ended(id.trim());
    assert_eq!((&ended["status"], &ended["definition"]), (&json!("SUCCESS"), &json!("report@1")), "{ended:#}");
    assert_eq!((&ended["schedule"]["name"], &ended["schedule"]["triggered"]), (&json!("nightly-report"), &json!(true)));
    assert_eq!(ended["labels"], json!({"team": "demo"}));
    let record = show(&programs, "nightly-report");
    assert_eq!((&record["started"], &record["last"]["job"]), (&json!(1), &ended["id"]));
    assert_eq!(record["upcoming"].as_array().unwrap().len(), 10);

    answered(&programs, &["schedules", "pause", "nightly-report", "--reason", "moving", "--by", "kim"]);
    let (table, _) = answered(&programs, &["schedules", "show", "nightly-report", "-o", "table"]);
    assert!(table.contains("by kim: moving") && table.contains("started 1 job"), "{table}");
    assert!(answered(&programs, &["schedules", "list", "-o", "table"]).0.contains("paused"));
    answered(&programs, &["schedules", "resume", "nightly-report"]);
    assert_eq!(show(&programs, "nightly-report")["paused"], Value::Null);

    // A changed text keeps what the schedule has done.
    let changed = write(&programs, "changed.yaml", "name: nightly-report\njob: report@prod\ncron: 0 3 * * *\n");
    let (_, said_changed) = answered(&programs, &["schedules", "apply", &changed]);
    assert!(said_changed.contains("nightly-report changed"), "{said_changed}");
    assert_eq!(show(&programs, "nightly-report")["started"], json!(1));
    answered(&programs, &["schedules", "remove", "nightly-report"]);
    for command in ["show", "pause", "resume", "trigger", "remove"] {
        let why = refused(&programs, &["schedules", command, "nightly-report"], 3);
        assert!(why.contains("there is no schedule \"nightly-report\""), "{why}");
    }
}

#[test]
fn mistakes_have_their_place() {
    let (programs, _hub) = Programs::alone().start_in_memory(&MODULES, &[]);
    let (name, job) = (r#""name": "s""#, r#""job": {"name": "j", "tasks": [{"name": "echo", "args": [1]}]}"#);
    for (text, place) in [
        (format!("{{{name}, \"every\": \"1m\"}}"), "\"job\""),
        (format!("{{{name}, {job}}}"), "cron"),
        (format!("{{{name}, {job}, \"every\": \"1m\", \"cron\": \"* * * * *\"}}"), "cron"),
        (format!("{{{name},\n {job},\n \"cron\": \"61 * * * *\"}}"), "3:"),
        (format!("{{{name}, {job}, \"cron\": \"0 0 30 2 *\"}}"), "never"),
        (format!("{{{name}, {job}, \"cron\": \"0 0 * * *\", \"timezone\": \"Europe/Berln\"}}"), "Europe/Berlin"),
        (format!("{{{name}, {job}, \"every\": \"1m\", \"overlap\": \"skp\"}}"), "\"skip\""),
        (format!("{{{name}, {job}, \"every\": \"1m\", \"over_lap\": \"skip\"}}"), "overlap"),
        (format!("{{{name}, {job}, \"every\": \"10ms\"}}"), "every"),
        (format!("{{{name}, {job}, \"every\": \"1m\", \"inputs\": {{}}}}"), "put the inputs into the job"),
        (format!("{{{name}, {job}, \"every\": \"1m\", \"end\": \"90s\"}}"), "a time"),
        (format!("{{\"name\": \"a b\", {job}, \"every\": \"1m\"}}"), "letters"),
    ] {
        let file = write(&programs, "bad.json", &text);
        for command in [&["validate", file.as_str()][..], &["schedules", "apply", &file]] {
            let why = refused(&programs, command, 2);
            assert!(why.contains(place) && why.contains("is not a valid schedule"), "{text}: {why}");
        }
    }
    // What only the dispatcher knows.
    for (text, place) in [
        ("{\"name\": \"s\", \"every\": \"1m\",\n \"job\": {\"name\": \"j\", \"tasks\": [\n  {\"nme\": \"a\"}]}}", "3:"),
        ("{\"name\": \"s\", \"every\": \"1m\",\n  \"job\": \"nowhere@prod\"}", "2:"),
        (
            "{\"name\": \"s\", \"every\": \"1m\", \"job\": {\"name\": \"j\", \"key\": \"k\", \"tasks\": [{\"name\": \"a\"}]}}",
            "remove the key",
        ),
    ] {
        let why = refused(&programs, &["schedules", "apply", &write(&programs, "bad.json", text)], 2);
        assert!(why.contains(place), "{text}: {why}");
    }
}

/// Every second, with a job of three seconds, a dispatcher that is killed three times: each time has one job, or is skipped.
fn each_time_once(overlap: &str) {
    let programs = Programs::alone();
    let store = programs.directory().join("jobs.db").to_string_lossy().into_owned();
    let (mut programs, mut hub) = programs.start_in_memory(&MODULES, &["--store", &store]);
    let text = json!({"name": "tick", "every": "1s", "overlap": overlap, "catch_up": "all",
        "job": {"name": "tick", "tasks": [{"name": "nap", "args": [3, "_.job.scheduled_at"]}], "output": "_nap.data"}});
    answered(&programs, &["schedules", "apply", &write(&programs, "tick.json", &text.to_string())]);
    let decided =
        |record: &Value| ["started", "skipped", "waiting"].map(|key| record[key].as_u64().unwrap()).iter().sum::<u64>();
    for round in 1..=3 {
        let record = until(&programs, "tick", |record| decided(record) >= round * 5);
        // All times from the first to the last one are decided, and the next one is a second later.
        let (next, anchor) = (&record["next_at"], &record["created_at"]);
        let [next, anchor]: [Timestamp; 2] = [next, anchor].map(|time| time.as_str().unwrap().parse().unwrap());
        assert_eq!(next.since(anchor).as_millis() as u64, (decided(&record) + 1) * 1000, "{record:#}");
        // The end of the daemon is a kill.
        drop(hub);
        std::fs::remove_file(programs.directory().join("hub-dispatcher.log")).unwrap();
        (programs, hub) = programs.start_in_memory(&MODULES, &["--store", &store]);
    }
    answered(&programs, &["schedules", "pause", "tick"]);
    let record = until(&programs, "tick", |record| record["running"] == 0 || overlap != "skip");
    let anchor = record["created_at"].as_str().unwrap();
    let nominal: Vec<String> = jobs(&programs, "name:tick")
        .iter()
        .map(|job| {
            programs.record(job["id"].as_str().unwrap())["schedule"]["scheduled_at"].as_str().unwrap().to_owned()
        })
        .collect();
    let distinct: BTreeSet<&String> = nominal.iter().collect();
    assert_eq!(
        (distinct.len(), nominal.len() as u64),
        (nominal.len(), record["started"].as_u64().unwrap()),
        "{nominal:?}"
    );
    // All times end in the same milliseconds as the first one, and each is started, skipped or waits.
    assert!(nominal.iter().all(|at| at[19..] == anchor[19..]), "{anchor} {nominal:?}");
    let count = |key: &str| record[key].as_u64().unwrap();
    let skipped: BTreeSet<&str> =
        record["skips"].as_array().unwrap().iter().map(|skip| skip["at"].as_str().unwrap()).collect();
    assert!(skipped.iter().all(|at| !distinct.contains(&(*at).to_owned())), "{skipped:?} {nominal:?}");
    match overlap {
        "skip" => assert!(count("skipped") > 5 && count("waiting") == 0, "{record:#}"),
        "buffer_one" => assert!(count("skipped") > 5 && count("waiting") <= 1, "{record:#}"),
        _ => assert!(count("skipped") == 0 && count("waiting") == 0, "{record:#}"),
    }
    assert!(decided(&record) >= 15, "{record:#}");
}

#[test]
fn each_time_has_one_job_or_is_skipped_while_the_dispatcher_is_killed() {
    each_time_once("skip");
}

#[test]
fn each_time_has_one_job_or_one_waits_while_the_dispatcher_is_killed() {
    each_time_once("buffer_one");
}

#[test]
fn each_time_has_one_job_side_by_side_while_the_dispatcher_is_killed() {
    each_time_once("allow_all");
}
