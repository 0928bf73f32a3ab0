//! A task does not fail because its output cannot be stored.

mod runner_support;

use hub_core::state::ErrorKind;
use runner_support::Bench;

/// Replaces the file of standard output for the following tasks.
const EXCHANGE: &str = "
import os

def exchange(target):
    path = os.readlink('/proc/self/fd/1')
    os.unlink(path)
    if target:
        os.symlink(target, path)
    else:
        open(path, 'w').close()
    os.close(1)
    return path
";

const PRINTS: &str = "
import subprocess

def prints(how):
    print('printed' * 1000)
    if how == 'raises':
        raise ValueError('the truth')
    return subprocess.run(['echo', 'from a subprocess']).returncode
";

const LOST: &str = "[output is missing: it could not be kept: No space left on device]\n";

#[tokio::test]
async fn a_full_file_system_fails_no_task() {
    let bench = Bench::start(&[("exchange.py", EXCHANGE), ("prints.py", PRINTS)]).await;
    bench.run("exchange", r#"["/dev/full"]"#).await;
    for _ in 0..2 {
        let report = bench.run("prints", r#"["returns"]"#).await;
        assert_eq!((Bench::returned(&report), report.log.as_deref()), ("0", Some(LOST)));
    }
    let report = bench.run("prints", r#"["raises"]"#).await;
    let (kind, msg, _) = Bench::failure(&report);
    assert_eq!((kind, msg, report.log.as_deref()), (ErrorKind::TaskFailed, "the truth", Some(LOST)));
}

#[tokio::test]
async fn a_file_that_cannot_be_opened_fails_no_task() {
    let bench = Bench::start(&[("exchange.py", EXCHANGE), ("prints.py", PRINTS)]).await;
    bench.run("exchange", r#"["/no/such/directory/file"]"#).await;
    for _ in 0..2 {
        let report = bench.run("prints", r#"["returns"]"#).await;
        assert_eq!(Bench::returned(&report), "0");
        assert!(report.log.as_deref().unwrap().starts_with("[output is missing"), "{:?}", report.log);
    }
}

#[tokio::test]
async fn output_is_stored_again_when_there_is_space() {
    let prints = PRINTS.replace("def prints(how):", "def prints(how, path):").replace(
        "    if how == 'raises'",
        "    if how == 'mends':\n        import os\n        os.unlink(path)\n        open(path, 'w').close()\n    \
         if how == 'raises'",
    );
    let bench = Bench::start(&[("exchange.py", EXCHANGE), ("prints.py", &prints)]).await;
    let path = Bench::returned(&bench.run("exchange", r#"["/dev/full"]"#).await).to_owned();
    let report = bench.run("prints", &format!("[\"mends\", {path}]")).await;
    assert_eq!((Bench::returned(&report), report.log.as_deref()), ("0", Some(LOST)));
    let log = bench.run("prints", &format!("[\"returns\", {path}]")).await.log.unwrap();
    assert!(log.starts_with("printed") && log.ends_with("from a subprocess\n"), "{log}");
}

#[tokio::test]
async fn a_file_size_limit_set_by_a_task_affects_only_its_own_output() {
    let limits = "import resource\ndef limits():\n    print('before')\n    \
                  resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))\n    \
                  print('after')\n    return 1\n";
    let bench = Bench::start(&[("limits.py", limits), ("prints.py", PRINTS)]).await;
    let report = bench.run("limits", "[]").await;
    let log = "before\n[output is missing: it could not be kept: File too large]\n";
    assert_eq!((Bench::returned(&report), report.log.as_deref()), ("1", Some(log)));
    let log = bench.run("prints", r#"["returns"]"#).await.log.unwrap();
    assert!(log.starts_with("printed") && log.ends_with("from a subprocess\n"), "{log}");
}

#[tokio::test]
async fn processes_leave_no_files() {
    let files = "import os\ndef files(end):\n    print('printed')\n    if end:\n        os._exit(1)\n    \
                 return len([name for name in os.listdir(os.path.dirname(os.readlink('/proc/self/fd/1'))) \
                 if name.endswith('.out')])\n";
    let bench = Bench::start(&[("files.py", files)]).await;
    for _ in 0..3 {
        Bench::failure(&bench.run("files", "[true]").await);
    }
    assert_eq!(Bench::returned(&bench.run("files", "[false]").await), "1");
}

/// A task may do anything with the standard streams and their descriptors. Its result counts, and the next task has
/// intact streams.
#[tokio::test]
async fn the_next_task_has_intact_standard_streams() {
    let breaks = "import os, sys\ndef breaks(code):\n    print('said')\n    exec(code)\n    return os.getpid()\n";
    let checks = "import os, sys\ndef checks():\n    print('out')\n    print('err', file=sys.stderr)\n    \
                  with open('/dev/null') as file:\n        free = file.fileno() > 2\n    \
                  return [free, sys.stdin.read(), os.read(0, 1) == b'', os.getcwd() != '/', os.getpid()]\n";
    let bench = Bench::start(&[("breaks.py", breaks), ("checks.py", checks)]).await;
    for code in [
        "os.chdir('/'); os.close(0); sys.stdin = None",
        "os.close(0)",
        "os.close(2)",
        "os.close(1)",
        "os.closerange(0, 3)",
        "os.dup2(os.open('/dev/null', os.O_RDWR), 2)",
        "os.dup2(os.open('/dev/null', os.O_RDWR), 1)",
        "os.dup2(os.open('/proc/self/status', os.O_RDONLY), 0); sys.stdin.readline()",
        "os.unlink(os.readlink('/proc/self/fd/1')); os.close(1)",
        "sys.stdin.detach()",
        "del sys.stdin, sys.stdout, sys.stderr",
    ] {
        let report = bench.run("breaks", &format!("[{code:?}]")).await;
        assert_eq!(report.log.as_deref(), Some("said\n"), "{code}");
        let process = Bench::returned(&report).to_owned();
        let report = bench.run("checks", "[]").await;
        assert_eq!(Bench::returned(&report), format!("[true,\"\",true,true,{process}]"), "after {code}");
        assert_eq!(report.log.as_deref(), Some("out\nerr\n"), "after {code}");
    }
}

/// Makes the file system of standard output appear full to the process.
const FILLS: &str = "
import os, sys, types

ASYNC def NAME():
    frame, capture = sys._getframe(), None
    while capture is None:
        frame = frame.f_back
        capture = getattr(frame.f_locals.get('child') or frame.f_locals.get('self'), 'capture', None)
    os.statvfs = lambda path: types.SimpleNamespace(f_blocks=1, f_bavail=0, f_frsize=1)
    capture.next_check = 0
";

#[tokio::test]
async fn missing_output_is_reported_only_if_possible() {
    let fills = FILLS.replace("ASYNC ", "").replace("NAME", "fills");
    let coroutine_fills = FILLS.replace("ASYNC", "async").replace("NAME", "coroutine_fills");
    let modules = [
        ("fills.py", &*fills),
        ("coroutine_fills.py", &*coroutine_fills),
        ("prints.py", PRINTS),
        ("quiet.py", "def quiet():\n    return 1\n"),
        ("coroutine.py", "async def coroutine(text):\n    print(text, end='')\n"),
    ];
    let bench = Bench::start(&modules).await;
    Bench::returned(&bench.run("fills", "[]").await);
    let perhaps = LOST.replace("output is", "output of subprocesses and libraries, if any, is");
    for _ in 0..2 {
        assert_eq!(bench.run("quiet", "[]").await.log, Some(perhaps.clone()));
        assert_eq!(bench.run("prints", r#"["returns"]"#).await.log.as_deref(), Some(LOST));
    }
    Bench::returned(&bench.run("coroutine_fills", "[]").await);
    for (text, log) in [("", None), ("printed", Some("printed"))] {
        assert_eq!(bench.run("coroutine", &format!("[{text:?}]")).await.log.as_deref(), log);
    }
}
