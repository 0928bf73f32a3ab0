//! `hub.lib.testing` reports the same as a worker's process.

mod runner_support;

use std::path::Path;
use std::process::Command;

use hub_core::state::RetryAdvice;
use hub_engine::runner::{Outcome, RunControl};
use runner_support::Bench;
use serde_json::{Value, json};

/// Runs the tasks of a test in one process of Python: the directory of tasks, and names with arguments.
const SCRIPT: &str = "
import dataclasses, importlib, json, sys
from hub.lib.testing import run
directory, cases = sys.argv[1:]
sys.path.append(directory)
outcomes = [run(getattr(importlib.import_module(name), name), *args) for name, args in json.loads(cases)]
print(json.dumps([dataclasses.asdict(outcome) for outcome in outcomes]))
";

const MODULES: &[(&str, &str)] = &[
    (
        "add.py",
        "import os\ndef add(a, b):\n    print('adds')\n    os.system('echo a subprocess')\n    return a, b, a + b\n",
    ),
    (
        "asynchronous.py",
        "from hub.lib.api import task\n@task(asynchronous=True)\ndef asynchronous(a):\n    return {1: a}\n",
    ),
    (
        "coroutine.py",
        "import asyncio, os\nfrom hub.lib.api import task\n@task\nasync def coroutine(a):\n    print('begins')\n    await asyncio.sleep(0)\n    os.system('echo a subprocess')\n    return coroutine.state.args + [coroutine.state.attempt]\n",
    ),
    (
        "coroutine_fails.py",
        "import asyncio\nasync def coroutine_fails(a):\n    await asyncio.sleep(0)\n    return {}[a]\n",
    ),
    (
        "exits.py",
        "import asyncio, sys\nasync def exits():\n    async def inner():\n        sys.exit(3)\n    await asyncio.create_task(inner())\n",
    ),
    ("fails.py", "def fails(a):\n    print('fails')\n    return {}[a]\n"),
    ("fatal.py", "from hub.lib.api import Fatal, task\n@task\ndef fatal():\n    raise Fatal('no such page')\n"),
    ("forks.py", "import os\ndef forks():\n    if os.fork():\n        os.wait()\n    return 'once'\n"),
    ("ill.py", "class Ill(Exception):\n    def __str__(self):\n        return 1\ndef ill():\n    raise Ill\n"),
    ("inner.py", "def _one():\n    pass\ndef inner():\n    _one(1)\n"),
    ("prints.py", "def prints():\n    print('x' * 100_000)\n    return input()\n"),
    (
        "progresses.py",
        "from hub.lib.api import task\n@task\ndef progresses(values):\n    for value in values:\n        \
         progresses.state.progress(value)\n    return progresses.state.last_progress\n",
    ),
    (
        "retry.py",
        "from hub.lib.api import Retry, task\n@task()\ndef retry(after):\n    raise Retry('busy', after=after)\n",
    ),
    ("returns_a_set.py", "def returns_a_set():\n    return {'a': [1, {2}]}\n"),
    ("wrapped.py", "async def _inner(a):\n    return 1 / a\ndef wrapped(a):\n    return _inner(a)\n"),
];

/// Names and arguments of the tasks.
fn cases() -> Vec<(&'static str, Value)> {
    vec![
        ("add", json!([1, 2.5])),
        ("add", json!([1])),
        ("asynchronous", json!([{ "b": [] }])),
        ("coroutine", json!(["ü"])),
        ("coroutine", json!([1, 2])),
        ("coroutine_fails", json!(["k"])),
        ("exits", json!([])),
        ("fails", json!(["k"])),
        ("fatal", json!([])),
        ("forks", json!([])),
        ("ill", json!([])),
        ("inner", json!([])),
        ("prints", json!([])),
        ("progresses", json!([[1, [2], null, { "a": "ü" }]])),
        ("retry", json!([null])),
        ("retry", json!([1.5])),
        ("returns_a_set", json!([])),
        ("wrapped", json!([0])),
        ("wrapped", json!([2])),
    ]
}

/// What Python prints, run with the SDK in the source tree.
fn python(script: &str, arguments: &[&str]) -> Value {
    let sdk = Path::new(env!("CARGO_MANIFEST_DIR")).join("python");
    let mut command = Command::new("python3");
    command.env("PYTHONPATH", sdk).env("PYTHONDONTWRITEBYTECODE", "1");
    let output = command.arg("-c").arg(script).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test]
async fn a_test_sees_what_hub_sees() {
    let bench = Bench::start(MODULES).await;
    let cases = cases();
    let tried = python(SCRIPT, &[bench.directory.path().to_str().unwrap(), &json!(cases).to_string()]);
    for ((name, args), tried) in cases.iter().zip(tried.as_array().unwrap()) {
        let control = RunControl::default();
        let report = bench.run_under(name, &args.to_string(), &control).await;
        let (value, failure) = match report.outcome.unwrap() {
            Outcome::Success { data } | Outcome::Launched { data } => (data.to_value(), Value::Null),
            Outcome::Failed { msg, error } => {
                let error = error.unwrap();
                let (retry, after) = match error.retry {
                    None => (None, None),
                    Some(RetryAdvice::Never) => (Some("never"), None),
                    Some(RetryAdvice::Again) => (Some("again"), None),
                    #[allow(clippy::cast_precision_loss, reason = "it is small")]
                    Some(RetryAdvice::AfterMs(ms)) => (Some("again"), Some(ms as f64 / 1000.0)),
                    Some(other @ RetryAdvice::NotBeforeMs(_)) => panic!("{other:?}"),
                };
                // Workers import modules as a part of this package.
                let traceback = error.traceback.as_ref().map(|text| text.replace("hub_tasks.", ""));
                let failure = json!({
                    "kind": error.kind, "msg": &*msg, "type": error.type_name, "bases": error.bases,
                    "traceback": traceback, "retry": retry, "retry_after": after });
                (Value::Null, failure)
            }
        };
        let (log, progress) = (report.log.unwrap_or_default(), control.progress().map(|progress| progress.to_value()));
        let seen = json!({ "value": value, "log": log, "failure": failure, "progress": progress });
        assert_eq!(*tried, seen, "{name} {args}");
    }
}

#[test]
fn a_test_applies_the_worker_s_limits_and_refuses_impossible_arguments() {
    let script = "
import json
from hub.lib.testing import run
def nested(depth):
    value = []
    for _ in range(depth - 1):
        value = [value]
    return value
def kind(*call):
    failure = run(*call).failure
    return failure and failure.kind
def refusal(*call, **more):
    try:
        return repr(run(*call, **more))
    except (TypeError, ValueError) as error:
        return str(error)
print(json.dumps([
    kind(nested, 500), kind(nested, 501), kind(nested, 100000), kind(lambda: [10 ** 400]), kind(lambda: 'x' * 9000000),
    refusal(nested, {1}), refusal(nested, depth='\\ud800'), refusal(int)]))
";
    let expected = json!([
        null,
        "VALUE_TOO_DEEP",
        "VALUE_TOO_DEEP",
        "BAD_RESULT",
        "RESULT_TOO_LARGE",
        "a job cannot have these arguments: args[0] is a set",
        "a job cannot have these arguments: kwargs['depth'] has a lone surrogate: '\\ud800'",
        "run() takes a task or a function, not <class 'int'>"
    ]);
    assert_eq!(python(script, &[]), expected);
}
