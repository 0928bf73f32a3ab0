//! Tasks that are stopped: they may clean up or even succeed, and are killed after their grace.

mod runner_support;

use std::time::Duration;

use hub_engine::runner::{NoOutcome, RunControl, TaskReport};
use runner_support::{Bench, DEADLINE, is_running, until};

const MODULES: &[(&str, &str)] = &[
    (
        "act.py",
        "import os, time\nfrom hub.lib.api import Stopped\ndef act(how, path):\n    \
         try:\n        with open(path, 'w') as file:\n            file.write('%d\\n' % os.getpid())\n        \
         while True:\n            time.sleep(0.01)\n    \
         except Stopped:\n        if how == 'stays':\n            time.sleep(3600)\n        \
         if how == 'fails':\n            raise ValueError\n        \
         if how == 'succeeds':\n            return 7\n        raise\n",
    ),
    (
        "act_coroutine.py",
        "import asyncio, os\nasync def act_coroutine(how, path):\n    \
         try:\n        with open(path, 'w') as file:\n            file.write('%d\\n' % os.getpid())\n        \
         await asyncio.sleep(3600)\n    \
         except asyncio.CancelledError:\n        if how == 'stays':\n            await asyncio.sleep(3600)\n        \
         if how == 'fails':\n            raise ValueError\n        \
         if how == 'succeeds':\n            return 7\n        raise\n",
    ),
];
/// Reads how it ends from its request. `fails` has no value: many programs exit with code 0 after SIGTERM.
const PROGRAM: &str = r#"read -r request
case $request in
    *stays*) trap '' TERM ;;
    *fails*) trap 'exit 0' TERM ;;
    *succeeds*) trap 'echo 7; exit 0' TERM ;;
esac
path=${request#*stays\",\"} path=${path#*fails\",\"} path=${path#*succeeds\",\"} path=${path#*obeys\",\"}
echo $$ > "${path%%\"*}"
while :; do sleep 0.01; done"#;

/// Stops a task that runs. Returns its report, and its process id.
async fn stop(bench: &Bench, name: &str, how: &str, grace: Option<Duration>) -> (TaskReport, String) {
    let (control, path) = (RunControl::default(), bench.path(&format!("{name}.{how}")));
    let args = format!("[{how:?},{path:?}]");
    let mut pid = String::new();
    let stops = async {
        until("it runs", || {
            pid = std::fs::read_to_string(&path).unwrap_or_default();
            pid.ends_with('\n')
        })
        .await;
        control.stop(grace);
    };
    let (report, ()) = tokio::join!(bench.run_under(name, &args, &control), stops);
    (report, pid.trim().to_owned())
}

#[tokio::test]
async fn only_success_counts_after_a_stop() {
    let bench = Bench::start(MODULES).await;
    bench.write_program("act_program", PROGRAM);
    for name in ["act", "act_coroutine", "act_program"] {
        for how in ["obeys", "fails", "succeeds"] {
            let (report, _) = stop(&bench, name, how, Some(DEADLINE)).await;
            match how {
                "succeeds" => assert_eq!(Bench::returned(&report), "7", "{name}"),
                _ => assert_eq!(report.outcome, Err(NoOutcome::Cancelled), "{name} {how}"),
            }
        }
    }
}

#[tokio::test]
async fn a_task_that_does_not_end_is_killed_after_its_grace() {
    let bench = Bench::start(MODULES).await;
    bench.write_program("act_program", PROGRAM);
    for name in ["act", "act_coroutine", "act_program"] {
        for grace in [None, Some(Duration::ZERO), Some(Duration::from_millis(100))] {
            let (report, pid) = stop(&bench, name, "stays", grace).await;
            assert_eq!(report.outcome, Err(NoOutcome::Cancelled), "{name}");
            assert!(!is_running(&pid), "{name}");
            std::fs::remove_file(bench.path(&format!("{name}.stays"))).unwrap();
        }
    }
}

#[tokio::test]
async fn a_second_stop_can_shorten_the_grace() {
    let bench = Bench::start(MODULES).await;
    let (control, path) = (RunControl::default(), bench.path("pid"));
    let args = format!("[\"stays\",{path:?}]");
    let stops = async {
        until("it runs", || path.exists()).await;
        control.stop(Some(Duration::from_secs(3600)));
        tokio::task::yield_now().await;
        control.stop(Some(Duration::ZERO));
    };
    let (report, ()) = tokio::join!(bench.run_under("act", &args, &control), stops);
    assert_eq!(report.outcome, Err(NoOutcome::Cancelled));
}

/// SIGTERM has its usual effect in the processes that a task starts, and when no task runs.
#[tokio::test]
async fn sigterm_raises_only_in_a_task() {
    let forks = "import multiprocessing, os, time\ndef forks():\n    \
                 process = multiprocessing.get_context('fork').Process(target=time.sleep, args=(3600,))\n    \
                 process.start()\n    process.terminate()\n    process.join()\n    return [process.exitcode, os.getpid()]\n";
    let raises = "import os, signal\ndef raises():\n    os.kill(os.getpid(), signal.SIGTERM)\n";
    let bench = Bench::start(&[("forks.py", forks), ("raises.py", raises)]).await;
    let report = bench.run("forks", "[]").await;
    let returned = Bench::returned(&report).to_owned();
    let pid = returned.strip_prefix("[-15,").unwrap().trim_end_matches(']');
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid.parse().unwrap()), nix::sys::signal::Signal::SIGTERM)
        .unwrap();
    until("the idle process ends", || !is_running(pid)).await;
    let report = bench.run("raises", "[]").await;
    let failure = Bench::failure(&report);
    assert_eq!(failure.2.type_name.as_deref(), Some("Stopped"), "{failure:?}");
    let again = Bench::returned(&bench.run("forks", "[]").await).to_owned();
    assert!(again.starts_with("[-15,") && again != returned, "{again}");
}
