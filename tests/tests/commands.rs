//! Tasks without a module and secrets, with the real programs.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;

use hub_tests::{Programs, eventually};
use serde_json::{Value, json};

const SECRET: &str = "correct horse \"battery\" staple";

/// Fails with the secret, after it has told it in every way.
const TELLS: &str = r#"
import json
def tells(secret, fails):
    print(secret)
    print(json.dumps({"secret": secret}))
    if fails:
        raise ValueError(f"what is {secret}?")
    return {secret: ["it is " + secret], "length": len(secret)}
"#;

/// A server that answers each request with its text.
fn serve_echo() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let (mut request, mut buffer) = (Vec::new(), [0; 4096]);
            while !request.windows(4).any(|end| end == b"\r\n\r\n") {
                let read = stream.read(&mut buffer).unwrap();
                request.extend_from_slice(&buffer[..read]);
            }
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", request.len());
            stream.write_all(head.as_bytes()).unwrap();
            stream.write_all(&request).unwrap();
        }
    });
    format!("http://{address}")
}

/// Whether a text contains the secret, as it is or as JSON.
fn is_told(bytes: &[u8]) -> bool {
    let written = Value::from(SECRET).to_string();
    let forms = [SECRET, &written[1..written.len() - 1]];
    forms.iter().any(|form| bytes.windows(form.len()).any(|part| part == form.as_bytes()))
}

/// The files below a directory that contain the secret, except those of the directory of secrets.
fn files_that_tell(directory: &Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("secrets") {
            files_that_tell(&path, found);
        } else if path.is_file() && is_told(&std::fs::read(&path).unwrap()) {
            found.push(path.display().to_string());
        }
    }
}

fn processes_that_tell() -> Vec<String> {
    let all =
        std::fs::read_dir("/proc").unwrap().filter_map(|entry| std::fs::read(entry.ok()?.path().join("cmdline")).ok());
    all.filter(|line| is_told(line)).map(|line| String::from_utf8_lossy(&line).into_owned()).collect()
}

#[test]
fn a_secret_reaches_its_tasks_and_nothing_else() {
    let programs = Programs::alone().with("HUB_SECRET_spare", SECRET);
    std::fs::create_dir(programs.directory().join("secrets")).unwrap();
    std::fs::write(programs.directory().join("secrets/main"), format!("{SECRET}\n")).unwrap();
    let modules = [("tells.py", TELLS)];
    let (programs, hub) = programs.start_in_memory(&modules, &["--secrets-dir", "secrets", "--store", "hub.db"]);
    let waits = "echo \"${#S}\"; echo \"$S\" >&2; touch begun; while ! [ -e go ]; do sleep 0.05; done";
    let job = json!({"name": "j", "tasks": [
        {"name": "returns", "task_name": "tells", "args": ["_.secret.main", false]},
        {"name": "fails", "task_name": "tells", "kwargs": {"secret": "_.secret.main", "fails": true}},
        {"name": "command", "shell": waits, "env": {"S": "_.secret.spare"}},
        {"name": "request", "http": {"url": serve_echo(), "headers": {"Authorization": "_.secret.main"}}},
        {"name": "posing", "task_name": "tells", "args": ["_data.data", false]},
        {"name": "data", "command": ["echo", "__.secret.main"]},
        {"name": "missing", "shell": "true", "env": {"S": "_.secret.absent"}}]});
    let id = programs.submit(&job.to_string());
    eventually("the command runs", || {
        programs.directory().join("tasks/begun").exists().then_some(()).ok_or_else(|| programs.record(&id))
    });
    assert_eq!(processes_that_tell(), Vec::<String>::new());
    std::fs::write(programs.directory().join("tasks/go"), "").unwrap();
    let record = programs.ended(&id);
    let task = |at: usize| &record["tasks"][at];
    let length = SECRET.len();
    assert_eq!(task(0)["data"], json!({"***": ["it is ***"], "length": length}), "{record:#}");
    assert_eq!(task(0)["log"], "***\n{\"secret\": \"***\"}\n");
    assert_eq!((&task(0)["args"][0], &task(1)["msg"]), (&json!("_.secret.main"), &json!("what is ***?")));
    assert_eq!((&task(2)["data"], &task(2)["log"]), (&json!(length.to_string()), &json!("***\n")));
    let echoed = task(3)["data"]["body"].as_str().unwrap();
    assert!(echoed.contains("authorization: ***\r\n"), "{echoed}");
    assert_eq!(task(4)["data"]["length"], "_.secret.main".len(), "data cannot pose as a secret");
    assert_eq!(task(6)["error"]["kind"], "MISSING_VALUE");
    let why = task(6)["msg"].as_str().unwrap();
    assert!(
        why.starts_with("the secret \"absent\" is missing on the worker ") && why.contains("HUB_SECRET_absent"),
        "{why}"
    );
    assert!(!is_told(record.to_string().as_bytes()), "{record:#}");
    hub.stop();
    let mut files = Vec::new();
    files_that_tell(programs.directory(), &mut files);
    assert_eq!(files, Vec::<String>::new());
    assert!(programs.directory().join("hub.db").exists());
}

#[test]
fn a_command_waits_where_no_worker_allows_it() {
    let (programs, hub) =
        Programs::in_memory(&[("one.py", "def one():\n    return 1\n")], &["--allow", "modules,http"]);
    let workers = eventually("the worker is known", || {
        let output = programs.run("hub-client", &["workers", "-o", "json"]);
        let workers: Value = serde_json::from_slice(&output.stdout).unwrap();
        if workers[0].is_object() { Ok(workers) } else { Err(workers) }
    });
    assert_eq!(workers[0]["allow"], json!(["modules", "http"]), "{workers:#}");
    let job = r#"{"name": "j", "tasks": [{"name": "one"}, {"name": "c", "command": ["true"], "depends": ["one"]}]}"#;
    let output = programs.run_reading("hub-client", &["submit", "-o", "json"], job);
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    let warning = answer["warnings"][0].as_str().unwrap();
    assert!(warning.starts_with("no worker of the pool \"default\" allows commands"), "{warning}");
    let id = answer["id"].as_str().unwrap();
    eventually("its reason says so", || {
        let task = programs.record(id)["tasks"][1].clone();
        let says_so = task["waiting_reason"].as_str().is_some_and(|why| why.contains("add command to allow"));
        if says_so { Ok(()) } else { Err(task) }
    });
    assert!(programs.run("hub-client", &["cancel", id]).status.success());
    hub.stop();
}

#[test]
fn a_job_of_commands_needs_no_modules() {
    let programs = Programs::alone();
    let job = r#"{"name": "j", "tasks": [{"name": "a", "command": ["pwd"]}], "output": "_a.data"}"#;
    let output = programs.run_reading("hub-client", &["run", "-"], job);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let record: Value = serde_json::from_slice(&output.stdout).unwrap();
    let here = programs.directory().canonicalize().unwrap();
    assert_eq!(record["output"].as_str().map(Path::new), Some(&*here));
    let text = r#"{"name": "j", "tasks": [{"name": "a", "shell": "echo _b.data"}, {"name": "b", "shell": "true"}]}"#;
    let output = programs.run_reading("hub-client", &["validate", "-"], text);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("contains _b.data, which is not replaced there"), "{output:?}");
}
