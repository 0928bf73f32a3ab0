//! Tests of usage errors, help texts, manual pages, and checks before a request.

use std::process::{Command, Stdio};

use hub_tests::{Programs, fails, said};
use serde_json::{Value, json};

/// The address of a missing broker. Commands that need one fail with exit code 4.
const NOWHERE: &str = "127.0.0.1:1";

fn write(programs: &Programs, name: &str, text: impl AsRef<[u8]>) {
    std::fs::write(programs.directory().join(name), text).unwrap();
}

#[test]
fn without_a_command_the_commands_are_shown() {
    for programs in [Programs::alone(), Programs::alone().with("HUB_BROKER", NOWHERE)] {
        for flags in [&[][..], &["-q"]] {
            let nothing = programs.run("hub-client", flags);
            fails(&nothing, 2, &["Usage: hub-client", "submit", "Examples:"]);
            assert!(nothing.stdout.is_empty());
        }
    }
}

#[test]
fn usage_messages_do_not_contain_settings_of_the_environment() {
    let programs = Programs::alone().with("HUB_BROKER", NOWHERE).with("HUB_PREFIX", "p");
    for wrong in [&["list", "--limit", "x"][..], &["status"], &["result"], &["-C", "-S"], &["list", "--bogus"]] {
        let output = programs.run("hub-client", wrong);
        fails(&output, 2, &["error:"]);
        assert!(!said(&output).contains("--broker") && !said(&output).contains("--prefix"), "{}", said(&output));
    }
    let wrong = Programs::alone().with("HUB_HEARTBEAT", "1").run("hub-client", &["list"]);
    fails(&wrong, 2, &["--heartbeat", "from 2 to 65535"]);
}

#[test]
fn the_help_of_the_client_names_both_kinds_of_address() {
    let programs = Programs::alone();
    let help = |program: &str, flags: &[&str]| {
        let shown = String::from_utf8(programs.run(program, flags).stdout).unwrap();
        shown.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    for flags in [&["-h"][..], &["--help"], &["list", "-h"], &["help", "submit"]] {
        assert!(help("hub-client", flags).contains("as http://HOST:PORT"), "{flags:?}");
    }
    assert!(!help("hub-worker", &["--help"]).contains("http://HOST"));
}

#[test]
fn a_check_prints_json_on_request() {
    let programs = Programs::alone();
    write(&programs, "good.json", r#"{"name": "j", "tasks": [{"name": "a"}, {"name": "b"}]}"#);
    write(&programs, "bad.json", r#"{"name": "j", "tasks": [{"name": "a", "dependz": []}]}"#);
    write(&programs, "latin1.json", b"{\"name\": \"caf\xe9\"}");
    let answer = |file: &str| {
        let output = programs.run("hub-client", &["validate", "-o", "json", file]);
        (output.status.code(), serde_json::from_slice::<Value>(&output.stdout).expect("an answer"))
    };
    assert_eq!(answer("good.json"), (Some(0), json!({"valid": true, "name": "j", "tasks": 2})));
    let (code, bad) = answer("bad.json");
    assert_eq!((code, &bad["valid"], &bad["problems"][0]["code"]), (Some(2), &json!(false), &json!("unknown_key")));
    assert_eq!(answer("latin1.json").1["problems"][0]["code"], "not_utf8");
    let plain = programs.run("hub-client", &["validate", "good.json"]);
    assert!(plain.stdout.is_empty() && said(&plain).contains("valid job with 2 tasks"), "{plain:?}");
}

#[test]
fn an_invalid_job_is_refused_without_a_broker() {
    let programs = Programs::alone().with("HUB_BROKER", NOWHERE);
    let bad = r#"{"name": "j", "tasks": [{"name": "a", "dependz": []}]}"#;
    let validated = programs.run_reading("hub-client", &["validate"], bad);
    for flags in [&["submit"][..], &["submit", "--wait"], &["-C"]] {
        let output = programs.run_reading("hub-client", flags, bad);
        fails(&output, 2, &["did you mean \"depends\"?"]);
        assert_eq!(said(&output), said(&validated));
    }
    // Problems that depend on the dispatcher's limits or version need a request.
    let deep =
        format!(r#"{{"name": "j", "tasks": [{{"name": "a", "args": [{}0{}]}}]}}"#, "[".repeat(90), "]".repeat(90));
    for text in [deep.as_str(), r#"{"name": "j", "tasks": [{"name": "a"}], "concurrency": 1}"#] {
        fails(&programs.run_reading("hub-client", &["submit"], text), 4, &["no connection"]);
    }
    for empty in ["", " \n", "\u{feff}"] {
        fails(&programs.run_reading("hub-client", &["submit"], empty), 2, &["not a valid job"]);
    }
}

#[test]
fn unknown_keys_are_refused_before_any_request() {
    let programs = Programs::alone().with("HUB_BROKER", NOWHERE);
    for flags in [&["status", "last"][..], &["watch", "last"], &["submit", "--wait"]] {
        let job = r#"{"name": "j", "tasks": [{"name": "a"}]}"#;
        let ask = |keys: &str| programs.run_reading("hub-client", &[flags, &["--fields", keys]].concat(), job);
        fails(&ask("status,massage"), 2, &["\"massage\"", "known fields", "msg"]);
        fails(&ask(""), 2, &["status,msg"]);
        fails(&ask("status,x-mine"), 4, &["no connection"]);
    }
}

#[test]
fn a_missing_module_is_reported_with_a_suggestion() {
    let programs = Programs::alone();
    programs.write_modules(&[("resize_image.py", "def resize_image(): pass\n"), ("unload.py", "def unload(): pass\n")]);
    let job = r#"{"name": "j", "tasks": [{"name": "resize_imgae"}, {"name": "unload"}, {"name": "zzz"}]}"#;
    let output = programs.run_reading("hub-client", &["run", "-", "--tasks-dir", "tasks"], job);
    fails(&output, 2, &["tasks: resize_imgae (did you mean resize_image?), zzz. A task module"]);
}

#[test]
fn a_failure_contains_its_exception_and_each_text_once() {
    let programs = Programs::alone();
    programs.write_modules(&[
        ("boom.py", "def boom(key):\n    return {}[key]\n"),
        ("told.py", "def told(): raise ValueError('a\\x1b[31m\\nb')\n"),
    ]);
    let run = |job: &str| {
        let flags = ["run", "-", "--tasks-dir", "tasks", "-o", "table"];
        let output = programs.run_reading("hub-client", &flags, job);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let shown = run(r#"{"name": "j", "tasks": [{"name": "boom", "args": ["nokey"]}]}"#);
    assert!(shown.ends_with("\n1 of 1 tasks failed: \"boom\": KeyError: 'nokey'\n"), "{shown}");
    // In the table, in the traceback and in the summary.
    assert_eq!(shown.matches("'nokey'").count(), 3, "{shown}");
    let shown = run(r#"{"name": "j", "tasks": [{"name": "told"}]}"#);
    assert!(shown.ends_with("\"told\": ValueError: a\\u{1b}[31m\\nb\n"), "{shown}");
}

#[test]
fn a_hub_without_task_modules_does_not_start() {
    let programs = Programs::alone();
    let output = programs.run("hub-dispatcher", &["--transport", "memory", "--http", "none"]);
    fails(&output, 2, &["needs a directory of task modules", "--tasks-dir", "tasks_dir"]);
}

#[test]
fn a_start_error_is_reported_once_and_is_readable() {
    let programs = Programs::alone();
    write(&programs, "file", "");
    let flags = ["--store", "file/jobs.db", "--http", "none", "-b", NOWHERE];
    let output = programs.run("hub-dispatcher", &flags);
    fails(&output, 5, &["error: cannot keep jobs in file/jobs.db", "\n  caused by: "]);
    assert!(
        !said(&output).contains("\\n") && said(&output).matches("cannot keep jobs").count() == 1,
        "{}",
        said(&output)
    );
    let logging = programs.run("hub-dispatcher", &[&flags[..], &["--log-file", "log"]].concat());
    assert_eq!(said(&logging).matches("cannot keep jobs").count(), 1, "{}", said(&logging));
    let log = std::fs::read_to_string(programs.directory().join("log")).unwrap();
    assert!(log.contains("cannot keep jobs") && log.contains("; caused by: ") && !log.contains("\\n"), "{log}");
}

#[test]
fn a_start_reports_what_it_waits_for() {
    let programs = Programs::alone();
    write(&programs, "c", format!("[HUB]\nbroker={NOWHERE}\nhttp=none\nstore=memory\npid_file=pid\n"));
    let output = programs.run("ctrl-hub-dispatcher", &["-c", "c", "--timeout", "3", "start"]);
    fails(&output, 1, &["waiting up to 3 s for hub-dispatcher: no connection", NOWHERE, "not ready within 3 s"]);
    assert_eq!(said(&output).matches("Connection refused").count(), 1, "{}", said(&output));
    assert!(!said(&output).contains("\\n"), "{}", said(&output));
}

#[test]
fn flags_variables_and_keys_have_the_same_bounds() {
    let programs = Programs::alone();
    let bounds = [
        ("max_value_bytes", "134217729", "134217728"),
        ("max_job_depth", "121", "120"),
        ("max_job_bytes", "0", "at least 1"),
        ("heartbeat", "65536", "65535"),
        ("max_message_bytes", "0", "at least 1"),
        ("retain_jobs", "-1", "at least 0"),
    ];
    for (key, value, bound) in bounds {
        write(&programs, "c", format!("[HUB]\n{key}={value}\n"));
        fails(&programs.run("hub-dispatcher", &["-c", "c"]), 2, &["c:2", key, bound]);
        let flag = format!("--{}={value}", key.replace('_', "-"));
        fails(&programs.run("hub-dispatcher", &[&flag]), 2, &[bound]);
        let variable = format!("HUB_{}", key.to_uppercase());
        fails(&Programs::alone().with(&variable, value).run("hub-dispatcher", &[]), 2, &[bound]);
    }
}

#[test]
fn manual_pages_have_every_flag_and_the_usual_sections() {
    let programs = Programs::alone();
    assert!(programs.run("hub-client", &["man", "man"]).status.success());
    let mut names: Vec<String> = std::fs::read_dir(programs.directory().join("man"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    assert!(names.contains(&"hub-client-submit.1".to_owned()), "{names:?}");
    assert!(!names.iter().any(|name| name.contains("help")), "{names:?}");
    let page = |name: &str| std::fs::read_to_string(programs.directory().join("man").join(name)).unwrap();
    for name in &names {
        let text = page(name);
        for section in ["NAME", "SYNOPSIS", "DESCRIPTION", "EXIT STATUS", "FILES"] {
            assert!(
                text.contains(&format!("\n.SH {section}\n").replace("EXIT STATUS", "\"EXIT STATUS\"")),
                "{name}: {section}\n{text}"
            );
        }
        if Command::new("man").arg("--version").stdout(Stdio::null()).status().is_ok() {
            let checked = programs.command("/usr/bin/man").args(["--warnings", "-l", &format!("man/{name}")]).output();
            assert!(checked.is_ok_and(|checked| checked.stderr.is_empty()), "{name}");
        }
    }
    for name in ["hub-client.1", "hub-client-list.1", "hub-dispatcher.1", "hub-worker.1"] {
        let text = page(name);
        assert!(
            text.contains(".SH ENVIRONMENT") && text.contains("HUB_BROKER") && text.contains(".SH EXAMPLES"),
            "{text}"
        );
        assert!(
            text.contains("additional trusted certificate authorities"),
            "{name} tells of flags that few need\n{text}"
        );
    }
    assert!(page("hub-client.1").contains("Token of the HTTP API"));
    assert!(!page("hub-client-validate.1").contains("HUB_BROKER"), "it asks no Hub");
}
