//! Tests of the messages of `hub-client` for confused ids, addresses and files.

use std::io::{Read, Write};
use std::net::TcpListener;

use hub_tests::{Daemon, Programs, eventually, fails, said};
use serde_json::{Value, json};

const ORDER: &str =
    "from hub.lib.api import task\n\n@task(asynchronous=True)\ndef order(what):\n    return 'ordered'\n";
const ECHO: &str = "def echo(value):\n    return value\n";

/// A Hub whose dispatcher has received a heartbeat of its worker.
fn hub() -> (Programs, Daemon) {
    let (programs, hub) = Programs::in_memory(&[("order.py", ORDER), ("echo.py", ECHO)], &[]);
    eventually("the worker is known", || {
        let workers = programs.run("hub-client", &["workers"]);
        if workers.stdout.starts_with(b"[{") { Ok(()) } else { Err(workers) }
    });
    (programs, hub)
}

fn job(name: &str, module: &str) -> String {
    json!({"name": name, "tasks": [{"name": module, "args": ["a"]}], "output": format!("_{module}.data")}).to_string()
}

#[test]
fn partial_ids_and_last_are_resolved() {
    let (programs, hub) = hub();
    let first = programs.submit(&job("first", "order"));
    let second = programs.submit(&job("second", "order"));
    let name = |id: &str| {
        let record: Value = serde_json::from_slice(&programs.run("hub-client", &["status", id]).stdout).unwrap();
        record["name"].clone()
    };
    // Ids begin with the time and end with random digits, so only the complete id is certainly unique.
    assert_eq!(name(&first[24..]), "first");
    assert_eq!(name(&second.to_uppercase()[19..]), "second");
    assert_eq!(name(&first[..35]), "first");
    assert_eq!(name("last"), "second");
    assert_eq!(name(&format!("\"{first}\",")), "first");
    let manual = programs.run("hub-client", &["-S", &second[24..]]);
    assert_eq!(serde_json::from_slice::<Value>(&manual.stdout).unwrap()["name"], "second");

    fails(&programs.run("hub-client", &["status", &first[..6]]), 2, &["2 ids", &first, &second, "second  RUNNING"]);
    fails(&programs.run("hub-client", &["cancel", "ffffffffffff"]), 3, &["no job has an id", "searched 2 jobs"]);
    fails(&programs.run("hub-client", &["status", "first"]), 2, &["hexadecimal", "hub-client list"]);
    fails(&programs.run("hub-client", &["status", "abc"]), 2, &["at least 4"]);
    assert!(programs.run("hub-client", &["cancel", "last", "--wait"]).status.success());
    assert_eq!(programs.record(&second)["status"], "CANCELLED");
    assert_eq!(programs.record(&first)["status"], "RUNNING");
    hub.stop();
}

#[test]
fn ids_of_jobs_and_tasks_are_distinguished() {
    let (programs, hub) = hub();
    let id = programs.submit(&job("j", "order"));
    let task = eventually("the task is launched", || {
        let record = programs.record(&id);
        let is_launched = record["tasks"][0]["data"] == "ordered";
        if is_launched { Ok(record["tasks"][0]["id"].as_str().unwrap().to_owned()) } else { Err(record) }
    });
    let reason = &programs.record(&id)["tasks"][0]["waiting_reason"];
    assert!(reason.as_str().is_some_and(|reason| reason.contains("from outside")), "{reason}");
    for given in [&*id, &id[24..]] {
        fails(&programs.run("hub-client", &["result", given]), 3, &["is the id of a job", &task, "order"]);
    }
    for command in ["status", "cancel", "remove", "watch"] {
        fails(&programs.run("hub-client", &[command, &task]), 3, &["is the id of a task", &format!("status {id}")]);
    }
    let posted = programs.run("hub-client", &["result", &task[24..], "--data", "[1]"]);
    assert!(posted.status.success(), "{posted:?}");
    assert_eq!(programs.ended(&id)["output"], json!([1]));
    fails(&programs.run("hub-client", &["result", &id]), 3, &["is the id of a job", "None of its tasks waits"]);
    fails(&programs.run("hub-client", &["result", &task, "--data", "done"]), 2, &["not valid JSON", "double quotes"]);
    hub.stop();
}

#[test]
fn a_module_that_no_worker_has_is_reported_at_once() {
    let (programs, hub) = hub();
    let text = job("j", "ecko");
    let plain = programs.run_reading("hub-client", &["submit"], &text);
    assert!(plain.status.success());
    let warning = "no worker of the pool \"default\" has a task module \"ecko\"";
    assert!(said(&plain).contains(warning) && said(&plain).contains("did you mean \"echo\"?"), "{plain:?}");
    let answer = programs.run_reading("hub-client", &["submit", "-q", "-o", "json"], &text);
    assert_eq!(said(&answer), "");
    let answer: Value = serde_json::from_slice(&answer.stdout).unwrap();
    assert!(answer["warnings"][0].as_str().unwrap().contains(warning), "{answer}");
    let waited = programs.run_reading("hub-client", &["submit", "--wait", "--wait-limit", "0.5"], &text);
    fails(&waited, 6, &[warning, "--wait-limit", "keeps running"]);
    let good = programs.run_reading("hub-client", &["submit", "-o", "json"], &job("j", "echo"));
    assert!(!said(&good).contains("warning"), "{good:?}");
    assert!(serde_json::from_slice::<Value>(&good.stdout).unwrap().get("warnings").is_none());
    hub.stop();
}

#[test]
fn the_address_of_the_api_may_contain_its_path_but_needs_a_host() {
    let (programs, hub) = hub();
    let address = programs.variable("HUB_BROKER").to_owned();
    for form in ["/", "/api/v1", "/api/v1/", "/api"] {
        let output = programs.run("hub-client", &["-b", &format!("{address}{form}"), "health"]);
        assert!(output.status.success(), "{output:?}");
    }
    let place = address.trim_start_matches("http://");
    for broker in [place.to_owned(), format!("amqp://me:secret@{place}/v")] {
        let output = programs.run("hub-client", &["-b", &broker, "health"]);
        fails(&output, 4, &["is the HTTP API of a dispatcher", &format!("--broker {address}")]);
        assert!(!said(&output).contains("secret"), "{output:?}");
    }
    fails(&programs.run("hub-client", &["-b", &address.replace("http:", "https:"), "health"]), 2, &["TLS", "http://"]);
    hub.stop();
}

/// A server that answers every connection with these bytes.
fn server(greeting: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let _ = stream.read(&mut [0; 64]);
            let _ = stream.write_all(greeting);
        }
    });
    address
}

#[test]
fn other_servers_are_recognised() {
    let programs = Programs::alone();
    let (amqp, web) = (server(b"AMQP\0\0\x09\x01"), server(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n"));
    let broker = programs.run("hub-client", &["-b", &format!("http://{amqp}"), "list"]);
    fails(&broker, 4, &["is an AMQP broker", &format!("--broker {amqp}")]);
    fails(&programs.run("hub-client", &["-b", &web, "list"]), 4, &["is an HTTP server", "5672"]);
    fails(&programs.run("hub-client", &["-b", &format!("amqps://{amqp}"), "list"]), 4, &["without TLS", "amqp://"]);
}

#[test]
fn a_worker_with_the_address_of_the_api_reports_it() {
    let (programs, hub) = hub();
    let place = programs.variable("HUB_BROKER").trim_start_matches("http://").to_owned();
    for program in ["hub-worker", "hub-dispatcher"] {
        let flags: &[&str] = if program == "hub-worker" { &["--tasks-dir", "tasks"] } else { &["--http", "none"] };
        let lost = programs.start_as(&format!("lost-{program}"), program, &[&["-b", &place], flags].concat());
        lost.wait_for("is the HTTP API of a dispatcher, not a broker");
    }
    hub.stop();
}

#[test]
fn a_job_in_another_language_or_encoding_is_recognised() {
    let programs = Programs::alone();
    let json = r#"{"name": "café", "tasks": [{"name": "echo", "args": [1]}]}"#;
    let utf_16: Vec<u8> = json.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let with_mark = [&[0xff, 0xfe], &*utf_16].concat();
    let latin_1: Vec<u8> = json.chars().map(|one| u8::try_from(u32::from(one)).unwrap()).collect();
    let cases: [(&str, &[u8], &str); 10] = [
        ("yaml.json", b"name: j\ntasks:\n  - name: echo\n", ".yaml"),
        ("broken.yaml", b"name: j\ntasks:\n  - name: echo\n   - b", "not YAML"),
        ("quotes", b"{'name': 'j'}", "double quotes"),
        ("utf16", &with_mark, "iconv -f UTF-16"),
        ("utf16-without-mark", &utf_16, "iconv -f UTF-16"),
        ("latin1", &latin_1, "iconv -f WINDOWS-1252"),
        ("gzip", b"\x1f\x8b\x08\0", "compressed"),
        ("python", b"def echo(value):\n    return value\n", "program"),
        ("two", b"{\"name\": \"j\"}\n{\"name\": \"k\"}\n", "one job"),
        ("mark", b"\xef\xbb\xbf{}", "byte order mark"),
    ];
    for (name, bytes, word) in cases {
        std::fs::write(programs.directory().join(name), bytes).unwrap();
        for command in [&["validate", name][..], &["run", name, "--tasks-dir", "."]] {
            let output = programs.run("hub-client", command);
            fails(&output, 2, &[name, word]);
            assert!(!output.stderr.contains(&0), "{output:?}");
        }
    }
    fails(&programs.run("hub-client", &["validate", "{\"name\": 1}"]), 2, &["standard input"]);
    fails(&programs.run("hub-client", &["validate", "."]), 2, &["directory"]);
    std::fs::write(programs.directory().join("mine.json"), json).unwrap();
    fails(&programs.run("hub-client", &["validate", "mine"]), 2, &["mine.json"]);
}

#[test]
fn a_configuration_file_may_have_comments_and_quotes_but_no_duplicate_keys() {
    let programs = Programs::alone();
    let (web, file) = (server(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n"), programs.directory().join("c"));
    std::fs::write(&file, format!("[HUB]  # the hub\nbroker = \"{web}\" ; not a broker\n")).unwrap();
    fails(&programs.run("hub-client", &["-c", "c", "list"]), 4, &[&web, "is an HTTP server"]);
    std::fs::write(&file, "[HUB]\nbroker=a\nslots = \"2\nBroker=b\n").unwrap();
    fails(
        &programs.run("hub-client", &["-c", "c", "list"]),
        2,
        &["c:3: slots", "c:4: duplicate key broker", "first in line 2"],
    );
    std::fs::write(&file, b"[HUB]\nbroker=caf\xe9\n").unwrap();
    fails(&programs.run("hub-client", &["-c", "c", "list"]), 2, &["line 2", "iconv"]);
}
