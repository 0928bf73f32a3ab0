//! Programs as tasks: their requests, their end, and their remaining processes.

mod tasks_support;

use futures_util::FutureExt as _;
use hub_core::state::ErrorKind;
use hub_engine::runner::{NoOutcome, Outcome, RunControl, Runner};
use tasks_support::{DEADLINE, Tasks, eventually, failure, is_running, request, run, success};

#[tokio::test]
async fn the_request_is_one_line_for_any_layout_of_the_job() {
    let tasks = Tasks::new();
    tasks.write_program("lines", "tr -cd '\\n' | wc -c");
    let runner = tasks.runner().await;
    for args in ["[]", "[\n  1,\r\n  {\"a\":\n\n[2]}\r]", "[\"a\\nb\"]"] {
        assert_eq!(run(&runner, "lines", args).await.outcome, success("1"), "{args}");
    }
    tasks.write_program("echo", "cat");
    let report = run(&runner, "echo", "[\n\"a\\nb\", 1.50,\n[]]").await;
    let Ok(Outcome::Success { data }) = report.outcome else { panic!("{report:?}") };
    assert_eq!(data.to_value()["args"], serde_json::json!(["a\nb", 1.5, []]));
}

#[tokio::test]
async fn remaining_processes_neither_delay_the_task_nor_outlive_it() {
    let tasks = Tasks::new();
    tasks.write_program("leaves", "sleep 1000 &\necho $! > pid\necho 1");
    // This process has left the group, and keeps the output open.
    tasks.write_program(
        "escapes",
        "setsid sh -c 'echo $$ > escaped; exec sleep 1000' &\nwhile ! [ -s escaped ]; do :; done\necho 2",
    );
    let runner = tasks.runner().await;
    assert_eq!(run(&runner, "leaves", "[]").await.outcome, success("1"));
    let left = tasks.read("pid").await;
    eventually("what was left behind ends", || (!is_running(&left)).then_some(())).await;
    assert_eq!(run(&runner, "escapes", "[]").await.outcome, success("2"));
    let escaped = tasks.read("escaped").await;
    assert!(is_running(&escaped), "what begins a session of its own is meant to stay");
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(escaped.parse().unwrap()), nix::sys::signal::Signal::SIGKILL)
        .unwrap();
}

#[tokio::test]
async fn all_output_of_a_program_that_has_ended_is_read() {
    let tasks = Tasks::new();
    // More than the capacity of a pipe, and a log.
    tasks.write_program(
        "much",
        "echo early >&2; printf '\"'; head -c 300000 /dev/zero | tr '\\0' x; printf '\"'; echo late >&2",
    );
    let runner = tasks.runner().await;
    let report = run(&runner, "much", "[]").await;
    let Ok(Outcome::Success { data }) = &report.outcome else { panic!("{report:?}") };
    assert_eq!((data.get().len(), report.log.as_deref()), (300_002, Some("early\nlate\n")));
}

#[tokio::test]
async fn a_program_that_is_stopped_ends_with_its_group_and_keeps_its_log() {
    let tasks = Tasks::new();
    tasks.write_program("obeys", "echo begun >&2\nsh -c 'trap \"\" TERM; echo $$ > child-obeys; sleep 1000; sleep 1000' &\necho $$ > obeys.pid\nwait");
    tasks.write_program(
        "ignores",
        "trap '' TERM\necho begun >&2\nsleep 1000 &\necho $! > child-ignores\necho $$ > ignores.pid\nwait\nsleep 1000",
    );
    let runner = tasks.runner().await;
    for name in ["obeys", "ignores"] {
        let stop = RunControl::default();
        let running = tokio::spawn({
            let (runner, stop) = (runner.clone(), stop.clone());
            async move { runner.run(request(name, "[]"), stop).await }
        });
        let pids = [tasks.read(&format!("{name}.pid")).await, tasks.read(&format!("child-{name}")).await];
        stop.stop(None);
        let report = tokio::time::timeout(DEADLINE, running).await.unwrap().unwrap();
        assert_eq!((report.outcome, report.log.as_deref()), (Err(NoOutcome::Cancelled), Some("begun\n")), "{name}");
        for pid in pids {
            eventually("its processes end", || (!is_running(&pid)).then_some(())).await;
        }
    }
}

#[tokio::test]
async fn a_program_being_installed_is_awaited() {
    let tasks = Tasks::new();
    tasks.write_program("busy", "echo 1");
    let runner = tasks.runner().await;
    let installing = std::fs::File::options().append(true).open(tasks.path("busy")).unwrap();
    let mut waiting = Box::pin(run(&runner, "busy", "[]"));
    assert!(waiting.as_mut().now_or_never().is_none(), "it cannot run yet");
    drop(installing);
    assert_eq!(waiting.await.outcome, success("1"));
    let _installing = std::fs::File::options().append(true).open(tasks.path("busy")).unwrap();
    let msg = failure(&runner, "busy").await;
    assert!(msg.starts_with("busy: a process keeps the file open for writing"), "{msg}");
}

#[tokio::test]
async fn a_faulty_program_is_reported_and_runs_as_soon_as_it_is_repaired() {
    let tasks = Tasks::new();
    tasks.write("greet.sh", "#!/bin/sh\necho 1\n");
    tasks.set_mode("greet.sh", 0o644);
    tasks.write("data.json", "{}");
    let runner = tasks.runner().await;
    let why = "greet.sh: it is not executable. Run: chmod +x greet.sh (or call it _greet.sh if it is a helper)";
    {
        let catalogue = runner.catalogue();
        let catalogue = catalogue.borrow();
        assert_eq!(catalogue.broken.iter().collect::<Vec<_>>(), [(&"greet".to_owned(), &why.to_owned())]);
    }
    let report = run(&runner, "greet", "[]").await;
    let Ok(Outcome::Failed { msg, error: Some(error) }) = report.outcome else { panic!("{report:?}") };
    assert_eq!((&*msg, error.kind), (why, ErrorKind::BrokenModule));
    tasks.set_mode("greet.sh", 0o755);
    assert_eq!(run(&runner, "greet", "[]").await.outcome, success("1"));
    // A fault that is not visible in advance is reported when the program is started.
    tasks.write("foreign", "\u{7f}ELF is not enough");
    tasks.set_mode("foreign", 0o755);
    let msg = failure(&runner, "foreign").await;
    assert!(msg.contains("not a program for this machine"), "{msg}");
    std::fs::remove_file(tasks.path("greet.sh")).unwrap();
    assert_eq!(run(&runner, "greet", "[]").await.outcome, Err(NoOutcome::Unknown));
}

#[tokio::test]
async fn backups_of_a_program_are_ignored() {
    let tasks = Tasks::new();
    for name in
        ["greet.sh", "greet.sh~", "greet.bak", "greet.orig", "greet.swp", "#greet.sh#", "greet.sh.bak", ".greet.sh.swp"]
    {
        tasks.write_program(name, "echo 1");
    }
    let runner = tasks.runner().await;
    {
        let catalogue = runner.catalogue();
        let catalogue = catalogue.borrow();
        assert_eq!(catalogue.tasks.keys().collect::<Vec<_>>(), ["greet"]);
        assert!(catalogue.broken.is_empty(), "{:?}", catalogue.broken);
    }
    assert_eq!(run(&runner, "greet", "[]").await.outcome, success("1"));
    tasks.write("greet.py", "def greet():\n    return 2\n");
    tasks.set_mode("greet.sh", 0o644);
    let runner = tasks.runner_with(tasks.settings()).await;
    assert_eq!(run(&runner, "greet", "[]").await.outcome, success("2"), "what cannot run claims no name");
    tasks.set_mode("greet.sh", 0o755);
    let runner = tasks.runner_with(tasks.settings()).await;
    assert_eq!(
        failure(&runner, "greet").await,
        "several files have this task name: greet.py, greet.sh. Rename all but one"
    );
}

#[tokio::test]
async fn endless_output_is_cut_off_at_the_limit() {
    let tasks = Tasks::new();
    tasks.write_program("endless", "yes xxxxxxxx");
    let runner = tasks.runner().await;
    let Ok(Outcome::Failed { msg, error: Some(error) }) = run(&runner, "endless", "[]").await.outcome else {
        panic!("it is too large")
    };
    assert!(error.kind == ErrorKind::ResultTooLarge && msg.contains("which is the limit"), "{msg}");
}
