//! Tests of the output of `hub-client`: tables that fit the terminal, failed writes, ids in error messages.

use std::fs::File;
use std::process::{Output, Stdio};

use hub_tests::{Daemon, Programs, eventually};
use serde_json::{Value, json};

const FAILS: &str = "def fails(text):\n    print('before it failed')\n    raise ValueError(text)\n";
const ECHO: &str = "def echo(value):\n    return value\n";
const ORDER: &str =
    "from hub.lib.api import task\n\n@task(asynchronous=True)\ndef order(what):\n    return 'ordered'\n";

/// A Hub whose dispatcher has received a heartbeat of its worker.
fn hub() -> (Programs, Daemon) {
    let (programs, hub) = Programs::in_memory(&[("fails.py", FAILS), ("echo.py", ECHO), ("order.py", ORDER)], &[]);
    eventually("the worker is known", || {
        let workers = programs.run("hub-client", &["workers"]);
        if workers.stdout.starts_with(b"[{") { Ok(()) } else { Err(workers) }
    });
    (programs, hub)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A client whose standard output is a file on which every write fails.
fn into_full(programs: &Programs, arguments: &[&str]) -> Output {
    let full = File::options().write(true).open("/dev/full").unwrap();
    programs.command("hub-client").args(arguments).stdin(Stdio::null()).stdout(full).output().unwrap()
}

#[test]
fn failed_writes_have_an_exit_code_and_keep_the_id() {
    let (programs, hub) = hub();
    std::fs::write(programs.directory().join("job"), r#"{"name": "j", "tasks": [{"name": "echo", "args": [1]}]}"#)
        .unwrap();
    for command in ["list", "workers", "health", "--help", "--version", "man"] {
        let output = into_full(&programs, &[command, "-q"]);
        assert_eq!(output.status.code(), Some(7), "{command}: {output:?}");
        assert!(text(&output.stderr).starts_with("error: cannot write"), "{output:?}");
    }
    for (digit, more) in [&[][..], &["--wait"], &["-o", "json"], &["--wait", "-o", "table"]].into_iter().enumerate() {
        let id = format!("{digit}0000000-0000-4000-8000-000000000000");
        let output = into_full(&programs, &[&["submit", "job", "-q", "--id", &id], more].concat());
        assert_eq!(output.status.code(), Some(7), "{output:?}");
        assert!(text(&output.stderr).contains(&id), "{output:?}");
        assert_eq!(programs.ended(&id)["status"], "SUCCESS");
    }
    hub.stop();
}

/// The standard library replaces it by `/dev/null`, where writes succeed.
#[test]
fn a_closed_standard_output_is_detected() {
    let (programs, hub) = hub();
    for flags in ["list", "--help"] {
        let client = programs.command("hub-client").get_program().to_string_lossy().into_owned();
        let output = programs.command("/bin/sh").args(["-c", &format!("exec {client} {flags} >&-")]).output().unwrap();
        assert_eq!(output.status.code(), Some(7), "{output:?}");
    }
    let nowhere = programs.command("hub-client").arg("list").stdout(Stdio::null()).status().unwrap();
    assert_eq!(nowhere.code(), Some(0), "/dev/null itself takes everything");
    hub.stop();
}

#[test]
fn a_closed_pipe_causes_neither_a_panic_nor_a_message() {
    let (programs, hub) = hub();
    let mut client = programs.command("hub-client");
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = client.arg("list").stdin(Stdio::null()).stdout(writer).output().unwrap();
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(7), String::new()));
    hub.stop();
}

#[test]
fn a_closed_standard_error_causes_no_panic() {
    let programs = Programs::alone();
    let full = File::options().write(true).open("/dev/full").unwrap();
    let status = programs.command("hub-client").args(["validate", "nothing"]).stderr(full).status().unwrap();
    assert_eq!(status.code(), Some(2));
}

#[test]
fn an_exceeded_wait_limit_prints_the_record_and_the_id() {
    let (programs, hub) = hub();
    let job = r#"{"name": "j", "tasks": [{"name": "order", "args": [1]}]}"#;
    let flags = ["submit", "--wait", "--wait-limit", "0.5", "-o", "json", "-q"];
    let output = programs.run_reading("hub-client", &flags, job);
    assert_eq!(output.status.code(), Some(6), "{output:?}");
    let record: Value = serde_json::from_slice(&output.stdout).unwrap();
    let id = record["id"].as_str().unwrap();
    assert!(text(&output.stderr).contains(&format!("hub-client watch {id}")), "{output:?}");
    let watched = programs.run("hub-client", &["watch", id, "--wait-limit", "0.1"]);
    assert_eq!(watched.status.code(), Some(6), "{watched:?}");
    assert_eq!(programs.record(id)["status"], "RUNNING", "only the waiting ended");
    hub.stop();
}

#[test]
fn an_interrupted_wait_names_the_job() {
    let (programs, hub) = hub();
    std::fs::write(programs.directory().join("job"), r#"{"name": "j", "tasks": [{"name": "order", "args": [1]}]}"#)
        .unwrap();
    let id = "00000000-0000-4000-8000-000000000001";
    let waiting = programs
        .command("hub-client")
        .args(["submit", "job", "--wait", "-q", "-o", "json", "--id", id])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    eventually("the task is launched", || {
        let output = programs.run("hub-client", &["status", id]);
        if text(&output.stdout).contains("ordered") { Ok(()) } else { Err(output) }
    });
    // The submission itself waits first, before the client polls the job.
    let stat = format!("/proc/{}/status", waiting.id());
    eventually("it heeds the signal", || {
        let status = std::fs::read_to_string(&stat).unwrap();
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap().trim().to_owned();
        if u64::from_str_radix(&caught, 16).unwrap() & 2 != 0 { Ok(()) } else { Err(caught) }
    });
    let killed = std::process::Command::new("kill").args(["-INT", &waiting.id().to_string()]).status().unwrap();
    assert!(killed.success());
    let output = waiting.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{output:?}");
    assert!(text(&output.stderr).contains(&format!("hub-client watch {id}")), "{output:?}");
    hub.stop();
}

/// The width of a text on a terminal, without support for wide characters.
fn widest(table: &str) -> usize {
    table.lines().map(|line| line.chars().count()).max().unwrap_or_default()
}

#[test]
fn tables_fit_the_terminal_and_are_complete_in_a_pipe() {
    let (programs, hub) = hub();
    let name = "a-name-that-is-rather-long-for-a-column-of-a-table";
    let long = "x".repeat(300);
    let tasks =
        json!([{"name": name, "task_name": "echo", "args": [[long, "b\nc\u{202e}"]]}, {"name": "echo", "args": [2]}]);
    let id = programs.submit(&json!({"name": name, "tasks": tasks}).to_string());
    programs.ended(&id);
    for width in [20_usize, 60, 80, 100, 132, 200] {
        for command in [&["list"][..], &["workers"], &["status", "last"]] {
            let client = &mut programs.command("hub-client");
            let output = client.args(command).args(["-o", "table"]).env("COLUMNS", width.to_string()).output().unwrap();
            let table = text(&output.stdout);
            let heading = if command[0] == "status" { 3 } else { 0 };
            let rows: Vec<&str> = table.lines().skip(heading).take_while(|line| !line.is_empty()).collect();
            assert_eq!(rows.len(), if command[0] == "status" { 3 } else { 2 }, "{table}");
            let rows = rows.join("\n");
            // Columns that are never truncated need at least this width.
            assert!(width < 60 || widest(&rows) <= width, "{width} of {}:\n{rows}", widest(&rows));
        }
    }
    let narrow = programs.command("hub-client").args(["list", "-o", "table"]).env("COLUMNS", "80").output().unwrap();
    let narrow = text(&narrow.stdout);
    let short = narrow.lines().nth(1).unwrap().split(' ').next().unwrap();
    assert!(id.ends_with(short) && id != short, "{narrow}");
    assert!(text(&programs.run("hub-client", &["status", short]).stdout).contains(name), "it can be used");
    for (command, whole) in
        [(&["list"][..], &*id), (&["list"], name), (&["status", "last"], &long), (&["status", "last"], r"b\nc\u{202e}")]
    {
        let piped = text(&programs.run("hub-client", &[command, &["-o", "table"]].concat()).stdout);
        assert!(piped.contains(whole), "{whole} is not in:\n{piped}");
        assert!(!piped.contains('\u{202e}'), "{piped:?}");
    }
    hub.stop();
}

#[test]
fn failures_are_shown_completely_with_worker_and_durations() {
    let (programs, hub) = hub();
    let message = format!("first line {}\nsecond line \u{1b}[31m", "y".repeat(200));
    let job = json!({"name": "j", "tasks": [
        {"name": "good", "task_name": "echo", "args": [1]},
        {"name": "bad", "task_name": "fails", "args": [message]},
        {"name": "after", "task_name": "echo", "args": ["_bad.data"]}]});
    let id = programs.submit(&job.to_string());
    let record = programs.ended(&id);
    let output = programs
        .command("hub-client")
        .args(["status", &id, "-o", "table", "--color", "never"])
        .env("COLUMNS", "80")
        .output()
        .unwrap();
    let shown = text(&output.stdout);
    for words in [
        "task   status           duration  worker",
        &format!("first line {}", "y".repeat(200)),
        r"second line \u{1b}[31m",
        "TASK_FAILED, ValueError",
        "before it failed",
        record["tasks"][1]["worker"].as_str().unwrap(),
        record["submitted_at"].as_str().unwrap(),
    ] {
        assert!(shown.contains(words), "{words:?} is missing in:\n{shown}");
    }
    assert!(!shown.contains('\u{1b}'), "{shown:?}");
    hub.stop();
}

#[test]
fn colours_are_used_on_terminals_or_on_request() {
    let (programs, hub) = hub();
    programs.ended(&programs.submit(r#"{"name": "j", "tasks": [{"name": "echo", "args": [1]}]}"#));
    let has_colours = |command: &mut std::process::Command| command.output().unwrap().stdout.contains(&0x1b);
    let client = |arguments: &[&str]| {
        let mut client = programs.command("hub-client");
        client.args(arguments);
        client
    };
    assert!(!has_colours(&mut client(&["list", "-o", "table"])));
    assert!(has_colours(&mut client(&["list", "-o", "table", "--color", "always"])));
    assert!(!has_colours(&mut client(&["list", "-o", "json", "--color", "always"])));
    // `script` gives the client a terminal.
    let on_terminal = |environment: &[(&str, &str)], flags: &str| {
        let mut script = programs.command("/usr/bin/script");
        let client = client(&[]).get_program().to_owned();
        let line = format!("stty cols 70 2>/dev/null; {} list {flags}", client.to_string_lossy());
        script.args(["-qec", &line, "/dev/null"]).env("TERM", "xterm").env_remove("NO_COLOR").env_remove("COLUMNS");
        script.envs(environment.iter().copied()).stdin(Stdio::null());
        script
    };
    if std::path::Path::new("/usr/bin/script").exists() {
        let mut plain = on_terminal(&[], "");
        let shown = text(&plain.output().unwrap().stdout);
        assert!(shown.contains('\u{1b}') && shown.starts_with("id "), "{shown:?}");
        assert!(!has_colours(&mut on_terminal(&[("NO_COLOR", "1")], "")));
        assert!(!has_colours(&mut on_terminal(&[], "--color never")));
        assert!(!has_colours(&mut on_terminal(&[("TERM", "dumb")], "")));
        assert!(has_colours(&mut on_terminal(&[("NO_COLOR", "1")], "--color always")));
    }
    hub.stop();
}

#[test]
fn all_times_have_the_same_format() {
    fn times(value: &Value, found: &mut Vec<Value>) {
        match value {
            Value::Object(map) => {
                let is_time = |key: &str| key.ends_with("_at") || key == "last_seen";
                found.extend(
                    map.iter().filter(|(key, value)| is_time(key) && !value.is_null()).map(|(_, value)| value.clone()),
                );
                map.values().for_each(|value| times(value, found));
            }
            Value::Array(list) => list.iter().for_each(|value| times(value, found)),
            _ => {}
        }
    }
    let (programs, hub) = hub();
    let id = programs.submit(r#"{"name": "j", "tasks": [{"name": "echo", "args": [1]}]}"#);
    programs.ended(&id);
    for command in [&["list"][..], &["-S"], &["workers"], &["status", &id]] {
        let mut found = Vec::new();
        times(&serde_json::from_slice(&programs.run("hub-client", command).stdout).unwrap(), &mut found);
        assert!(!found.is_empty(), "{command:?}");
        for time in found {
            assert!(time.as_str().is_some_and(|time| time.len() == 24 && time.ends_with('Z')), "{command:?}: {time}");
        }
    }
    hub.stop();
}

#[test]
fn help_has_examples_and_only_the_applicable_flags() {
    let programs = Programs::alone();
    let help = |arguments: &[&str]| {
        let output = programs.run("hub-client", arguments);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        text(&output.stdout)
    };
    for command in ["run", "submit", "list", "result", "validate", "schema", "completions", "man"] {
        assert!(help(&[command, "--help"]).contains("Examples:"), "{command}");
    }
    let (root, status) = (help(&["--help"]), help(&["status", "--help"]));
    assert!(root.contains("Examples:") && root.contains("Exit codes:") && root.contains("--create"), "{root}");
    for heading in ["Connection:", "Output:"] {
        assert!(root.contains(heading) && status.contains(heading), "{heading}");
    }
    assert!(status.contains("--broker") && !status.contains("--create"), "{status}");
    for command in ["run", "validate", "schema", "completions", "man"] {
        for way in [&[command, "--help"][..], &["help", command]] {
            let shown = help(way);
            assert!(!shown.contains("--broker") && !shown.contains("--timeout"), "{shown}");
        }
    }
    let nothing = programs.run("hub-client", &[]);
    assert_eq!(nothing.status.code(), Some(2));
    assert!(text(&nothing.stderr).contains("Usage: hub-client"));
}

#[test]
fn the_schema_is_that_of_the_job_format() {
    let printed = Programs::alone().run("hub-client", &["schema"]);
    let schema: serde_json::Value = serde_json::from_slice(&printed.stdout).unwrap();
    assert!(printed.status.success() && schema == hub_core::job::schema(), "{printed:?}");
}

#[test]
fn every_program_has_completions_and_manual_pages() {
    let programs = Programs::alone();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = programs.run("hub-client", &["completions", shell]);
        assert!(script.status.success() && text(&script.stdout).contains("wait-limit"), "{script:?}");
    }
    let worker = programs.run("hub-client", &["completions", "bash", "--program", "hub-worker"]);
    assert!(text(&worker.stdout).contains("--slots"), "{worker:?}");
    let bash =
        programs.run_reading("/bin/bash", &["-n"], &text(&programs.run("hub-client", &["completions", "bash"]).stdout));
    assert!(bash.status.success(), "{bash:?}");
    assert!(programs.run("hub-client", &["man", "man/man1"]).status.success());
    for page in
        ["hub-client", "hub-client-submit", "hub-dispatcher", "hub-worker", "ctrl-hub-worker", "ctrl-hub-dispatcher"]
    {
        let page = std::fs::read_to_string(programs.directory().join(format!("man/man1/{page}.1"))).unwrap();
        assert!(page.contains(".TH") && page.contains(".SH OPTIONS"), "{page}");
    }
    assert!(
        text(&programs.run("hub-client", &["man"]).stdout).contains(".TH hub"),
        "without a directory it is printed"
    );
}
