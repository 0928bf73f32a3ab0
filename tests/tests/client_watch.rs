//! Tests of `hub-client watch` with the real programs: in a pipe, and on a terminal.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Output, Stdio};
use std::thread::JoinHandle;

use hub_tests::{Daemon, Programs, eventually};
use serde_json::{Value, json};

/// Runs a command on a terminal of this size, and passes on what it writes. On a line of standard input with a size, the terminal
/// gets that size; on "interrupt", it is as if Ctrl-C was pressed.
const TERMINAL: &str = "
import fcntl, os, pty, select, struct, sys, termios
def resize(fd, size):
    columns, rows = map(int, size.split())
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack('HHHH', rows, columns, 0, 0))
ready, go = os.pipe()
pid, fd = pty.fork()
if pid == 0:
    os.read(ready, 1)
    os.execvp(sys.argv[2], sys.argv[2:])
resize(fd, sys.argv[1])
os.write(go, b'x')
sources = [fd, 0]
while True:
    found = select.select(sources, [], [])[0]
    if 0 in found:
        for line in os.read(0, 100).decode().splitlines() or sources.remove(0) or []:
            if line == 'interrupt':
                os.write(fd, b'\\x03')
            else:
                resize(fd, line)
    if fd in found:
        try:
            data = os.read(fd, 65536)
        except OSError:
            break
        if not data:
            break
        os.write(1, data)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
";

/// A Hub whose tasks may be commands.
fn hub() -> (Programs, Daemon) {
    Programs::in_memory(&[], &["--allow", "modules,command", "--slots", "4"])
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A client on a terminal, and what the terminal has shown.
struct Terminal {
    child: Child,
    input: ChildStdin,
    path: PathBuf,
    copying: JoinHandle<()>,
}

impl Terminal {
    fn start(programs: &Programs, size: &str, variables: &[(&str, &str)], arguments: &[&str]) -> Self {
        let client = programs.command("hub-client").get_program().to_owned();
        let mut command = programs.in_shell("python3");
        for name in ["COLUMNS", "LINES", "NO_COLOR"] {
            command.env_remove(name);
        }
        command.env("TERM", "xterm").envs(variables.iter().copied()).args(["-c", TERMINAL, size]).arg(client);
        let mut child = command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (input, mut output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let path = programs.directory().join("shown");
        let mut file = std::fs::File::create(&path).unwrap();
        let copying = std::thread::spawn(move || _ = std::io::copy(&mut output, &mut file).unwrap());
        Self { child, input, path, copying }
    }

    /// Writes a line to the standard input of [`TERMINAL`], in one piece.
    fn send(&mut self, line: &str) {
        self.input.write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    fn shown(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.path).unwrap()).into_owned()
    }

    /// Waits until these words have been shown.
    fn shows(&self, words: &str) {
        eventually(&format!("the terminal shows {words:?}"), || {
            let shown = self.shown();
            if shown.contains(words) { Ok(()) } else { Err(shown) }
        });
    }

    /// Waits for the end of the client. Returns its exit code and all that was shown.
    fn end(mut self) -> (Option<i32>, String) {
        let status = self.child.wait().unwrap();
        self.copying.join().unwrap();
        (status.code(), text(&std::fs::read(&self.path).unwrap()))
    }
}

/// The lines of a text without the time that they begin with.
fn untimed(text: &str) -> Vec<String> {
    let without = |line: &str| match line.char_indices().find(|(_, one)| one.is_ascii_uppercase()) {
        Some((at, _)) if line.starts_with(' ') => line[at..].to_owned(),
        _ => line.to_owned(),
    };
    text.lines().map(without).collect()
}

/// Whether there is a line that begins like this.
#[track_caller]
fn has_line(output: &Output, begin: &str) {
    let lines = untimed(&text(&output.stderr));
    assert!(lines.iter().any(|line| line.starts_with(begin)), "no line begins with {begin:?}: {lines:#?}");
}

/// A task that waits for the signal `go`, so that a watch that begins before it sees everything that follows.
fn gate() -> Value {
    json!({"name": "gate", "wait": {"signal": "go"}})
}

/// A task that runs after the gate.
fn after_gate(name: &str, shell: &str, more: &Value) -> Value {
    let mut task = json!({"name": name, "depends": ["gate"], "shell": shell});
    task.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
    task
}

/// Watches a job in a pipe from before its gate opens.
fn watched(programs: &Programs, job: &Value, flags: &[&str]) -> Output {
    let id = programs.submit(&job.to_string());
    let mut client = programs.command("hub-client");
    let log = programs.directory().join("watch.log");
    client.args(["watch", &id]).args(flags).stdin(Stdio::null()).stdout(Stdio::piped());
    let child = client.stderr(std::fs::File::create(&log).unwrap()).spawn().unwrap();
    eventually("the gate is shown", || {
        let shown = std::fs::read_to_string(&log).unwrap();
        if shown.contains("WAITS  gate") { Ok(()) } else { Err(shown) }
    });
    assert!(programs.run("hub-client", &["signal", &id, "go"]).status.success());
    let output = child.wait_with_output().unwrap();
    Output { stderr: std::fs::read(log).unwrap(), ..output }
}

/// A job with a retry, a timeout, items, a failure with a log, and a task that does not run.
fn eventful() -> Value {
    let again = json!({"retry": {"maximum_attempts": 2, "initial_interval": "1s", "jitter": 0}});
    let slow = json!({"timeout": {"start_to_close": "100ms", "grace": "1s"}});
    let items = json!({"for_each": [1, 2, 3], "env": {"ITEM": "_.item"}});
    json!({"name": "eventful", "tasks": [
        gate(),
        after_gate("flaky", "test -e flag || { touch flag; echo first try >&2; exit 3; }", &again),
        after_gate("slow", "sleep 600", &slow),
        after_gate("parse", "test $ITEM != 2 || { echo item 2 >&2; exit 1; }", &items),
        {"name": "report", "depends": ["slow"], "shell": "true"},
    ]})
}

#[test]
fn a_pipe_gets_a_line_for_each_change_and_the_failures_at_the_end() {
    let (programs, hub) = hub();
    let output = watched(&programs, &eventful(), &[]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    has_line(&output, "WAITS  gate  waits for the signal \"go\"");
    has_line(&output, "SUCCESS  gate  ");
    // The reason and the time of the next attempt are shown while it waits for that. On a busy machine it may not wait any more.
    has_line(&output, "RETRY  flaky  attempt 1 failed");
    has_line(&output, "SUCCESS  flaky  ");
    has_line(&output, "FAILED  slow  ");
    has_line(&output, "UPSTREAM_FAILED  report");
    has_line(&output, "FAILED  parse  ");
    let messages = text(&output.stderr);
    assert!(messages.contains(": timed out (start_to_close): "), "{messages}");
    assert!(messages.contains("3/3 items, 1 failed: ITEMS_FAILED: "), "{messages}");
    let (_, end) = messages.split_once("\nslow FAILED (TIMED_OUT)").expect("the failures are described at the end");
    assert!(end.contains("\nparse[1] FAILED (TASK_FAILED"), "{end}");
    assert!(end.contains("\n  exited with code 1: item 2\n"), "{end}");
    assert!(!messages.contains('\u{1b}'), "{messages:?}");
    let record: Value = serde_json::from_slice(&output.stdout).expect("standard output has the record alone");
    assert_eq!(record["status"], "FAILED");
    let quiet = programs.run("hub-client", &["watch", "last", "-q"]);
    assert_eq!((quiet.status.code(), text(&quiet.stderr)), (Some(1), String::new()));
    assert_eq!(quiet.stdout, output.stdout);
    hub.stop();
}

/// Most of them are skipped, which needs no worker.
#[test]
fn ten_thousand_tasks_are_counted_in_a_pipe() {
    let (programs, hub) = hub();
    let task = |number: usize| {
        let fails = number % 1000 == 7;
        let more = if fails { json!({}) } else { json!({"when": false}) };
        after_gate(&format!("任务{number}"), if fails { "echo bad >&2; exit 1" } else { "true" }, &more)
    };
    let tasks: Vec<Value> = std::iter::once(gate()).chain((1..10_000).map(task)).collect();
    let output = watched(&programs, &json!({"name": "many", "tasks": tasks}), &["--fields", "status"]);
    assert_eq!((output.status.code(), text(&output.stdout).trim()), (Some(1), r#"{"status": "FAILED"}"#), "{output:?}");
    has_line(&output, "RUNNING  0/10000 tasks");
    has_line(&output, "FAILED  任务7  ");
    let messages = text(&output.stderr);
    assert!(!messages.contains("SKIPPED") && messages.contains("\n  exited with code 1: bad\n"), "{messages}");
    assert!(messages.lines().count() < 100, "{messages}");
    hub.stop();
}

#[test]
fn a_terminal_shows_a_view_and_keeps_the_lines() {
    let (programs, hub) = hub();
    let id = programs.submit(&eventful().to_string());
    let terminal = Terminal::start(&programs, "40 10", &[], &["watch", &id]);
    terminal.shows("gate");
    assert!(programs.run("hub-client", &["signal", &id, "go"]).status.success());
    let (code, shown) = terminal.end();
    assert_eq!(code, Some(1), "{shown:?}");
    assert!(shown.contains("\u{1b}[31mFAILED\u{1b}[0m  slow"), "{shown:?}");
    assert!(shown.contains("\u{1b}[J"), "{shown:?}");
    // The view is removed before the record is printed, and no mode of the terminal was changed.
    let (view, record) = shown.split_once("eventful  ").expect("the record follows");
    assert!(view.contains("parse[1] "), "{view:?}");
    assert!(!record.contains("\u{1b}[J") && !record.contains("\u{1b}[K"), "{record:?}");
    assert!(!shown.contains("\u{1b}[?"), "{shown:?}");
    hub.stop();
}

#[test]
fn colours_and_the_view_can_be_switched_off() {
    let (programs, hub) = hub();
    let id = programs.submit(&json!({"name": "waits", "tasks": [gate()]}).to_string());
    let run = |variables: &[(&str, &str)], flags: &[&str]| {
        let arguments = [&["watch", &id, "--wait-limit", "0.5"], flags].concat();
        let (code, shown) = Terminal::start(&programs, "100 20", variables, &arguments).end();
        assert_eq!(code, Some(6), "{shown:?}");
        assert!(shown.contains("gate"), "{shown:?}");
        (shown.contains("\u{1b}[35m"), shown.contains("\u{1b}[J"))
    };
    assert_eq!(run(&[], &[]), (true, true));
    assert_eq!(run(&[("NO_COLOR", "1")], &[]), (false, true));
    assert_eq!(run(&[], &["--color", "never"]), (false, true));
    assert_eq!(run(&[("TERM", "dumb")], &[]), (false, false));
    assert!(!run(&[], &["-q"]).1);
    assert!(!run(&[], &["--verbose"]).1, "the log is not drawn over");
    hub.stop();
}

#[test]
fn a_view_survives_a_resize_and_is_removed_by_an_interrupt() {
    let (programs, hub) = hub();
    let job = json!({"name": "waits", "tasks": [gate(), {"name": "x".repeat(60), "wait": {"signal": "never"}}]});
    let id = programs.submit(&job.to_string());
    let mut terminal = Terminal::start(&programs, "90 10", &[], &["watch", &id]);
    terminal.shows("\u{1b}[0m  0/2 tasks, ");
    terminal.send("30 10");
    // The narrow view has another head. The wide one has three lines, which take 2 + 3 + 3 rows of the narrow terminal.
    terminal.shows("\u{1b}[0m 0/2, ");
    let is_whole =
        |printed: &str| printed.split_once("\u{1b}[0m 0/2, ").is_some_and(|(_, view)| view.contains("\u{1b}[J"));
    let printed = eventually("the narrow view is complete", || {
        Some(terminal.shown()).filter(|printed| is_whole(printed)).ok_or(())
    });
    let (before, narrow) = printed.split_once("\u{1b}[0m 0/2, ").unwrap();
    assert!(before.ends_with("\r\u{1b}[7A\u{1b}[36mRUNNING"), "{before:?}");
    for line in narrow.split("\n").skip(1).take(2) {
        let mut text = line.to_owned();
        for sequence in ["\u{1b}[35m", "\u{1b}[0m", "\u{1b}[K", "\r"] {
            text = text.replace(sequence, "");
        }
        let text = text.split('\u{1b}').next().unwrap();
        assert!(text.starts_with("  WAITS  ") && text.chars().count() < 30, "{text:?}");
    }
    terminal.send("interrupt");
    let (code, printed) = terminal.end();
    assert_eq!(code, Some(130), "{printed:?}");
    let (_, after) = printed.rsplit_once("\u{1b}[J").expect("the view is removed");
    assert!(after.contains("interrupted; job"), "{printed:?}");
    hub.stop();
}

#[test]
fn a_hub_that_is_away_for_a_while_does_not_end_the_watch() {
    let directory = tempfile::tempdir().unwrap();
    let store = directory.path().join("jobs.db").to_string_lossy().into_owned();
    let (programs, hub) = Programs::in_memory(&[], &["--allow", "modules,command", "--store", &store]);
    let id = programs.submit(&json!({"name": "waits", "tasks": [gate()]}).to_string());
    let log = programs.directory().join("watch.log");
    let mut client = programs.command("hub-client");
    client.args(["watch", &id, "-o", "json"]).stdin(Stdio::null()).stdout(Stdio::piped());
    let child = client.stderr(std::fs::File::create(&log).unwrap()).spawn().unwrap();
    let says = |words: &str| {
        eventually(&format!("it says {words:?}"), || {
            let shown = std::fs::read_to_string(&log).unwrap();
            if shown.contains(words) { Ok(()) } else { Err(shown) }
        });
    };
    says("WAITS  gate");
    drop(hub);
    says("the Hub does not answer; asking again");
    let address = programs.variable("HUB_BROKER").trim_start_matches("http://").to_owned();
    let again = programs.start(
        "hub-dispatcher",
        &["--transport", "memory", "--http", &address, "--store", &store, "--tasks-dir", "tasks", "--slots", "1"],
    );
    again.wait_for("HTTP API at");
    eventually("the signal arrives", || {
        let sent = programs.run("hub-client", &["signal", &id, "go", "--key", "k"]);
        if sent.status.success() { Ok(()) } else { Err(sent) }
    });
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    says("SUCCESS  gate");
    assert_eq!(std::fs::read_to_string(&log).unwrap().matches("does not answer").count(), 1, "it is said once");
    again.stop();
}
