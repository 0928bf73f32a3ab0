//! Tests of `ci/side-by-side`, which runs the test programs in the gate: its output, its summary and its exit code.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};

use hub_tests::{eventually, root};

/// Starts it with three slots and these programs: number of slots, name, and shell commands.
fn start(programs: &[(u32, &str, &str)]) -> Child {
    start_with(programs, "1200")
}

/// The same, with this time limit for each program, in seconds.
fn start_with(programs: &[(u32, &str, &str)], limit: &str) -> Child {
    let mut child = Command::new(root().join("ci/side-by-side"))
        .arg("3")
        .env("PROGRAM_LIMIT", limit)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the script runs");
    let mut list = child.stdin.take().expect("it reads a list");
    for (slots, name, commands) in programs {
        writeln!(list, "{slots}\t{name}\t/\tsh\t-c\t{commands}").expect("it reads its list");
    }
    child
}

/// Runs it to its end and returns its exit code and its output.
fn run(programs: &[(u32, &str, &str)]) -> (Option<i32>, String) {
    end_of(start(programs))
}

fn end_of(child: Child) -> (Option<i32>, String) {
    let output = child.wait_with_output().expect("it ends");
    (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
}

const PASSES: &str = "echo 'test fine ... ok'; echo 'test result: ok. 1 passed; 0 failed; 2 ignored; 0 measured'";

#[test]
fn the_summary_counts_all_tests() {
    let (code, said) = run(&[(1, "one", PASSES), (9, "alone", PASSES)]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.ends_with("ok: 2 passed, 0 failed, 4 skipped\n"), "{said}");
    assert!(said.contains("-- one: ok after"), "{said}");
}

#[test]
fn failures_are_listed_and_set_the_exit_code() {
    let fails = "echo 'test a name - with blanks ... FAILED'; \
                 echo 'test result: FAILED. 3 passed; 1 failed; 0 ignored; 0 measured'; exit 101";
    let (code, said) =
        run(&[(1, "good", PASSES), (1, "bad", fails), (1, "dead", "kill -9 $$"), (1, "gone", "kill -9 0")]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.ends_with("FAILED: 4 passed, 1 failed, 2 skipped\n"), "{said}");
    for line in [
        "failed: bad: a name - with blanks",
        "failed: bad (exit code 101)",
        "failed: dead (exit code 137)",
        "failed: gone (exit code 137)",
    ] {
        assert_eq!(said.lines().filter(|said| *said == line).count(), 1, "{line:?} in {said}");
    }
}

#[test]
fn programs_run_in_parallel_if_there_are_free_slots() {
    let directory = tempfile::tempdir().unwrap();
    let there = |name: &str| directory.path().join(name).to_string_lossy().into_owned();
    // Each program waits for the other one. In sequence they would never end.
    let meet = |own: &str, other: &str| {
        let (own, other) = (there(own), there(other));
        format!("echo begun; touch {own}; until [ -e {other} ]; do sleep 0.02; done; echo ended")
    };
    let (one, other) = (meet("one", "other"), meet("other", "one"));
    let (code, said) = run(&[(1, "one", &one), (2, "other", &other)]);
    assert_eq!((code, said.matches("begun\nended\n").count()), (Some(0), 2), "{said}");
}

#[test]
fn a_program_that_does_not_end_is_killed_and_has_failed() {
    let hangs = "echo 'test slow has been running for over 60 seconds'; sleep 1000 & wait";
    let (code, said) = end_of(start_with(&[(1, "hangs", hangs), (1, "good", PASSES)], "1"));
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("over 60 seconds\nci/side-by-side: hangs has not ended within 1 s and is killed\n"),
        "{said}"
    );
    assert!(said.contains("failed: hangs (exit code 137)\n"), "{said}");
    assert!(said.ends_with("FAILED: 1 passed, 0 failed, 2 skipped\n"), "{said}");
}

#[test]
fn an_empty_list_is_an_error() {
    assert_eq!(run(&[]).0, Some(2));
}

#[test]
fn an_interrupt_ends_the_child_processes_of_the_programs() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("pids");
    let mut child = start(&[(1, "long", &format!("sleep 1000 & echo $! $$ >{}; wait", path.display()))]);
    let pids = eventually("the program has begun", || {
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        if text.ends_with('\n') { Ok(text) } else { Err(text) }
    });
    let sent = Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
    assert!(sent.is_ok_and(|status| status.success()));
    assert_eq!(child.wait().expect("it ends").code(), Some(130));
    let stderr = BufReader::new(child.stderr.take().expect("it is captured"));
    assert!(stderr.lines().map_while(Result::ok).any(|line| line.starts_with("interrupted after")));
    for pid in pids.split_whitespace() {
        eventually("the process has ended", || {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            if stat.is_empty() || stat.contains(") Z ") { Ok(()) } else { Err(stat) }
        });
    }
}
