//! Progress that tasks report: shown while they run, kept when they end, and given to the next attempt.

mod runner_support;

use std::path::Path;

use hub_core::Json;
use hub_core::state::{ErrorKind, RetryAdvice};
use hub_engine::runner::{RunControl, Runner as _};
use runner_support::{Bench, until};

/// Reports many values and waits for a file. Then it ends in one of several ways.
const MODULES: &[(&str, &str)] = &[
    (
        "reports.py",
        "import os, time\nfrom hub.lib.api import task\n@task\ndef reports(path, how):\n    \
         for step in range(1000):\n        reports.state.progress({'step': step})\n    \
         while not os.path.exists(path):\n        time.sleep(0.001)\n    \
         reports.state.progress(['last'])\n    \
         if how == 'raises':\n        raise ValueError\n    return reports.state.last_progress\n",
    ),
    (
        "reports_coroutine.py",
        "import asyncio, os\nfrom hub.lib.api import task\n@task\nasync def reports_coroutine(path, how):\n    \
         state = reports_coroutine.state\n    \
         for step in range(1000):\n        state.progress({'step': step})\n    \
         while not os.path.exists(path):\n        await asyncio.sleep(0.001)\n    \
         state.progress(['last'])\n    \
         if how == 'raises':\n        raise ValueError\n    return state.last_progress\n",
    ),
    (
        "refused.py",
        "from hub.lib.api import task\n@task\ndef refused(size, catches):\n    \
         try:\n        refused.state.progress('x' * size if size else {1})\n    \
         except (TypeError, ValueError):\n        if not catches:\n            raise\n        return 'caught'\n",
    ),
    (
        "late.py",
        "import os, threading, time\nfrom hub.lib.api import task\n@task\ndef late(path):\n    state = late.state\n    \
         def report():\n        while not os.path.exists(path):\n            state.progress(1)\n            \
         time.sleep(0.001)\n    threading.Thread(target=report).start()\n",
    ),
    (
        "forks.py",
        "import os\nfrom hub.lib.api import task\n@task\ndef forks():\n    forks.state.progress('parent')\n    \
         if os.fork() == 0:\n        forks.state.progress('child')\n        os._exit(0)\n    os.wait()\n",
    ),
];
const PROGRAM: &str = r#"read -r request
echo working >&2
for step in 1 2 3; do echo "::progress {\"step\": $step}" >&2; done
until [ -e "$PWD/go" ]; do sleep 0.01; done
echo '::progress ["last"]' >&2
case $request in *raises*) exit 1 ;; esac
last=${request#*\"last_progress\":}
echo "${last%\}}""#;

fn last(path: &Path) -> String {
    format!("[{path:?}, \"returns\"]")
}

#[tokio::test]
async fn the_newest_value_is_known_during_the_run_and_after_it() {
    for name in ["reports", "reports_coroutine", "program"] {
        for how in ["returns", "raises"] {
            let bench = Bench::start(MODULES).await;
            bench.write_program("program", PROGRAM);
            let (go, control) = (bench.path("go"), RunControl::default());
            let mut request = bench.request(name, &last(&go).replace("returns", how));
            request.last_progress = Some(Json::from_checked("[5]"));
            let sees = async {
                let newest = if name == "program" { r#"{"step": 3}"# } else { r#"{"step":999}"# };
                until("the last of many values is seen", || {
                    control.progress().is_some_and(|seen| seen.get() == newest)
                })
                .await;
                std::fs::write(&go, "").unwrap();
            };
            let (report, ()) = tokio::join!(bench.runner.run(request, control.clone()), sees);
            match how {
                "returns" => assert_eq!(Bench::returned(&report), "[5]", "{name}"),
                _ => assert_eq!(Bench::failure(&report).0, ErrorKind::TaskFailed, "{name}"),
            }
            assert_eq!(control.progress().unwrap().get(), r#"["last"]"#, "{name}");
            assert_eq!(report.log.as_deref(), (name == "program").then_some("working\n"));
        }
    }
}

#[tokio::test]
async fn a_program_that_fails_says_whether_another_attempt_is_of_use() {
    let bench = Bench::start(MODULES).await;
    for (lines, code, advice, log) in [
        ("::retry 1.5s", 1, Some(RetryAdvice::AfterMs(1500)), ""),
        ("::retry", 75, Some(RetryAdvice::Again), ""),
        ("::fatal it is gone", 1, Some(RetryAdvice::Never), "it is gone\n"),
        ("nothing", 1, None, "nothing\n"),
    ] {
        bench.write_program("advises", &format!("echo '{lines}' >&2; exit {code}"));
        let report = bench.run_under("advises", "[]", &RunControl::default()).await;
        let (_, msg, error) = Bench::failure(&report);
        assert_eq!((error.retry, report.log.as_deref().unwrap_or_default()), (advice, log), "{msg}");
    }
    bench.write_program("advises", "echo ::fatal >&2; echo 1");
    let report = bench.run_under("advises", "[]", &RunControl::default()).await;
    assert_eq!(Bench::returned(&report), "1", "it has succeeded");
}

#[tokio::test]
async fn a_value_that_is_no_progress_is_an_error_in_the_task() {
    let bench = Bench::start(MODULES).await;
    for (size, type_name, text) in [(5000, "ValueError", "5002 bytes, the limit is 4096"), (0, "TypeError", "is a set")]
    {
        let control = RunControl::default();
        let report = bench.run_under("refused", &format!("[{size}, false]"), &control).await;
        let (_, msg, error) = Bench::failure(&report);
        assert!(error.type_name.as_deref() == Some(type_name) && msg.contains(text), "{msg}");
        let report = bench.run_under("refused", &format!("[{size}, true]"), &control).await;
        assert_eq!((Bench::returned(&report), control.progress()), (r#""caught""#, None));
    }
    let report = bench.run_under("refused", "[4094, false]", &RunControl::default()).await;
    assert_eq!(Bench::returned(&report), "null", "the largest one");
}

#[tokio::test]
async fn a_thread_that_goes_on_reporting_disturbs_no_other_task() {
    let bench = Bench::start(MODULES).await;
    let end = bench.path("end");
    for _ in 0..20 {
        let args = format!("[{end:?}]");
        assert_eq!(Bench::returned(&bench.run("late", &args).await), "null");
        let control = RunControl::default();
        assert_eq!(Bench::returned(&bench.run_under("refused", "[1, false]", &control).await), "null");
        assert_eq!(control.progress().unwrap().get(), r#""x""#);
    }
    std::fs::write(end, "").unwrap();
}

#[tokio::test]
async fn a_fork_reports_nothing() {
    let (bench, control) = (Bench::start(MODULES).await, RunControl::default());
    assert_eq!(Bench::returned(&bench.run_under("forks", "[]", &control).await), "null");
    assert_eq!(control.progress().unwrap().get(), r#""parent""#);
}
