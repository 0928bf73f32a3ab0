//! Tests of executables as tasks: error messages for unusable ones, and the processes that remain when a worker is killed.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Output};

use hub_tests::{Daemon, Programs, eventually};
use serde_json::Value;

fn write_program(programs: &Programs, name: &str, text: &str) {
    programs.write_modules(&[(name, text)]);
    set_mode(&programs.directory().join("tasks").join(name), 0o755);
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

fn run(programs: &Programs, job: &str, flags: &[&str]) -> Output {
    let flags = [&["run", "-", "--tasks-dir", "tasks", "--wait-limit", "60", "--output", "json"], flags].concat();
    programs.run_reading("hub-client", &flags, job)
}

/// The message of the only task of a job that has failed.
fn msg(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let record: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    record["tasks"][0]["msg"].as_str().unwrap().to_owned()
}

fn kill(daemon: Daemon) {
    assert!(Command::new("kill").args(["-KILL", &daemon.pid().to_string()]).status().unwrap().success());
    drop(daemon);
}

/// The processes that run in the directory of task modules.
fn processes(programs: &Programs) -> Vec<String> {
    let tasks = std::fs::canonicalize(programs.directory().join("tasks")).unwrap();
    let entries = std::fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
    let there = entries.filter(|path| std::fs::read_link(path.join("cwd")).is_ok_and(|cwd| cwd == tasks));
    there.map(|path| std::fs::read_to_string(path.join("cmdline")).unwrap_or_default().replace('\0', " ")).collect()
}

fn sdk_directories(programs: &Programs) -> Vec<String> {
    let entries = std::fs::read_dir(programs.directory()).unwrap().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|name| name.starts_with("hub-sdk-")).collect()
}

#[test]
fn a_script_with_windows_line_ends_is_reported() {
    let programs = Programs::alone();
    write_program(&programs, "crlf", "#!/bin/sh\r\necho 1\r\n");
    let job = r#"{"name":"crlf-script","tasks":[{"name":"t","task_name":"crlf","args":[]}],"output":"_t.data"}"#;
    let output = run(&programs, job, &[]);
    let msg = msg(&output);
    assert!(msg.contains("CR LF") && msg.contains(r"Run: sed -i 's/\r$//' crlf"), "{msg}");
}

#[test]
fn unusable_executables_are_reported_by_run_and_by_a_worker() {
    let programs = Programs::alone();
    programs.write_modules(&[("one.py", "def one():\n    return 1\n")]);
    write_program(&programs, "greet.sh", "#!/bin/sh\necho 1\n");
    set_mode(&programs.directory().join("tasks/greet.sh"), 0o644);
    let msgs = [("greet", "chmod +x greet.sh"), ("one", "the Python interpreter /no/such/python cannot be started")];
    for (name, words) in msgs {
        let job = format!(r#"{{"name": "j", "tasks": [{{"name": "{name}"}}]}}"#);
        let msg = msg(&run(&programs, &job, &["--python", "/no/such/python"]));
        assert!(msg.contains(words), "{msg}");
    }
    let (_programs, hub) = programs.start_in_memory(&[], &["--python", "/no/such/python"]);
    for (_, words) in msgs {
        hub.wait_for(words);
    }
    hub.stop();
}

#[test]
fn all_processes_of_tasks_end_when_the_worker_is_killed() {
    let programs = Programs::alone();
    write_program(
        &programs,
        "long",
        "#!/bin/sh\ntrap '' TERM HUP\nsleep 1000 &\necho > began-$$\nsleep 1000\nsleep 1000\n",
    );
    let function = "import os, subprocess, time\n\ndef function():\n    here = os.path.dirname(__file__)\n    \
                    os.chdir(here)\n    subprocess.Popen(['sleep', '1000'])\n    open('begun-function', 'w').close()\n    \
                    time.sleep(1000)\n";
    let hang =
        "import os, time\n\nos.chdir(os.path.dirname(__file__))\nopen('begun-import', 'w').close()\ntime.sleep(1000)\n";
    let (programs, hub) = programs.start_in_memory(&[("function.py", function)], &["--slots", "40"]);
    // There are many more tasks than slots, so programs are being started when the worker is killed.
    let many: Vec<String> = (0..60).map(|at| format!(r#"{{"name": "t{at}", "task_name": "long"}}"#)).collect();
    programs.submit(r#"{"name": "j", "tasks": [{"name": "function"}]}"#);
    let tasks = programs.directory().join("tasks");
    let has_begun = |what: &str| {
        eventually(what, || {
            let names = std::fs::read_dir(&tasks).unwrap().flatten().map(|entry| entry.file_name());
            names.map(|name| name.to_string_lossy().into_owned()).find(|name| name.starts_with(what)).ok_or("not there")
        });
    };
    has_begun("begun-function");
    programs.write_modules(&[("hang.py", hang)]);
    has_begun("begun-import");
    programs.submit(&format!(r#"{{"name": "j", "tasks": [{}]}}"#, many.join(",")));
    has_begun("began-");
    assert_eq!(sdk_directories(&programs).len(), 1);
    assert!(!processes(&programs).is_empty());
    kill(hub);
    eventually("nothing is left of the tasks", || {
        let left = (processes(&programs), sdk_directories(&programs));
        if left.0.is_empty() && left.1.is_empty() { Ok(()) } else { Err(left) }
    });
}

#[test]
fn the_files_for_python_are_private_for_any_umask() {
    let programs = Programs::alone();
    write_program(
        &programs,
        "open",
        "#!/bin/sh\nls -d \"$TMPDIR\"/hub-sdk-*/hub >&2\nfind \"$TMPDIR\"/hub-sdk-* -perm /077 | wc -l\n",
    );
    let under = |mask: &str| {
        let client = programs.command("hub-client");
        let mut shell = Command::new("sh");
        shell.current_dir(programs.directory());
        for (name, value) in client.get_envs() {
            match value {
                Some(value) => shell.env(name, value),
                None => shell.env_remove(name),
            };
        }
        shell.args(["-c", &format!("umask {mask}; exec \"$@\""), "sh"]).arg(client.get_program());
        shell.args(["run", "job.json", "--tasks-dir", "tasks", "--output", "json"]).output().unwrap()
    };
    std::fs::write(programs.directory().join("job.json"), r#"{"name": "j", "tasks": [{"name": "open"}]}"#).unwrap();
    for mask in ["0", "022", "0277"] {
        let output = under(mask);
        let record: Value =
            serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
        assert_eq!(record["tasks"][0]["data"], 0, "{record:#}");
    }
    // A stale file of a program that was killed together with its guard. Links are not followed.
    let (abandoned, other) = (programs.directory().join("hub-sdk-abandoned"), programs.directory().join("other"));
    std::fs::create_dir_all(abandoned.join("hub")).unwrap();
    std::fs::create_dir_all(other.join("kept")).unwrap();
    symlink(&other, programs.directory().join("hub-sdk-link")).unwrap();
    assert!(under("022").status.success());
    assert!(!abandoned.exists() && other.join("kept").exists());
}
