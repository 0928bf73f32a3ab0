//! Kinds of callables that can be tasks, and names in task modules.

mod runner_support;

use hub_core::state::ErrorKind;
use hub_engine::runner::Runner as _;
use runner_support::Bench;

const OBJECTS: &[(&str, &str)] = &[
    ("adder.py", "class Adder:\n    def __call__(self, a, b=1):\n        return a + b\nadder = Adder()\n"),
    ("part.py", "import functools\ndef _add(a, b):\n    return a + b\npart = functools.partial(_add, 1)\n"),
    ("builtin.py", "builtin = len\n"),
    ("bound.py", "class Counter:\n    def count(self, a):\n        return a\nbound = Counter().count\n"),
    ("later.py", "class Later:\n    async def __call__(self, a):\n        return a\nlater = Later()\n"),
    // A plain function that returns a coroutine, which cannot be known before the call.
    ("wrapped.py", "async def _inner(a):\n    return a\ndef wrapped(a):\n    return _inner(a)\n"),
    ("a_class.py", "class a_class:\n    pass\n"),
    ("a_value.py", "a_value = 5\n"),
];

#[tokio::test]
async fn every_callable_can_be_a_task() {
    let bench = Bench::start(OBJECTS).await;
    for (module, args, result) in [
        ("adder", "[1, 2]", "3"),
        ("part", "[2]", "3"),
        ("builtin", "[[1, 2]]", "2"),
        ("bound", "[7]", "7"),
        ("later", "[7]", "7"),
        ("wrapped", "[7]", "7"),
    ] {
        assert_eq!(Bench::returned(&bench.run(module, args).await), result, "{module}");
    }
    let report = bench.run("adder", "[]").await;
    let (kind, msg, _) = Bench::failure(&report);
    assert!(kind == ErrorKind::BadArguments && msg.contains("it is adder(a, b=1)"), "{msg}");
    for (module, message) in [("a_class", "as a class"), ("a_value", "as a int")] {
        assert!(bench.runner.catalogue().borrow().broken[module].contains(message));
    }
}

/// A decorator whose attributes have names that Hub uses, too.
const DECORATED: &str = "
import functools
from hub.lib.api import task

class Twice:
    def __init__(self, function):
        self.function = function
        self.asynchronous = True
        functools.update_wrapper(self, function)

    def __call__(self, *args):
        return 2 * self.function(*args)

@task
@Twice
def decorated(a):
    return a
";

const ABOVE: &str = "
import functools
from hub.lib.api import task

def twice(function):
    @functools.wraps(function)
    def run(*args):
        return 2 * function(*args)
    return run

@twice
@task(asynchronous=True)
def above(a):
    return a
";

#[tokio::test]
async fn decorators_work_above_and_below_the_task_decorator() {
    let bench = Bench::start(&[("decorated.py", DECORATED), ("above.py", ABOVE)]).await;
    assert_eq!(Bench::returned(&bench.run("decorated", "[4]").await), "8");
    let launched = bench.run("above", "[4]").await;
    assert_eq!(launched.outcome, Ok(hub_engine::runner::Outcome::Launched { data: hub_core::Json::from_checked("8") }));
}

const PICKLES: &str = "
import copy, multiprocessing, pickle, subprocess, sys
from concurrent.futures import ProcessPoolExecutor
from hub.lib.api import task

class Point:
    def __init__(self, x):
        self.x = x

def double(point):
    print('doubling')
    return Point(2 * point.x)

@task
def pickles(how):
    point = Point(4)
    if how == 'pickle':
        return pickle.loads(pickle.dumps(point)).x
    if how == 'task':
        return pickle.loads(pickle.dumps(pickles)) is pickles and copy.deepcopy(pickles) is pickles
    if how == 'executor':
        with ProcessPoolExecutor(2) as pool:
            return [found.x for found in pool.map(double, [point, point])]
    with multiprocessing.get_context(how).Pool(1) as pool:
        return [found.x for found in pool.map(double, [point])]
";

#[tokio::test]
async fn a_module_s_names_are_found_in_the_processes_that_it_starts() {
    // An old source, which current versions of Python cannot import.
    let old = "from hub.lib.api import task\n@task(async=True)\ndef old():\n    return 1\n";
    let pickles = format!("{PICKLES}\nfrom .old import old\n");
    let bench = Bench::start(&[("pickles.py", &pickles), ("old.py", old)]).await;
    for (how, result) in [
        ("pickle", "4"),
        ("task", "true"),
        ("executor", "[8,8]"),
        ("fork", "[8]"),
        ("spawn", "[8]"),
        ("forkserver", "[8]"),
    ] {
        let report = bench.run("pickles", &format!("[{how:?}]")).await;
        assert_eq!(Bench::returned(&report), result, "{how}");
        let has_printed = report.log.as_deref().unwrap_or_default().contains("doubling");
        assert_eq!(has_printed, !["pickle", "task"].contains(&how), "{how}: {:?}", report.log);
    }
}

#[tokio::test]
async fn helpers_are_imported_by_their_names_and_relatively_and_change() {
    let modules = [
        ("_helper.py", "def value():\n    return 1\n"),
        ("relative.py", "from ._helper import value\ndef relative():\n    return value()\n"),
        ("member.py", "from . import _helper\ndef member():\n    return _helper.value()\n"),
        ("absolute.py", "import _helper\ndef absolute():\n    return _helper.value()\n"),
    ];
    let bench = Bench::start(&modules).await;
    for (value, text) in [("1", None), ("22", Some("def value():\n    return 22\n"))] {
        if let Some(text) = text {
            std::fs::write(bench.path("_helper.py"), text).unwrap();
        }
        for module in ["relative", "member", "absolute"] {
            // A change is noticed within milliseconds, not immediately.
            let started = tokio::time::Instant::now();
            while Bench::returned(&bench.run(module, "[]").await) != value {
                assert!(started.elapsed() < runner_support::DEADLINE, "{module} has the old helper");
            }
        }
    }
}
