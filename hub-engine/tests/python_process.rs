//! Changes of the process that bypass Python's `os`, and changes of the interpreter, are not visible to the next task.

mod runner_support;

use runner_support::Bench;

/// Runs any code and returns the state of the process.
const CHANGE: &str = r#"
def change(code):
    names = {}
    exec(code, names)
    return names.get("result")
"#;

/// Does not open the C library, which would cause all state to be checked after each task.
const LOOK: &str = r#"
import ctypes, gc, locale, os, resource, signal, socket, sys, threading, warnings

def look():
    getenv = ctypes.pythonapi.getenv
    getenv.restype = ctypes.c_char_p
    os.umask(mask := os.umask(0))
    return [
        os.getcwd(), mask, sorted(os.environ), str(getenv(b"HOME")), str(getenv(b"PUT_BY_A_TASK")),
        [resource.getrlimit(limit) for limit in range(16)], os.getpriority(os.PRIO_PROCESS, 0),
        sorted(os.sched_getaffinity(0)), os.sched_getscheduler(0), str(signal.pthread_sigmask(signal.SIG_BLOCK, ())),
        [signal.getitimer(timer) for timer in range(3)], os.getresuid(), os.getresgid(), os.getgroups(),
        os.getpgrp() == os.getpid(), locale.setlocale(locale.LC_ALL), socket.getdefaulttimeout(),
        str([sys.excepthook, threading.excepthook, sys.displayhook, sys.unraisablehook, sys.gettrace(), sys.getprofile()]),
        str(threading._trace_hook), [str(found) for found in warnings.filters], sys.path, sys.argv, len(sys.meta_path),
        len(sys.path_hooks), gc.isenabled(), sys.getswitchinterval(),
    ]
"#;

const CHANGES: [&str; 40] = [
    "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (50, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))",
    "import resource; resource.setrlimit(resource.RLIMIT_CORE, (0, 0))",
    "import os, resource; resource.prlimit(os.getpid(), resource.RLIMIT_FSIZE, (10, -1))",
    "import os; os.nice(3)",
    "import os; os.setpriority(os.PRIO_PROCESS, 0, 4)",
    "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})",
    "import os; os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))",
    "import signal; signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})",
    "import signal; signal.alarm(1000)",
    "import _signal; _signal.alarm(1000)",
    "import faulthandler; faulthandler.dump_traceback_later(1000)",
    "import socket; socket.setdefaulttimeout(3)",
    "import locale; locale.setlocale(locale.LC_ALL, 'C' if 'UTF' in locale.setlocale(locale.LC_ALL) else 'C.UTF-8')",
    "import sys; sys.excepthook = print",
    "import sys; sys.displayhook = print",
    "import threading; threading.excepthook = print",
    "import sys; sys.settrace(lambda *args: None)",
    "import sys; sys.setprofile(lambda *args: None)",
    "import threading; threading.settrace(lambda *args: None)",
    "import warnings; warnings.simplefilter('error')",
    "import warnings; warnings.resetwarnings()",
    "import gc; gc.disable()",
    "import sys; sys.setswitchinterval(1)",
    "import sys; sys.argv.append('more')",
    "import sys; sys.path.insert(0, '/elsewhere')",
    "import sys; sys.path.clear()",
    "import sys; sys.path = None",
    "import sys; sys.meta_path.clear()",
    "import sys; sys.path_hooks.clear()",
    "import posix; posix.chdir('/')",
    "import posix; posix.umask(0o77)",
    "import posix; posix.putenv('PUT_BY_A_TASK', '1')",
    "import os; os.putenv('PUT_BY_A_TASK', '1')",
    "import os; os.unsetenv('HOME')",
    "import os; os.setpgid(0, os.getpgid(os.getppid()))",
    // Only root may do these, and even root cannot undo the second.
    "import os; os.getuid() or os.seteuid(65534)",
    "import os; os.getuid() or os.setuid(65534)",
    "import os; os.getuid() or os.setgroups([1, 2])",
    // From here on everything is checked after each task.
    "import ctypes; ctypes.CDLL(None).chdir(b'/')",
    "import ctypes; ctypes.CDLL('libc.so.6').alarm(1000)",
];

#[tokio::test]
async fn changes_of_the_process_end_with_the_task() {
    let bench = Bench::start(&[("change.py", CHANGE), ("look.py", LOOK)]).await;
    Bench::returned(&bench.run("look", "[]").await);
    let before = Bench::returned(&bench.run("look", "[]").await).to_owned();
    for code in CHANGES {
        assert_eq!(Bench::returned(&bench.run("change", &format!("[{code:?}]")).await), "null", "{code}");
        assert_eq!(Bench::returned(&bench.run("look", "[]").await), before, "after {code}");
    }
}

#[tokio::test]
async fn a_process_without_its_modules_is_replaced() {
    let late = "import csv, json, sys\nfrom hub.lib.api import task\n@task\ndef late():\n    \
                return len(sys.modules) > 50\n";
    let bench = Bench::start(&[("change.py", CHANGE), ("late.py", late)]).await;
    for code in [
        "import sys; sys.modules.clear()",
        "import sys\nfor name in ['os', 'json', 'hub', 'hub.modules', 'encodings']: del sys.modules[name]",
        "import sys; sys.modules = {}",
        "import sys; del sys.modules",
        "import sys; sys.modules.clear(); raise ValueError('no')",
    ] {
        let report = bench.run("change", &format!("[{code:?}]")).await;
        assert!(!format!("{report:?}").contains("BrokenModule"), "{code}: {report:?}");
        assert_eq!(Bench::returned(&bench.run("late", "[]").await), "true", "after {code}");
    }
}

#[tokio::test]
async fn a_process_of_coroutines_without_its_modules_is_replaced() {
    let clear = "import sys\nasync def clear():\n    sys.modules.clear()\n";
    let wait = "import asyncio, os\nasync def wait(begun, end):\n    open(begun, 'w').close()\n    \
                while not os.path.exists(end):\n        await asyncio.sleep(0.001)\n    return 'to its end'\n";
    let late = "import csv, os\nasync def late():\n    return os.getpid()\n";
    let bench = Bench::start(&[("clear.py", clear), ("wait.py", wait), ("late.py", late)]).await;
    let first = Bench::returned(&bench.run("late", "[]").await).to_owned();
    let (begun, end) = (bench.path("begun"), bench.path("end"));
    let args = format!("[{begun:?}, {end:?}]");
    let meanwhile = async {
        runner_support::until("it runs", || begun.exists()).await;
        assert_eq!(Bench::returned(&bench.run("clear", "[]").await), "null");
        assert_ne!(Bench::returned(&bench.run("late", "[]").await), first);
        std::fs::write(&end, "").unwrap();
    };
    let (waited, ()) = tokio::join!(bench.run("wait", &args), meanwhile);
    assert_eq!(Bench::returned(&waited), r#""to its end""#);
}

/// An imported module may rely on its additions to `sys.path`.
#[tokio::test]
async fn a_path_added_by_an_import_is_kept() {
    let adds = "def adds():\n    import _vendored\n    return _vendored.value()\n";
    let vendored = "import os, sys\nsys.path.append(os.path.join(os.path.dirname(__file__), '.vendored'))\n\
                    def value():\n    import deep\n    return deep.VALUE\n";
    let bench = Bench::start(&[("adds.py", adds), ("_vendored.py", vendored)]).await;
    std::fs::create_dir(bench.path(".vendored")).unwrap();
    std::fs::write(bench.path(".vendored/deep.py"), "VALUE = 5\n").unwrap();
    for _ in 0..2 {
        assert_eq!(Bench::returned(&bench.run("adds", "[]").await), "5");
    }
}

/// Each of these works alone, and would fail after another one in the same process.
#[tokio::test]
async fn calls_allowed_once_per_process_work_in_every_task() {
    let spawn = "import multiprocessing\ndef spawn():\n    multiprocessing.set_start_method('spawn')\n    \
                 return multiprocessing.get_start_method()\n";
    let closes = "import asyncio\ndef closes():\n    loop = asyncio.new_event_loop()\n    asyncio.set_event_loop(loop)\n    \
                  loop.run_until_complete(asyncio.sleep(0))\n    loop.close()\n    return 1\n";
    let runs = "import asyncio\ndef runs():\n    return asyncio.run(asyncio.sleep(0, 2))\n";
    // (From Python 3.14 on there is no event loop before one is set.)
    let current = "import asyncio, sys\ndef current():\n    if sys.version_info >= (3, 14):\n        return 3\n    \
                   return asyncio.get_event_loop().run_until_complete(asyncio.sleep(0, 3))\n";
    let pool = "import multiprocessing\ndef pool():\n    return multiprocessing.get_context().get_start_method()\n";
    let modules = [
        ("spawn.py", spawn),
        ("closes.py", closes),
        ("runs.py", runs),
        ("current.py", current),
        ("pool.py", pool),
        ("own_pid.py", "import os\ndef own_pid():\n    return os.getpid()\n"),
    ];
    let bench = Bench::start(&modules).await;
    let process = Bench::returned(&bench.run("own_pid", "[]").await).to_owned();
    for (module, expected) in [
        ("closes", "1"),
        ("current", "3"),
        ("runs", "2"),
        ("current", "3"),
        ("closes", "1"),
        ("spawn", r#""spawn""#),
        ("spawn", r#""spawn""#),
    ] {
        assert_eq!(Bench::returned(&bench.run(module, "[]").await), expected, "{module}");
    }
    Bench::returned(&bench.run("pool", "[]").await);
    assert_eq!(Bench::returned(&bench.run("spawn", "[]").await), r#""spawn""#);
    assert_eq!(Bench::returned(&bench.run("own_pid", "[]").await), process);
}

#[tokio::test]
async fn watched_functions_can_be_pickled() {
    let pickles = "import os, pickle, resource, signal\ndef pickles():\n    \
                   watched = [os.chdir, os.nice, os.putenv, signal.alarm, resource.setrlimit]\n    \
                   return [pickle.loads(pickle.dumps(function)) is function for function in watched]\n";
    let bench = Bench::start(&[("pickles.py", pickles)]).await;
    assert_eq!(Bench::returned(&bench.run("pickles", "[]").await), "[true,true,true,true,true]");
}

/// With musl, the scheduling functions exist and always fail.
#[tokio::test]
async fn state_that_the_system_does_not_support_is_omitted() {
    let lacks = "import errno, importlib.util, os\n\
                 def lacks():\n    from hub import process_state\n    \
                 def fails(*args):\n        raise OSError(errno.ENOSYS, 'Function not implemented')\n    \
                 again = importlib.util.module_from_spec(process_state.__spec__)\n    real = os.sched_getscheduler\n    \
                 os.sched_getscheduler = fails\n    \
                 try:\n        again.__spec__.loader.exec_module(again)\n        known = again.look()\n        \
                 again.put_back(known)\n    \
                 finally:\n        os.sched_getscheduler = real\n    \
                 return sorted(process_state.look().keys() - known.keys())\n";
    let bench = Bench::start(&[("lacks.py", lacks)]).await;
    assert_eq!(Bench::returned(&bench.run("lacks", "[]").await), r#"["scheduling"]"#);
}

#[tokio::test]
async fn changes_of_a_module_imported_at_the_top_are_kept() {
    let sets = "import warnings\nwarnings.filterwarnings('ignore', message='set by NAME')\n";
    let reads = "import warnings\nimport _top\ndef reads():\n    import _late\n    \
                 return [any(name in str(found) for found in warnings.filters) for name in ('by top', 'by late')]\n";
    let (top, late) = (sets.replace("NAME", "top"), sets.replace("NAME", "late"));
    let bench = Bench::start(&[("_top.py", &*top), ("_late.py", &*late), ("reads.py", reads)]).await;
    assert_eq!(Bench::returned(&bench.run("reads", "[]").await), "[true,true]");
    assert_eq!(Bench::returned(&bench.run("reads", "[]").await), "[true,false]");
}
