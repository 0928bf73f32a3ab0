//! Any JSON value goes to a Python process, to a coroutine and to an executable, and comes back the same.
//!
//! By default, it uses some thousands of values. `HUB_TEST_VALUES=100000` uses 100,000 for each of the three kinds.

use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use hub_core::{JobId, Json};
use hub_engine::runner::{ModuleRunner, NoOutcome, Outcome, RunControl, Runner as _, RunnerSettings, TaskRequest};
use hub_tests::values::Value;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

/// Default number of values for each kind of task.
const VALUES: usize = 3000;
/// Number of values for one task.
const MAX_TOGETHER: usize = 20;
/// Two levels are used by the array of arguments and the array of results.
const DEPTH: usize = Json::MAX_DEPTH - 2;
/// Maximum time of a task, even on a busy machine.
const DEADLINE: Duration = Duration::from_secs(120);
/// Number of concurrent tasks in the runner. Some wait behind others in its processes.
const AT_A_TIME: usize = 12;

/// A task that returns its request, which must be one line.
const ECHO: &str = "#!/bin/sh\nexec awk 'BEGIN { ORS = \"\" } { print } END { if (NR != 1) exit 4 }'\n";

fn runner_directory() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in [
        ("same.py", "def same(*args, **kwargs):\n    return [args, kwargs]\n"),
        ("same_later.py", "async def same_later(*args, **kwargs):\n    return [args, kwargs]\n"),
        ("echo", ECHO),
    ] {
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
    }
    directory
}

/// The positional and keyword arguments that a task has received.
fn came_back(module: &str, data: &Json) -> (Value, Value) {
    match (module, Value::read(data.get())) {
        ("echo", Value::Object(members)) => {
            let get = |name: &str| {
                let name: Vec<u16> = name.encode_utf16().collect();
                members.iter().find(|(key, _)| *key == name).map(|(_, value)| value.clone()).expect("a request has it")
            };
            (get("args"), get("kwargs"))
        }
        (_, Value::List(mut both)) => {
            let kwargs = both.pop().expect("named arguments");
            (both.pop().expect("arguments"), kwargs)
        }
        (_, other) => panic!("{other:?}"),
    }
}

async fn try_values(module: &str, seed: u64) {
    let count = std::env::var("HUB_TEST_VALUES").map_or(VALUES, |text| text.parse().expect("a number"));
    let directory = runner_directory();
    let settings = RunnerSettings { slots: 2, ..RunnerSettings::new(directory.path()) };
    let runner = Arc::new(ModuleRunner::start(settings).await.unwrap());
    let mut chance = ChaCha8Rng::seed_from_u64(seed);
    let job: JobId = "0190b4c2-7b1a-7000-8000-000000000000".parse().unwrap();
    let (mut made, mut running) = (0, FuturesUnordered::new());
    while made < count || !running.is_empty() {
        if made < count && running.len() < AT_A_TIME {
            // One process for each value would take too long.
            let together = if module == "echo" { MAX_TOGETHER } else { chance.random_range(1..3) };
            let args = Value::List((0..together).map(|_| Value::random(&mut chance, DEPTH - 1)).collect());
            made += together;
            let kwargs = Value::Object(vec![("named".encode_utf16().collect(), Value::random(&mut chance, DEPTH - 1))]);
            let request = TaskRequest {
                id: job.task(u32::try_from(made).unwrap()),
                parent_id: job,
                name: "n".into(),
                task_name: module.into(),
                args: Json::parse(args.write(&mut chance).trim()).unwrap(),
                kwargs: Json::parse(kwargs.write(&mut chance).trim()).unwrap(),
                run: None,
                secrets: None,
                attempt: 1,
                issue: 1,
                worker: "w".into(),
                last_progress: None,
                wants_content: false,
            };
            let runner = Arc::clone(&runner);
            running.push(async move {
                loop {
                    let run = runner.run(request.clone(), RunControl::default());
                    let report = tokio::time::timeout(DEADLINE, run).await;
                    match report.unwrap_or_else(|_| panic!("no answer to {request:?}")).outcome {
                        Err(NoOutcome::NotBegun) => {}
                        Ok(Outcome::Success { data }) => return (request, args, kwargs, data),
                        other => panic!("{other:?} of {request:?}"),
                    }
                }
            });
            continue;
        }
        let Some((request, args, kwargs, data)) = running.next().await else { break };
        assert_eq!(came_back(module, &data), (args, kwargs), "seed {seed}, {request:?}");
    }
    runner.shutdown(DEADLINE).await;
}

/// A random seed, which a failure prints.
fn seed() -> u64 {
    std::env::var("HUB_TEST_SEED").map_or_else(
        |_| u64::from_le_bytes(uuid::Uuid::new_v4().into_bytes()[..8].try_into().unwrap()),
        |text| text.parse().expect("a number"),
    )
}

#[tokio::test]
async fn any_value_goes_through_a_python_process() {
    try_values("same", seed()).await;
}

#[tokio::test]
async fn any_value_goes_through_a_coroutine() {
    try_values("same_later", seed()).await;
}

#[tokio::test]
async fn any_value_goes_through_an_executable() {
    try_values("echo", seed()).await;
}
