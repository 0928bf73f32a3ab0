//! For every kind of end of a Python task, the report is correct, and the process can run the next task.

mod runner_support;

use hub_core::Json;
use hub_core::state::ErrorKind;
use hub_engine::runner::Runner as _;
use runner_support::{Bench, DEADLINE};

/// Does what its argument names, and returns its process id.
const ACT: &str = r#"
import asyncio, concurrent.futures, os, sys
from hub.lib.api import task

class Sad(Exception):
    def __str__(self):
        raise RuntimeError("no text")

class Odd(Exception):
    def __str__(self):
        raise KeyboardInterrupt

class Wordy(Exception):
    def __str__(self):
        return 5

Percent = type("50%d", (Exception,), {"__str__": lambda self: 1 / 0})

class Meta(type):
    @property
    def __name__(cls):
        raise ValueError("no name")

class Nameless(Exception, metaclass=Meta):
    pass

def nested(levels):
    value = []
    for _ in range(levels - 1):
        value = [value]
    return value

def itself():
    value = []
    value.append(value)
    return value

def deep_call(depth):
    return deep_call(depth + 1)

ACTS = {
    "str": lambda: exec("raise Sad()", globals()),
    "str_interrupts": lambda: exec("raise Odd()", globals()),
    "str_is_no_text": lambda: exec("raise Wordy()", globals()),
    "nameless": lambda: exec("raise Nameless('x')", globals()),
    "percent": lambda: exec("raise Percent()", globals()),
    "exit": lambda: sys.exit("enough"),
    "interrupt": lambda: exec("raise KeyboardInterrupt"),
    "generator_exit": lambda: exec("raise GeneratorExit('gone')"),
    "cancelled": lambda: exec("raise asyncio.CancelledError('inner')", globals()),
    "future_cancelled": lambda: exec("raise concurrent.futures.CancelledError", globals()),
    "surrogate": lambda: exec("raise ValueError(os.fsdecode(b'caf\\xe9'))", globals()),
    "long": lambda: exec("raise ValueError('x' * 9000000)"),
    "recursion": lambda: deep_call(0),
    "depth_500": lambda: nested(500),
    "depth_20000": lambda: nested(20000),
    "itself": itself,
    "no_memory": lambda: exec("raise MemoryError"),
    "stop_iteration": lambda: exec("raise StopIteration(3)"),
    "not_json": lambda: {"a": [1, {2}]},
    "surrogate_result": lambda: os.fsdecode(b"caf\xe9"),
    "not_found": lambda: open("/no/such/file"),
    "pid": os.getpid,
}

@task
def act(how):
    return ACTS[how]()
"#;

/// The same in an `async def`.
fn as_coroutine() -> String {
    ACT.replace("def act(how):\n    return", "async def act(how):\n    await asyncio.sleep(0)\n    return")
}

#[tokio::test]
async fn every_kind_of_failure_is_reported_and_the_process_survives() {
    let coroutine = as_coroutine();
    for source in [ACT, &coroutine] {
        let bench = Bench::start(&[("act.py", source)]).await;
        let process = bench.run("act", r#"["pid"]"#).await;
        let process = Bench::returned(&process);
        for (how, kind, type_name, message) in [
            ("str", ErrorKind::TaskFailed, "Sad", "str() raised RuntimeError"),
            ("str_interrupts", ErrorKind::TaskFailed, "Odd", "str() raised KeyboardInterrupt"),
            ("str_is_no_text", ErrorKind::TaskFailed, "Wordy", "str() raised TypeError"),
            ("nameless", ErrorKind::TaskFailed, "an exception without a name (ValueError)", "x"),
            (
                "percent",
                ErrorKind::TaskFailed,
                "50%d",
                "50%d (its text is not available: str() raised ZeroDivisionError)",
            ),
            ("exit", ErrorKind::TaskFailed, "SystemExit", "enough"),
            ("interrupt", ErrorKind::TaskFailed, "KeyboardInterrupt", "KeyboardInterrupt"),
            ("generator_exit", ErrorKind::TaskFailed, "GeneratorExit", "gone"),
            ("cancelled", ErrorKind::TaskFailed, "CancelledError", "inner"),
            ("future_cancelled", ErrorKind::TaskFailed, "CancelledError", "CancelledError"),
            ("surrogate", ErrorKind::TaskFailed, "ValueError", r"caf\udce9"),
            ("long", ErrorKind::TaskFailed, "ValueError", "characters left out"),
            ("recursion", ErrorKind::TaskFailed, "RecursionError", "maximum recursion depth"),
            ("depth_20000", ErrorKind::ValueTooDeep, "RecursionError", "500 levels"),
            ("itself", ErrorKind::BadResult, "ValueError", "Circular reference"),
            ("no_memory", ErrorKind::TaskFailed, "MemoryError", "MemoryError"),
            ("not_json", ErrorKind::BadResult, "TypeError", "result['a'][1] is a set"),
            ("surrogate_result", ErrorKind::BadResult, "UnicodeEncodeError", r"a lone surrogate: 'caf\udce9'"),
            ("not_found", ErrorKind::TaskFailed, "FileNotFoundError", "/no/such/file"),
        ] {
            let report = bench.run("act", &format!("[{how:?}]")).await;
            let (told, msg, error) = Bench::failure(&report);
            assert_eq!((told, error.type_name.as_deref()), (kind, Some(type_name)), "{how}: {msg}");
            assert!(msg.contains(message), "{how}: {msg}");
            let traceback = error.traceback.as_deref().unwrap_or_default();
            assert!(msg.len() < 10_000 && traceback.len() < 40_000, "{how}: {} {}", msg.len(), traceback.len());
            assert_eq!(Bench::returned(&bench.run("act", r#"["pid"]"#).await), process, "the process after {how}");
        }
        let stop = bench.run("act", r#"["stop_iteration"]"#).await;
        assert_eq!(Bench::failure(&stop).0, ErrorKind::TaskFailed);
        let deep = bench.run("act", r#"["depth_500"]"#).await;
        assert!(Json::parse(Bench::returned(&deep)).unwrap().is_deeper_than(499));
        bench.runner.shutdown(DEADLINE).await;
    }
}

#[tokio::test]
async fn unreadable_arguments_fail_only_their_task() {
    for keyword in ["def", "async def"] {
        let module = format!("{keyword} count(*args):\n    return len(args)\n");
        let bench = Bench::start(&[("count.py", &module)]).await;
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        let report = bench.run("count", &deep).await;
        let (kind, msg, _) = Bench::failure(&report);
        assert_eq!(kind, ErrorKind::ValueTooDeep, "{msg}");
        let lines = "[\n 1,\r\n [\n\n2\n],\n\t\"\\n\" ]\n";
        assert_eq!(Bench::returned(&bench.run("count", lines).await), "3");
        let fits = format!("[1, {}{}]", "[".repeat(499), "]".repeat(499));
        assert_eq!(Bench::returned(&bench.run("count", &fits).await), "2");
    }
}

#[tokio::test]
async fn a_module_with_a_missing_file_is_broken_and_not_unknown() {
    let bench = Bench::start(&[("reads.py", "open('/no/such/file')\ndef reads():\n    return 1\n")]).await;
    assert!(bench.runner.catalogue().borrow().broken["reads"].contains("/no/such/file"));
    let report = bench.run("reads", "[]").await;
    assert_eq!(Bench::failure(&report).0, ErrorKind::BrokenModule);
}

#[tokio::test]
async fn a_module_with_unencodable_text_does_not_affect_others() {
    let odd = "def odd():\n    return 1\nodd.__doc__ = 'caf\\udce9'\n";
    let bench = Bench::start(&[("odd.py", odd), ("plain.py", "def plain():\n    return 1\n")]).await;
    let catalogue = bench.runner.catalogue();
    assert_eq!(catalogue.borrow().tasks.len(), 2, "{:?}", catalogue.borrow().broken);
}
