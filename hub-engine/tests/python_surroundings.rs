//! Changes of the process by a task are not visible to the next task.

mod runner_support;

use runner_support::Bench;

/// Changes the process that runs it.
const SPOIL: &str = r#"
import decimal, io, os, signal, sys, threading

def replace_environment():
    os.environ = {"A": "B"}

def wrap():
    sys.stdout = io.TextIOWrapper(sys.stdout.buffer, encoding="utf-8")
    print("wrapped")

def profile(timer, number):
    signal.signal(number, lambda *args: None)
    signal.setitimer(timer, 0.005, 0.005)

def detach():
    sys.stdout = io.TextIOWrapper(sys.stdout.detach(), encoding="utf-8")
    print("detached")

SPOILS = {
    "chdir": lambda: os.chdir("/"),
    "fchdir": lambda: os.fchdir(os.open("/", os.O_RDONLY)),
    "umask": lambda: os.umask(0o777),
    "variable": lambda: os.environ.update(HOME="/nowhere", NEW="1", TZ="Asia/Tokyo"),
    "remove variables": lambda: os.environ.clear(),
    "replace environment": replace_environment,
    "handler": lambda: signal.signal(signal.SIGTERM, signal.SIG_IGN),
    "alarm": lambda: signal.setitimer(signal.ITIMER_REAL, 0.001) and None,
    "profiler": lambda: profile(signal.ITIMER_PROF, signal.SIGPROF),
    "virtual timer": lambda: profile(signal.ITIMER_VIRTUAL, signal.SIGVTALRM),
    "recursion limit": lambda: sys.setrecursionlimit(60),
    "digits": lambda: sys.set_int_max_str_digits(1000),
    "trace": lambda: sys.settrace(lambda *args: None),
    "precision": lambda: setattr(decimal.getcontext(), "prec", 3),
    "no stdout": lambda: setattr(sys, "stdout", None),
    "no stderr": lambda: setattr(sys, "stderr", None),
    "other stdout": lambda: setattr(sys, "stdout", io.StringIO()),
    "close stdout": lambda: sys.stdout.close(),
    "close stderr": lambda: sys.stderr.close(),
    "close stdin": lambda: sys.stdin.close(),
    "no stdin": lambda: setattr(sys, "stdin", None),
    "close descriptor": lambda: os.close(1),
    "other descriptor": lambda: os.dup2(os.open("/dev/null", os.O_WRONLY), 1) and None,
    "strict": lambda: sys.stdout.reconfigure(encoding="ascii", errors="strict", line_buffering=False),
    "wrap": wrap,
    "detach": detach,
    "buffer": lambda: sys.stdout.buffer.write(b"bytes\n") and None,
    "original": lambda: setattr(sys, "stdout", sys.__stdout__),
}

def spoil(how):
    SPOILS[how]()
"#;

/// Returns the state of the process.
const LOOK: &str = r#"
import decimal, os, signal, subprocess, sys, time

def look():
    subprocess.run(["echo", "subprocess"], check=True)
    print("printed", os.fsdecode(b"\xe9"))
    print("error", file=sys.stderr)
    opened = os.open("/dev/null", os.O_RDONLY)
    os.close(opened)
    os.umask(umask := os.umask(0))
    return [
        os.getpid(), os.getcwd(), umask, dict(os.environ), type(os.environ).__name__, str(signal.getsignal(signal.SIGTERM)),
        sys.getrecursionlimit(), sys.get_int_max_str_digits(), sys.gettrace() is None, decimal.getcontext().prec,
        time.tzname, sys.stdin.read(), sys.stdout.encoding, sys.stdout.errors, opened > 2,
        [signal.getitimer(timer) for timer in range(3)],
    ]
"#;

const WAYS: [&str; 28] = [
    "chdir",
    "fchdir",
    "umask",
    "variable",
    "remove variables",
    "replace environment",
    "handler",
    "alarm",
    "profiler",
    "virtual timer",
    "recursion limit",
    "digits",
    "trace",
    "precision",
    "no stdout",
    "no stderr",
    "other stdout",
    "close stdout",
    "close stderr",
    "close stdin",
    "no stdin",
    "close descriptor",
    "other descriptor",
    "strict",
    "wrap",
    "detach",
    "buffer",
    "original",
];

#[tokio::test]
async fn the_next_task_finds_the_original_state() {
    let bench = Bench::start(&[("spoil.py", SPOIL), ("look.py", LOOK)]).await;
    let before = bench.run("look", "[]").await;
    let log = Some("subprocess\nprinted \\udce9\nerror\n");
    assert_eq!(before.log.as_deref(), log);
    // The first module was imported now, which opens files.
    bench.run("spoil", r#"["buffer"]"#).await;
    let before = Bench::returned(&bench.run("look", "[]").await).to_owned();
    for how in WAYS {
        let spoilt = bench.run("spoil", &format!("[{how:?}]")).await;
        if how == "alarm" {
            // The alarm may fire before the task has ended.
            let _ = spoilt.outcome;
        } else {
            assert_eq!(Bench::returned(&spoilt), "null", "{how}");
        }
        match how {
            "wrap" => assert_eq!(spoilt.log.as_deref(), Some("wrapped\n")),
            "detach" => assert_eq!(spoilt.log.as_deref(), Some("detached\n")),
            "buffer" => assert_eq!(spoilt.log.as_deref(), Some("bytes\n")),
            _ => {}
        }
        let after = bench.run("look", "[]").await;
        // A process ended by an alarm is replaced.
        if how != "alarm" {
            assert_eq!(Bench::returned(&after), before, "after {how}");
        }
        assert_eq!(after.log.as_deref(), log, "after {how}");
    }
}

#[tokio::test]
async fn state_that_cannot_be_restored_ends_the_process_after_its_task() {
    // The task closes the descriptor of the original directory.
    let spoil = "import os\ndef spoil():\n    os.closerange(3, 100)\n    os.chdir('/')\n    return os.getpid()\n";
    let bench = Bench::start(&[("spoil.py", spoil)]).await;
    let first = bench.run("spoil", "[]").await;
    let second = bench.run("spoil", "[]").await;
    assert_ne!(Bench::returned(&first), Bench::returned(&second));
}

#[tokio::test]
async fn changes_by_a_coroutine_during_an_import_are_restored() {
    let changes = "import asyncio, os\nasync def changes(path):\n    os.environ['FOR_A_MOMENT'] = '1'\n    \
                   os.umask(0o077)\n    os.chdir('/')\n    open(path + '.begun', 'w').close()\n    \
                   while not os.path.exists(path):\n        await asyncio.sleep(0.001)\n";
    let late = "import os\nos.environ['OF_THE_MODULE'] = '1'\nasync def late():\n    pass\n";
    let look = "import os\nasync def look():\n    os.umask(mask := os.umask(0o022))\n    \
                return [os.environ.get('FOR_A_MOMENT'), os.environ.get('OF_THE_MODULE'), mask, os.getcwd() == '/']\n";
    let bench = Bench::start(&[("changes.py", changes), ("late.py", late), ("look.py", look)]).await;
    let before = Bench::returned(&bench.run("look", "[]").await).to_owned();
    let path = bench.path("end");
    let args = format!("[{path:?}]");
    let changing = bench.run("changes", &args);
    let importing = async {
        runner_support::until("it has made its changes", || bench.path("end.begun").exists()).await;
        assert_eq!(Bench::returned(&bench.run("late", "[]").await), "null");
        std::fs::write(&path, "").unwrap();
    };
    let (report, ()) = tokio::join!(changing, importing);
    assert_eq!(Bench::returned(&report), "null");
    let after = Bench::returned(&bench.run("look", "[]").await).to_owned();
    assert_eq!(after, before.replace("null,null", r#"null,"1""#));
}

#[tokio::test]
async fn changes_by_a_module_during_its_import_are_kept() {
    let module = "import os\nos.environ['OF_THE_MODULE'] = '1'\nos.umask(0o027)\ndef keeps():\n    \
                  os.umask(mask := os.umask(0))\n    return [os.environ.get('OF_THE_MODULE'), mask]\n";
    let bench = Bench::start(&[("keeps.py", module)]).await;
    for _ in 0..2 {
        assert_eq!(Bench::returned(&bench.run("keeps", "[]").await), r#"["1",23]"#);
    }
}
