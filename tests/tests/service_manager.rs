//! Tests of the notifications to a service manager: ready, status, watchdog and stopping.

use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::Command;

use hub_tests::{DEADLINE, Daemon, Programs};

/// Variables that would allow tasks to notify the service manager or to read secrets.
const NOT_FOR_TASKS: &str = "
import os

def seen():
    names = ['NOTIFY_SOCKET', 'WATCHDOG_PID', 'WATCHDOG_USEC', 'CREDENTIALS_DIRECTORY']
    return [name for name in names if name in os.environ]
";
/// The same for an executable.
const NOT_FOR_EXECUTABLES: &str =
    "#!/bin/sh\nenv | grep -c -E '^(NOTIFY_SOCKET|WATCHDOG_|CREDENTIALS_DIRECTORY)' || true\n";
/// A task that ends when a file exists.
const WAITS: &str = "
import os, time

def waits(begun, until):
    open(begun, 'w').close()
    while not os.path.exists(until):
        time.sleep(0.01)
    return 'ended'
";

/// The socket of a service manager.
struct Manager {
    socket: UnixDatagram,
    path: PathBuf,
}

impl Manager {
    /// Programs with the environment of this service manager.
    fn of(programs: Programs) -> (Self, Programs) {
        let path = programs.directory().join("manager");
        let socket = UnixDatagram::bind(&path).expect("a socket can be made");
        socket.set_read_timeout(Some(DEADLINE)).expect("a socket has a limit");
        let programs = programs.with("NOTIFY_SOCKET", &path.to_string_lossy());
        (Self { socket, path }, programs)
    }

    /// The lines of the next message.
    fn next(&self) -> Vec<String> {
        let mut buffer = vec![0; 64 * 1024];
        let size = self.socket.recv(&mut buffer).expect("the program says something");
        String::from_utf8_lossy(&buffer[..size]).lines().map(str::to_owned).collect()
    }

    /// The messages up to the one with `line`.
    fn until(&self, line: &str) -> Vec<String> {
        let mut heard = Vec::new();
        while !heard.iter().any(|said| said == line) {
            heard.extend(self.next());
        }
        heard
    }

    /// The messages that have not been read yet.
    fn rest(&self) -> Vec<String> {
        self.socket.set_nonblocking(true).expect("a socket can be told not to wait");
        let mut heard = Vec::new();
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(size) = self.socket.recv(&mut buffer) {
            heard.extend(String::from_utf8_lossy(&buffer[..size]).lines().map(str::to_owned));
        }
        heard
    }
}

fn terminate(daemon: &Daemon) {
    let asked = Command::new("kill").arg(daemon.pid().to_string()).status();
    assert!(asked.is_ok_and(|status| status.success()), "the program cannot be asked to end");
}

/// A complete Hub in one process, whose log contains its address.
fn start_hub(programs: &Programs) -> Daemon {
    let arguments = ["--transport", "memory", "--http", "127.0.0.1:0", "--tasks-dir", "tasks", "--slots", "2"];
    programs.start("hub-dispatcher", &arguments)
}

fn address_of(hub: &Daemon) -> String {
    let log = hub.log();
    let address = log.split("HTTP API at ").nth(1).and_then(|rest| rest.split("/api/v1").next());
    address.unwrap_or_else(|| panic!("no address in the log:\n{log}")).to_owned()
}

#[test]
fn a_dispatcher_is_ready_when_it_serves() {
    let (manager, programs) = Manager::of(Programs::alone());
    programs.write_modules(&[]);
    let hub = start_hub(&programs);
    let heard = manager.until("READY=1");
    assert_eq!(heard, ["READY=1", "STATUS=serving"], "and nothing before");
    // The service must be usable at once, since units that start after it rely on it.
    let health = programs.run("hub-client", &["-b", &address_of(&hub), "health", "-o", "json"]);
    assert!(health.status.success(), "{health:?}");
    hub.stop();
    let rest = manager.rest();
    assert!(rest.iter().any(|line| line == "STOPPING=1"), "{rest:?}");
    assert!(!rest.iter().any(|line| line == "READY=1"), "ready a second time: {rest:?}");
}

#[test]
fn stopping_is_reported_while_tasks_still_run() {
    let (manager, programs) = Manager::of(Programs::alone());
    programs.write_modules(&[("waits.py", WAITS)]);
    let mut hub = start_hub(&programs);
    manager.until("READY=1");
    let programs = programs.with("HUB_BROKER", &address_of(&hub));
    let file = |name: &str| programs.directory().join(name);
    let (begun, until) = (file("begun"), file("until"));
    let job = serde_json::json!({"name": "j", "tasks": [{"name": "waits", "args": [begun, until]}]});
    programs.submit(&job.to_string());
    hub_tests::eventually("the task begins", || if begun.exists() { Ok(()) } else { Err("no file") });
    terminate(&hub);
    manager.until("STOPPING=1");
    assert!(hub.is_alive(), "it said that it stops and was gone:\n{}", hub.log());
    std::fs::write(&until, "").unwrap();
    hub_tests::eventually("the dispatcher ends", || if hub.is_alive() { Err(hub.log_end()) } else { Ok(()) });
}

#[test]
fn a_worker_without_a_broker_is_not_ready_and_reports_the_cause() {
    let (manager, programs) = Manager::of(Programs::alone());
    programs.write_modules(&[]);
    let mut worker = programs.start("hub-worker", &["--broker", "127.0.0.1:1", "--tasks-dir", "tasks"]);
    // The second status follows a retry, so the program kept running without being ready.
    for _ in 0..2 {
        let heard = manager.next();
        assert!(
            matches!(heard.as_slice(), [status] if status.starts_with("STATUS=waiting for the broker: ")),
            "{heard:?}"
        );
    }
    terminate(&worker);
    let mut heard = manager.until("STOPPING=1");
    hub_tests::eventually("the worker ends", || if worker.is_alive() { Err(worker.log_end()) } else { Ok(()) });
    heard.extend(manager.rest());
    assert!(!heard.iter().any(|line| line == "READY=1"), "{heard:?}");
}

#[test]
fn a_program_that_cannot_start_reports_the_cause() {
    let (manager, programs) = Manager::of(Programs::alone());
    programs.write_modules(&[]);
    let worker = programs.run("hub-worker", &["--transport", "memory", "--tasks-dir", "tasks"]);
    assert_eq!(worker.status.code(), Some(2));
    let heard = manager.rest();
    assert!(matches!(heard.as_slice(), [status] if status.starts_with("STATUS=hub-worker cannot use")), "{heard:?}");
}

#[test]
fn the_watchdog_is_notified() {
    let (manager, programs) = Manager::of(Programs::alone());
    programs.write_modules(&[]);
    let programs = programs.with("WATCHDOG_USEC", "100000");
    let hub = start_hub(&programs);
    for _ in 0..3 {
        manager.until("WATCHDOG=1");
    }
    hub.stop();
}

#[test]
fn tasks_cannot_notify_the_service_manager() {
    let (manager, programs) = Manager::of(Programs::alone());
    programs.write_modules(&[("seen.py", NOT_FOR_TASKS), ("counted.sh", NOT_FOR_EXECUTABLES)]);
    let executable = programs.directory().join("tasks/counted.sh");
    std::fs::set_permissions(executable, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    // A time limit that is not reached.
    let programs = programs.with("WATCHDOG_USEC", "3600000000").with("CREDENTIALS_DIRECTORY", "/nowhere");
    let hub = start_hub(&programs);
    manager.until("READY=1");
    let programs = programs.with("HUB_BROKER", &address_of(&hub));
    let job =
        r#"{"name": "j", "tasks": [{"name": "seen"}, {"name": "counted"}], "output": ["_seen.data", "_counted.data"]}"#;
    let record = programs.ended(&programs.submit(job));
    assert_eq!(record["output"], serde_json::json!([[], 0]), "{record}");
    hub.stop();
}

#[test]
fn a_program_serves_even_if_the_service_manager_does_not_listen() {
    let (manager, programs) = Manager::of(Programs::alone());
    programs.write_modules(&[]);
    std::fs::remove_file(&manager.path).unwrap();
    let hub = start_hub(&programs);
    hub.wait_for("cannot notify the service manager");
    let health = programs.run("hub-client", &["-b", &address_of(&hub), "health", "-o", "json"]);
    assert!(health.status.success(), "{health:?}");
    hub.stop();
}

#[test]
fn without_a_service_manager_there_are_no_notifications() {
    let (_, hub) = Programs::in_memory(&[], &[]);
    let log = hub.log();
    hub.stop();
    assert!(!log.contains("service manager"), "{log}");
}
