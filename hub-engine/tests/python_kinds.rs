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

const SETTINGS: &[(&str, &str)] = &[
    (
        "steady.py",
        "from datetime import timedelta
from hub.lib.api import task

@task(retry={'maximum_attempts': 5, 'initial_interval': timedelta(milliseconds=250), 'retry_on': [OSError, 'TIMED_OUT']},
      timeout={'start_to_close': timedelta(minutes=1), 'heartbeat': '5s', 'grace': 0.5})
def steady(a):
    return a
",
    ),
    (
        "outside.py",
        "import functools
from hub.lib.api import task

def logged(function):
    @functools.wraps(function)
    def run(*args):
        return function(*args)
    return run

@logged
@task(retry=2)
def outside(a):
    return a
",
    ),
    ("several.py", "from hub.lib.api import task\n@task(timeout='1h', asynchronous=True)\ndef several(a):\n    return a\n"),
    ("part.py", "import functools\nfrom hub.lib.api import task\n@task(retry=4)\ndef _part(a, b):\n    return a\npart = functools.partial(_part, 1)\n"),
    ("twice.py", "from hub.lib.api import task\n@task(retry=2)\n@task(timeout=3, retry=7)\ndef twice(a):\n    return a\n"),
    ("none.py", "from hub.lib.api import task\n@task(retry=None, timeout=None)\ndef none(a):\n    return a\n"),
];

#[tokio::test]
async fn a_module_sets_retry_and_timeout() {
    let bench = Bench::start(SETTINGS).await;
    let set = |module: &str| {
        let catalogue = bench.runner.catalogue();
        catalogue.borrow().tasks[module].defaults.as_ref().map(|defaults| defaults.text().to_value())
    };
    let expected = serde_json::json!({
        "retry": {"maximum_attempts": 5, "initial_interval": 0.25, "retry_on": ["OSError", "TIMED_OUT"]},
        "timeout": {"start_to_close": 60.0, "heartbeat": "5s", "grace": 0.5},
    });
    assert_eq!(set("steady"), Some(expected));
    assert_eq!(set("outside"), Some(serde_json::json!({"retry": 2})));
    assert_eq!(set("several"), Some(serde_json::json!({"timeout": "1h"})));
    assert_eq!(set("part"), Some(serde_json::json!({"retry": 4})));
    assert_eq!(set("twice"), Some(serde_json::json!({"retry": 2, "timeout": 3})));
    assert_eq!(Bench::returned(&bench.run("twice", "[7]").await), "7");
    assert_eq!(set("none"), None);
    assert_eq!(Bench::returned(&bench.run("outside", "[7]").await), "7");
}

#[tokio::test]
async fn a_module_with_wrong_options_is_broken_and_says_why() {
    let module = |name: &str, options: &str| {
        (format!("{name}.py"), format!("from hub.lib.api import task\n@task({options})\ndef {name}():\n    return 1\n"))
    };
    let all = [
        ("never", "retry=0", "retry: "),
        ("misspelt", "retry={'maximum_attempt': 3}", "did you mean \"maximum_attempts\"?"),
        ("queued", "timeout={'schedule_to_start': 5}", "set it in the task or in the job"),
        ("twisted", "timeout={'heartbeat': 9, 'start_to_close': 3}", "longer than start_to_close"),
        ("unwritable", "retry={'retry_on': [object()]}", "cannot be written as JSON"),
        ("no_error", "retry={'retry_on': [int]}", "int is not a class of errors"),
        ("endless", "timeout=float('inf')", "cannot be written as JSON"),
        ("large", "retry={'retry_on': ['E%d' % i for i in range(1000)]}", "maximum is 1024"),
        ("doubtful", "asynchronous='no'", "the option asynchronous of @task is True or False, not 'no'"),
        ("unknown", "retries=3", "@task has no option retries; it has: asynchronous, retry, timeout"),
    ];
    let files: Vec<(String, String)> = all.iter().map(|(name, options, _)| module(name, options)).collect();
    let mut files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    files.push(("good.py", "def good():\n    return 1\n"));
    let bench = Bench::start(&files).await;
    for (name, _, words) in all {
        let why = bench.runner.catalogue().borrow().broken[name].clone();
        assert!(why.contains(words), "{name}: {why}");
        let report = bench.run(name, "[]").await;
        let (kind, msg, _) = Bench::failure(&report);
        assert!(kind == ErrorKind::BrokenModule && msg.contains(words), "{name}: {kind:?} {msg}");
    }
    assert_eq!(Bench::returned(&bench.run("good", "[]").await), "1");
}
