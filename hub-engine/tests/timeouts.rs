//! Tasks that exceed a time limit: they fail, none of their processes is left, and the next task runs.

mod runner_support;

use std::time::Duration;

use hub_core::job::{AttemptLimits, Timeout};
use hub_core::state::ErrorKind;
use hub_engine::runner::{NoOutcome, RunControl, Runner as _, TaskReport};
use runner_support::{Bench, DEADLINE, is_running, until};

/// A process that ignores SIGTERM, and notes its id.
const STUBBORN: &str = "trap '' TERM; echo $$ > $1; while :; do sleep 1; done";

/// Functions and coroutines that do not end by themselves. The first argument is the file for the id of a process.
const MODULES: &[(&str, &str)] = &[
    (
        "starts.py",
        "import subprocess, time\ndef starts(path, script):\n    print('begun')\n    \
         subprocess.Popen(['sh', '-c', script, 'sh', path])\n    time.sleep(3600)\n",
    ),
    (
        "waits_for_child.py",
        "import subprocess\ndef waits_for_child(path, script):\n    print('begun')\n    \
         subprocess.run(['sh', '-c', script, 'sh', path])\n",
    ),
    (
        "computes.py",
        "import hashlib, os\ndef computes(path, _):\n    print('begun')\n    with open(path, 'w') as file:\n        \
         file.write('%d\\n' % os.getpid())\n    hashlib.pbkdf2_hmac('sha256', b'', b'', 2 ** 31 - 1)\n",
    ),
    (
        "swallows.py",
        "import os, time\ndef swallows(path, _):\n    print('begun')\n    with open(path, 'w') as file:\n        \
         file.write('%d\\n' % os.getpid())\n    while True:\n        try:\n            time.sleep(3600)\n        \
         except BaseException:\n            pass\n",
    ),
    (
        "ignores.py",
        "import os, signal, time\ndef ignores(path, _):\n    signal.signal(signal.SIGTERM, signal.SIG_IGN)\n    \
         print('begun')\n    with open(path, 'w') as file:\n        file.write('%d\\n' % os.getpid())\n    \
         time.sleep(3600)\n",
    ),
    (
        "coroutine.py",
        "import asyncio\nasync def coroutine(path, script):\n    print('begun')\n    \
         process = await asyncio.create_subprocess_exec('sh', '-c', script, 'sh', path)\n    \
         try:\n        await asyncio.sleep(3600)\n    finally:\n        process.kill()\n        await process.wait()\n",
    ),
    ("quick.py", "def quick():\n    return 1\n"),
    ("quick_coroutine.py", "async def quick_coroutine():\n    return 2\n"),
];

/// Limits that are exceeded soon.
fn short(which: Timeout) -> RunControl {
    let limit = |of| (which == of).then_some(Duration::from_millis(300));
    limits(limit(Timeout::StartToClose), limit(Timeout::Heartbeat), Duration::from_millis(300))
}

fn limits(start_to_close: Option<Duration>, heartbeat: Option<Duration>, grace: Duration) -> RunControl {
    RunControl::new(Some(AttemptLimits { start_to_close, heartbeat, grace }), std::sync::Arc::default())
}

#[track_caller]
fn assert_timed_out(report: &TaskReport, which: Timeout, name: &str) {
    let (kind, msg, error) = Bench::failure(report);
    assert_eq!((kind, error.which), (ErrorKind::TimedOut, Some(which)), "{name}: {msg}");
    let limit = format!("its timeout {} (300ms)", which.as_str());
    assert!(msg.contains(&limit), "{name}: {msg}");
}

#[tokio::test]
async fn no_process_of_the_task_is_left_and_the_next_task_runs() {
    let bench = Bench::start(MODULES).await;
    bench.write_program(
        "program",
        &format!("echo begun >&2\nsh -c '{}' sh program.pid &\nwait\nsleep 3600", STUBBORN.replace('\'', r"'\''")),
    );
    for name in ["starts", "waits_for_child", "computes", "swallows", "ignores", "coroutine", "program"] {
        let path = bench.path(&format!("{name}.pid"));
        let args = format!("[{path:?}, {STUBBORN:?}]");
        let report = bench.run_under(name, &args, &short(Timeout::StartToClose)).await;
        assert_timed_out(&report, Timeout::StartToClose, name);
        assert_eq!(report.log.as_deref(), Some("begun\n"), "{name}");
        // The limit may be exceeded before the task has begun.
        if let Ok(pid) = std::fs::read_to_string(&path) {
            until("its processes end", || !is_running(pid.trim())).await;
        }
        assert_eq!(Bench::returned(&bench.run("quick", "[]").await), "1", "after {name}");
        assert_eq!(Bench::returned(&bench.run("quick_coroutine", "[]").await), "2", "after {name}");
    }
}

const CLEANS: &str = "
import asyncio, time
from hub.lib.api import Stopped

def cleans(how):
    if how == 'nothing':
        return
    try:
        time.sleep(3600)
    except Stopped as stopped:
        print(type(stopped).__mro__[1].__name__, stopped)
        if how == 'succeeds':
            return 7
        raise
    finally:
        print('cleaned')
";
const CLEANS_COROUTINE: &str = "
import asyncio

async def cleans_coroutine(how):
    if how == 'nothing':
        return
    try:
        await asyncio.sleep(3600)
    except asyncio.CancelledError:
        if how == 'succeeds':
            return 7
        raise
    finally:
        print('cleaned')
";

#[tokio::test]
async fn a_task_can_clean_up_and_fails_even_if_it_succeeds_in_that_time() {
    let bench = Bench::start(&[("cleans.py", CLEANS), ("cleans_coroutine.py", CLEANS_COROUTINE)]).await;
    bench.write_program("cleans_program", "trap 'echo cleaned >&2; echo 7; exit 0' TERM\nsleep 3600 &\nwait");
    for name in ["cleans", "cleans_coroutine", "cleans_program"] {
        // (The program does not read its arguments.)
        for how in ["succeeds", "fails"] {
            // The process is ready afterwards.
            bench.run(name.trim_end_matches("_program"), r#"["nothing"]"#).await;
            let control = limits(Some(Duration::from_millis(500)), None, DEADLINE);
            let report = bench.run_under(name, &format!("[{how:?}]"), &control).await;
            let (kind, msg, error) = Bench::failure(&report);
            assert_eq!((kind, error.which), (ErrorKind::TimedOut, Some(Timeout::StartToClose)), "{name}: {msg}");
            let log = report.log.as_deref().unwrap_or_default();
            assert!(log.ends_with("cleaned\n"), "{name}: {log}");
            if name == "cleans" {
                assert!(log.starts_with("SystemExit the task was stopped\n"), "{log}");
                let traceback = error.traceback.as_deref().unwrap_or_default();
                assert_eq!(traceback.contains("time.sleep(3600)"), how == "fails", "where the task was: {traceback}");
            }
        }
    }
}

/// The beginning, the end and the pauses of each are longer than the limit together.
const REPORTS: &[(&str, &str)] = &[
    (
        "reports.py",
        "import time\nfrom hub.lib.api import task\n@task\ndef reports():\n    for step in range(30):\n        \
         time.sleep(0.1)\n        reports.state.progress(step)\n",
    ),
    (
        "in_threads.py",
        "import threading, time\nfrom hub.lib.api import task\n@task\ndef in_threads():\n    def work():\n        \
         for step in range(30):\n            time.sleep(0.1)\n            in_threads.state.progress(step)\n    \
         thread = threading.Thread(target=work)\n    thread.start()\n    thread.join()\n",
    ),
    (
        "in_coroutines.py",
        "import asyncio\nfrom hub.lib.api import task\n@task\nasync def in_coroutines():\n    for step in range(30):\n        \
         await asyncio.sleep(0.1)\n        in_coroutines.state.progress(step)\n",
    ),
    ("silent.py", "import time\ndef silent():\n    time.sleep(3600)\n"),
    ("silent_coroutine.py", "import asyncio\nasync def silent_coroutine():\n    await asyncio.sleep(3600)\n"),
];

#[tokio::test]
async fn progress_keeps_a_task_alive_and_silence_ends_it() {
    let bench = Bench::start(REPORTS).await;
    bench.write_program("reporting", "for step in $(seq 0 29); do sleep 0.1; echo ::progress $step >&2; done");
    bench.write_program("silent_program", "sleep 3600");
    let alive = || limits(None, Some(Duration::from_secs(2)), Duration::ZERO);
    for name in ["reports", "in_threads", "in_coroutines", "reporting"] {
        let control = alive();
        let report = bench.run_under(name, "[]", &control).await;
        assert_eq!((Bench::returned(&report), report.log.as_deref()), ("null", None), "{name}");
        assert_eq!(control.progress().unwrap().get(), "29", "{name}");
    }
    for name in ["silent", "silent_coroutine", "silent_program"] {
        let report = bench.run_under(name, "[]", &short(Timeout::Heartbeat)).await;
        assert_timed_out(&report, Timeout::Heartbeat, name);
    }
}

/// Many coroutines share a process.
const COROUTINES: &[(&str, &str)] = &[
    (
        "blocks.py",
        "import os, time\nasync def blocks(path):\n    with open(path, 'w') as file:\n        \
         file.write('%d\\n' % os.getpid())\n    time.sleep(3600)\n",
    ),
    (
        "refuses.py",
        "import asyncio, os\nasync def refuses(path):\n    with open(path, 'w') as file:\n        \
         file.write('%d\\n' % os.getpid())\n    while True:\n        try:\n            await asyncio.sleep(3600)\n        \
         except asyncio.CancelledError:\n            pass\n",
    ),
    (
        "sibling.py",
        "import asyncio, os\nasync def sibling(begun, end):\n    open(begun, 'w').close()\n    \
         while not os.path.exists(end):\n        await asyncio.sleep(0.001)\n    return 'to its end'\n",
    ),
    ("quick_coroutine.py", "async def quick_coroutine():\n    return 2\n"),
];

#[tokio::test]
async fn coroutines_run_again_if_one_of_their_process_has_to_be_killed() {
    for name in ["blocks", "refuses"] {
        let bench = Bench::start(COROUTINES).await;
        let (pid, begun, end) = (bench.path("pid"), bench.path("begun"), bench.path("end"));
        let sibling = bench.request("sibling", &format!("[{begun:?}, {end:?}]"));
        let control = RunControl::default();
        let first = bench.runner.run(sibling.clone(), control.clone());
        let timed_out = async {
            until("the sibling runs", || begun.exists()).await;
            bench.run_under(name, &format!("[{pid:?}]"), &short(Timeout::StartToClose)).await
        };
        let (first, report) = tokio::join!(first, timed_out);
        assert_timed_out(&report, Timeout::StartToClose, name);
        assert_eq!(first.outcome, Err(NoOutcome::NotBegun), "{name}");
        let pid = std::fs::read_to_string(pid).unwrap();
        assert!(!is_running(pid.trim()), "its process has ended");
        std::fs::write(end, "").unwrap();
        let again = bench.runner.run(sibling, control).await;
        assert_eq!(Bench::returned(&again), r#""to its end""#);
        assert_eq!(Bench::returned(&bench.run("quick_coroutine", "[]").await), "2");
    }
}

#[tokio::test]
async fn a_coroutine_that_ends_in_time_does_not_affect_others() {
    let bench = Bench::start(COROUTINES).await;
    let slow = "import asyncio\nasync def slow():\n    await asyncio.sleep(3600)\n";
    std::fs::write(bench.path("slow.py"), slow).unwrap();
    let (begun, end) = (bench.path("begun"), bench.path("end"));
    let args = format!("[{begun:?}, {end:?}]");
    let others = async {
        until("the sibling runs", || begun.exists()).await;
        for _ in 0..3 {
            let report = bench.run_under("slow", "[]", &short(Timeout::StartToClose)).await;
            assert_timed_out(&report, Timeout::StartToClose, "slow");
        }
        std::fs::write(&end, "").unwrap();
    };
    let (sibling, ()) = tokio::join!(bench.run("sibling", &args), others);
    assert_eq!(Bench::returned(&sibling), r#""to its end""#);
}

/// A worker that was paused (SIGSTOP, a machine that slept) reads what its processes have written before it decides.
#[tokio::test]
async fn a_pause_of_the_worker_fails_no_task() {
    let reports = "import os\nfrom hub.lib.api import task\n@task\nKINDdef NAME(path):\n    NAME.state.progress(1)\n    \
                   open(path, 'w').close()\n    while not os.path.exists(path + '.go'):\n        PAUSE\n    return 1\n";
    let module = |name, kind, pause| reports.replace("NAME", name).replace("KIND", kind).replace("PAUSE", pause);
    let function = module("function", "", "import time; time.sleep(0.001)");
    let coroutine = module("coroutine", "async ", "import asyncio; await asyncio.sleep(0.001)");
    let bench = Bench::start(&[("function.py", &*function), ("coroutine.py", &*coroutine)]).await;
    bench.write_program(
        "program",
        "touch \"$PWD/program.begun\"\nuntil [ -e program.begun.go ]; do sleep 0.01; done\necho 1",
    );
    // Their processes are ready afterwards.
    let ready = bench.path("ready");
    std::fs::write(ready.with_extension("go"), "").unwrap();
    for name in ["function", "coroutine"] {
        bench.run(name, &format!("[{ready:?}]")).await;
    }
    for name in ["function", "coroutine", "program"] {
        let path = bench.path(&format!("{name}.begun"));
        let args = format!("[{path:?}]");
        let limit = Some(Duration::from_secs(2));
        let control = limits(limit, limit, Duration::ZERO);
        let pauses = async {
            until("it runs", || path.exists()).await;
            std::fs::write(path.with_extension("begun.go"), "").unwrap();
            // The runtime has one thread: nothing is read, and all limits pass.
            let paused = std::time::Instant::now();
            while paused.elapsed() < Duration::from_millis(2500) {
                std::thread::yield_now();
            }
        };
        let (report, ()) = tokio::join!(bench.run_under(name, &args, &control), pauses);
        assert_eq!(Bench::returned(&report), "1", "{name}");
    }
}
